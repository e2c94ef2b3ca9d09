"""A crew that is declared in a ConfigMap runs without an image of its own."""

import json

import pytest
import yaml

from support.hotel import FACT, PATIENT_MEMORY, QUESTION, WORD, Hotel, names

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
AGENT = {
    "role": "Concierge",
    "goal": "Answer",
    "backstory": "You know your guests.",
    "llm": {"python": "offline.llm"},
}
TASKS = [
    {
        "name": name,
        "agent": "concierge",
        "description": f"{text} <message>{{message}}</message>",
        "expected_output": "A reply.",
    }
    for name, text in {
        "note": "Note what the guest tells us. The guest says:",
        "reply": "Answer the guest, or the colleague who asks. They say:",
    }.items()
]
EMBEDDER = {"provider": "custom", "config": {"embedding_callable": {"python": "offline.Embedder"}}}


def declared():
    """The crew as CrewAI's own files have it; its LLM and its embedder are in a Python file beside them."""
    crew = {"name": "declared", "agents": ["concierge"], "tasks": TASKS, "memory": True, "embedder": EMBEDDER}
    return {"crew.jsonc": "// a comment\n" + json.dumps(crew), "concierge.jsonc": json.dumps(AGENT), "offline.py": LLM}


def as_a_project():
    """The same as `crewai create crew` has it in its folder config; only what these two cannot say is in a third."""
    tasks = {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in TASKS}
    return {
        "agents.yaml": yaml.safe_dump({"concierge": AGENT}),
        "tasks.yaml": yaml.safe_dump(tasks, sort_keys=False),
        "crew.yaml": yaml.safe_dump({"name": "declared", "embedder": EMBEDDER}),
        "offline.py": LLM,
    }


@pytest.fixture(scope="module")
def hotel(cluster, namespace):
    made = Hotel(cluster, namespace, "declared")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "declared"}, "data": declared()}
    made.kubectl("apply", "-f", "-", stdin=json.dumps(config))
    made.apply(
        crew={"image": None, "entrypoint": None, "definition": {"configMapRef": {"name": "declared"}}}, **PATIENT_MEMORY
    )
    made.wait_ready()
    return made


def test_it_remembers_across_replicas(hotel):
    one, other = hotel.replicas()
    hotel.say(one, FACT, "ada")
    assert WORD in hotel.say(other, QUESTION, "ada")


def test_a_changed_definition_rolls_the_replicas_out(hotel):
    old = hotel.replicas()
    data = {**declared(), "concierge.jsonc": declared()["concierge.jsonc"].replace("You know", "You have always known")}
    hotel.kubectl("patch", "configmap", "declared", "--type=merge", "-p", json.dumps({"data": data}))
    hotel.wait_replicas(2, names(old))


def test_the_files_of_a_project_do_as_well(hotel):
    old = hotel.replicas()
    hotel.say(old[0], FACT, "bob")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "project"}, "data": as_a_project()}
    hotel.kubectl("apply", "-f", "-", stdin=json.dumps(config))
    hotel.patch({"crew": {"definition": {"configMapRef": {"name": "project"}}}})
    for pod in hotel.wait_replicas(2, names(old)):
        assert WORD in hotel.say(pod, QUESTION, "bob")
    hotel.patch({"crew": {"definition": {"configMapRef": {"name": "declared"}}}})


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


def test_a_crew_may_stand_in_the_resource_itself(hotel, model):
    inline = {
        "agents": {"concierge": {**AGENT, "llm": "openai/gpt-4.1-mini"}},
        "tasks": TASKS,
        "memory": True,
        "embedder": {"provider": "openai", "config": {"model_name": "text-embedding-3-small"}},
    }
    crew = {"image": None, "entrypoint": None, "env": model}
    declared = Hotel(hotel.cluster, hotel.namespace, "inline")
    declared.apply(crew={**crew, "definition": {"inline": inline}}, memory={"embedder": None})
    declared.wait_ready()
    one, other = old = declared.replicas()
    declared.say(one, FACT, "ada")
    assert WORD in declared.say(other, QUESTION, "ada")
    inline["agents"]["concierge"]["backstory"] = "You have always known your guests."
    declared.patch({"crew": {"definition": {"inline": inline}}})
    for pod in declared.wait_replicas(2, names(old)):
        assert WORD in declared.say(pod, QUESTION, "ada")
    declared.kubectl("delete", "crewdeployment", declared.name)
