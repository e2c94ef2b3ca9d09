"""What was said in a session, on two replicas: by LangChain's class in a crew's own code, and by the spec."""

import os
from typing import Any

import httpx
import pytest
import yaml

from support.hotel import FACT, QUESTION, ROOT, WORD, Hotel

EXAMPLE = ROOT / "examples" / "langchain-history"
HISTORY = {"messages": {"enabled": True, "input": "message", "maxMessages": 4}}


@pytest.fixture(scope="module")
def spec():
    return {"history": HISTORY}


def _messages(crew: Hotel, pod: Any, session: str) -> list[tuple[str, str]]:
    answer = crew.cluster.ask(pod, f"sessions/{session}/messages", token=crew.token())
    if answer.status_code == 404:
        return []
    assert answer.status_code == 200, answer.text
    return [(one["type"], one["data"]["content"]) for one in reversed(answer.json()["messages"])]


def _erase(crew: Hotel, session: str) -> dict[str, Any]:
    pod = crew.replicas()[0]
    url = f"http://{pod['status']['podIP']}:8000/sessions/{session}"
    return dict(httpx.delete(url, headers={"Authorization": f"Bearer {crew.token()}"}).json())


def test_each_replica_adds_to_the_same_messages_once(hotel):
    one, other = hotel.replicas()
    first = hotel.say(one, FACT, "ada")
    second = hotel.say(other, QUESTION, "ada")
    turns = [("human", FACT), ("ai", first), ("human", QUESTION), ("ai", second)]
    assert _messages(hotel, one, "ada") == _messages(hotel, other, "ada") == turns
    third = hotel.say(one, QUESTION, "ada")
    assert _messages(hotel, other, "ada") == [*turns[2:], ("human", QUESTION), ("ai", third)], "maxMessages"
    assert _messages(hotel, one, "ad") == []


@pytest.mark.local_cluster
def test_the_recipe_with_langchains_class_keeps_its_history_on_two_replicas(cluster, namespace):
    declared = yaml.safe_load((EXAMPLE / "crewdeployment.yaml").read_text())
    desk = Hotel(cluster, namespace, declared["metadata"]["name"])
    crew = declared["spec"]["crew"]
    path = {"name": "PYTHONPATH", "value": os.fspath(EXAMPLE)}
    desk.apply(
        replicas=declared["spec"]["replicas"],
        memory={"embedder": None},
        crew={**crew, "image": cluster.image("concierge"), "env": [*crew["env"], path]},
    )
    desk.wait_ready()
    one, other = desk.replicas()
    assert desk.say(one, FACT, "ada") == "Welcome."
    answer = desk.say(other, QUESTION, "ada")
    assert WORD in answer
    assert desk.say(other, QUESTION, "ad") == "Welcome.", "another session"
    turns = [("human", FACT), ("ai", "Welcome."), ("human", QUESTION), ("ai", answer)]
    assert _messages(desk, one, "ada") == _messages(desk, other, "ada") == turns
    assert _erase(desk, "ada")["messages"] == 4
    assert desk.say(one, QUESTION, "ada") == "Welcome."
