"""A crew that is declared in a ConfigMap runs without an image of its own."""

import json

import pytest

from support.hotel import FACT, QUESTION, WORD, Hotel

LLM = """
import hashlib

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai.llms.base_llm import BaseLLM
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

MEMORY = {"suggested_scope": "/guest", "categories": [], "importance": 0.5}

class Parrot(BaseLLM):
    # What the prompt holds of peanuts is all that it has to say.
    def call(self, messages, *_, response_model=None, **__):
        text = messages if isinstance(messages, str) else messages[-1]["content"]
        known = [line for line in text.splitlines() if "peanuts" in line] or ["I don't know"]
        if response_model is None:
            return f"Thought: I know.\\nFinal Answer: {known[0]}"
        told = {**MEMORY, "memories": [one for one in known if "peanuts" in one]}
        return response_model(**{name: told[name] for name in response_model.model_fields if name in told})

    def supports_function_calling(self):
        return True

llm = Parrot(model="parrot")

class Embedder(CustomEmbeddingFunction, EmbeddingFunction):
    def __call__(self, input):
        return [np.frombuffer(hashlib.shake_128(one.encode()).digest(384), np.uint8) / np.float32(255) for one in input]
"""
TASKS = {
    "note": "Note what the guest tells us. The guest says: <message>{message}</message>",
    "reply": "Answer the guest, or the colleague who asks. They say: <message>{message}</message>",
}


def declared():
    """The example crew as crew.jsonc; its LLM and its embedder are in a Python file beside it."""
    agent = {
        "role": "Concierge",
        "goal": "Answer",
        "backstory": "You know your guests.",
        "llm": {"python": "offline.llm"},
    }
    tasks = [
        {"name": name, "agent": "concierge", "description": text, "expected_output": "A reply."}
        for name, text in TASKS.items()
    ]
    embedder = {"provider": "custom", "config": {"embedding_callable": {"python": "offline.Embedder"}}}
    crew = {"name": "declared", "agents": ["concierge"], "tasks": tasks, "memory": True, "embedder": embedder}
    return {"crew.jsonc": "// a comment\n" + json.dumps(crew), "concierge.jsonc": json.dumps(agent), "offline.py": LLM}


@pytest.fixture(scope="module")
def hotel(cluster, namespace):
    made = Hotel(cluster, namespace, "declared")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "declared"}, "data": declared()}
    made.kubectl("apply", "-f", "-", stdin=json.dumps(config))
    made.apply(crew={"image": None, "entrypoint": None, "definition": {"configMapRef": {"name": "declared"}}})
    made.wait_ready()
    return made


def test_it_remembers_across_replicas(hotel):
    one, other = hotel.replicas()
    hotel.say(one, FACT, "ada")
    assert WORD in hotel.say(other, QUESTION, "ada")


def test_a_changed_definition_rolls_the_replicas_out(hotel):
    from support.hotel import names

    old = hotel.replicas()
    data = {**declared(), "concierge.jsonc": declared()["concierge.jsonc"].replace("You know", "You have always known")}
    hotel.kubectl("patch", "configmap", "declared", "--type=merge", "-p", json.dumps({"data": data}))
    hotel.wait_replicas(2, names(old))


def test_a_definition_that_is_no_crew_is_named_and_the_replicas_serve_on(hotel):
    hotel.wait_ready()
    replicas = hotel.replicas()
    broken = json.dumps({"data": {"crew.jsonc": "{ no json"}})
    hotel.kubectl("patch", "configmap", "declared", "--type=merge", "-p", broken)
    found = hotel.wait_condition("Ready", "False", "DefinitionBroken", timeout=90)
    assert "crew.jsonc" in found["message"]
    assert WORD in hotel.say(replicas[0], QUESTION, "ada")
    mended = json.dumps({"data": {"crew.jsonc": declared()["crew.jsonc"]}})
    hotel.kubectl("patch", "configmap", "declared", "--type=merge", "-p", mended)
    hotel.wait_ready()
