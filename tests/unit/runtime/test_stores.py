"""Which stores of a crew a rehearsal opens, and with which embedder."""

import contextlib
import os

import pytest

from crew_runtime import telemetry
from crew_runtime.contract.rehearsal import AUTO, OWN, PLACEHOLDER, STAND_IN

telemetry.turn_off_unattended(os.environ)

from crewai import Agent, Crew, Task  # noqa: E402
from crewai.memory.unified_memory import Memory  # noqa: E402

from crew_runtime import rehearsal  # noqa: E402
from crew_runtime.crewai.loading.load import Made  # noqa: E402
from crew_runtime.crewai.proofs import stores  # noqa: E402
from support.user_crews.plain import EchoLLM  # noqa: E402
from support.user_crews.remembering import Hashed  # noqa: E402


class Shelf:
    """A storage that keeps what it is given in this process; the methods that a rehearsal reaches."""

    def __init__(self) -> None:
        self.records = []

    def save(self, records):
        self.records += records

    def search(self, embedding, scope_prefix=None, categories=None, metadata_filter=None, limit=10, min_score=0.0):
        return [(one, 1.0) for one in self.records if one.scope.startswith(scope_prefix or "/")][:limit]

    def touch_records(self, ids):
        pass

    def list_scopes(self, parent="/"):
        return []

    def list_categories(self, scope_prefix=None):
        return {}


def loaded(*roles: str, crew_memory=None, agent_memory=None) -> Made:
    llm = EchoLLM(model="echo")
    agents = [
        Agent(role=role, goal="g", backstory="b", llm=llm, memory=agent_memory and agent_memory()) for role in roles
    ]
    task = Task(description="d", expected_output="e", agent=agents[0])
    return Made(Crew(agents=agents, tasks=[task], memory=crew_memory or False))


def memory(**more) -> Memory:
    return Memory(**{"storage": Shelf(), "embedder": Hashed(), **more})


def in_session(_):
    return contextlib.nullcontext()


def test_what_is_written_is_found_again():
    (one,) = stores.opened(loaded("Host", crew_memory=memory()), AUTO)
    assert (one.store.owner, one.store.engine, one.store.embedder) == ("crew", "Shelf", OWN)
    written = stores.write(one, "n1", in_session)
    assert (written.done, written.found, written.error) == (True, True, "")
    assert stores.read(one, "n1", in_session).found
    missing = stores.read(one, "n2", in_session)
    assert (missing.done, missing.found) == (True, False)


def test_another_session_that_finds_it_is_told():
    (one,) = stores.opened(loaded("Host", crew_memory=memory()), AUTO)
    stores.write(one, "n1", in_session)
    assert stores.read(one, "n1", in_session).leaked, "this storage knows no sessions"


def test_stores_of_one_name_are_told_apart():
    both = stores.opened(loaded("Host", "Host", agent_memory=memory), AUTO)
    assert [one.store.owner for one in both] == ["agent Host", "agent Host (2)"]


@pytest.mark.parametrize(
    ("embedder", "wanted", "used"),
    [
        (Hashed(), AUTO, OWN),
        (lambda texts: [[1.0] for _ in texts], AUTO, OWN),
        ({"provider": "custom", "config": {"embedding_callable": Hashed}}, AUTO, OWN),
        (None, AUTO, STAND_IN),
        ({"provider": "openai", "config": {}}, AUTO, STAND_IN),
        ({"provider": "openai", "config": {}}, OWN, OWN),
        (Hashed(), STAND_IN, STAND_IN),
    ],
)
def test_an_embedder_that_needs_a_key_gets_a_stand_in(embedder, wanted, used):
    (one,) = stores.opened(loaded("Host", crew_memory=memory(embedder=embedder)), wanted)
    assert one.store.embedder == used
    assert bool(one.store.embedder_note) is (used == STAND_IN)


def test_an_embedder_that_raises_is_an_error_of_the_store():
    def broken(_):
        raise OSError("no model")

    (one,) = stores.opened(loaded("Host", crew_memory=memory(embedder=broken)), AUTO)
    written = stores.write(one, "n1", in_session)
    assert not written.done
    assert "no model" in written.error


def test_a_read_only_memory_is_left_alone():
    (one,) = stores.opened(loaded("Host", crew_memory=memory(read_only=True)), AUTO)
    assert stores.write(one, "n1", in_session).read_only
    assert one.target._storage.records == []


def test_placeholders_replace_no_key():
    environ = {"OPENAI_API_KEY": "real"}
    rehearsal.put_placeholders(environ)
    assert environ["OPENAI_API_KEY"] == "real"
    assert environ["ANTHROPIC_API_KEY"] == PLACEHOLDER
