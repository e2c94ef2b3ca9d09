"""What tasks write is in one volume for all replicas, and stays when they go."""

import json

import pytest

from support.hotel import PATIENT_MEMORY, Hotel, names

LLM = """
import os
from pathlib import Path

from crewai.llms.base_llm import BaseLLM

class Scribe(BaseLLM):
    # Says what files there are when it is asked for them, else what is to be written.
    def call(self, messages, *_, **__):
        text = messages if isinstance(messages, str) else messages[-1]["content"]
        there = sorted(Path(os.environ["FOLDER"]).rglob("*.md"))
        said = "; ".join(f"{one.name}: {one.read_text()}" for one in there) if "list" in text else "a bill"
        return f"Thought: I know.\\nFinal Answer: {said}"

llm = Scribe(model="scribe")
"""
AGENT = {"role": "Clerk", "goal": "Write", "backstory": "You write bills.", "llm": {"python": "offline.llm"}}
TASK = {
    "name": "bill",
    "agent": "clerk",
    "description": "Write for {message}",
    "expected_output": "A bill.",
    "output_file": "/data/bills/{message}.md",
}
CREW = {"name": "clerk", "agents": ["clerk"], "tasks": [TASK]}
NAME = "clerk"


@pytest.fixture(scope="module")
def hotel(cluster, namespace):
    made = Hotel(cluster, namespace, NAME)
    files = {"crew.jsonc": json.dumps(CREW), "clerk.jsonc": json.dumps(AGENT), "offline.py": LLM}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": files}
    made.kubectl("apply", "-f", "-", stdin=json.dumps(config))
    crew = {
        "image": None,
        "entrypoint": None,
        "definition": {"configMapRef": {"name": NAME}},
        "env": [{"name": "FOLDER", "value": "/data"}],
        "storage": {"size": "64Mi"},
    }
    made.apply(crew=crew, memory={"embedder": None, **PATIENT_MEMORY["memory"]})
    made.wait_ready()
    return made


def test_what_one_replica_wrote_the_other_one_reads(hotel):
    one, other = hotel.replicas()
    hotel.say(one, "ada", "s")
    assert "ada.md: a bill" in hotel.say(other, "list", "s")


def test_files_are_there_when_all_replicas_are_new(hotel):
    old = hotel.replicas()
    hotel.kubectl("delete", "pod", *names(old), "--wait=false")
    for pod in hotel.wait_replicas(2, names(old)):
        assert "ada.md: a bill" in hotel.say(pod, "list", "s")


def test_files_outlive_their_crew(hotel):
    hotel.kubectl("delete", "crewdeployment", NAME)
    assert hotel.get("persistentvolumeclaim", f"{NAME}-files")["status"]["phase"] == "Bound"
