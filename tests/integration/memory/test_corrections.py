"""Through CrewAI's own Memory: what its own store does wrong (1.15.30) is right here, however memories are searched."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from crewai.llms.base_llm import BaseLLM
from crewai.memory.unified_memory import Memory

from crew_runtime.crewai.state import corrections
from crew_runtime.sessions import binding
from support.memories import embed, record

FILED = {"categories": ["fact"], "metadata": {}, "importance": 0.5}


class Consolidating(BaseLLM):
    """Merges what is new into the first similar record, as an LLM may."""

    def call(self, messages, *_, response_model=None, **__):
        if response_model is None or "insert_new" not in response_model.model_fields:
            raise AssertionError(f"nothing else is to be asked: {response_model}")
        known = re.search(r"id=([0-9a-f-]{36})", str(messages))
        action = {"action": "update", "record_id": known[1], "new_content": "Anna is allergic to peanuts and soy"}
        return response_model(actions=[action], insert_new=False)

    def supports_function_calling(self):
        return True


@pytest.fixture(autouse=True, scope="module")
def _corrected():
    corrections.apply()


@pytest.fixture
def remember(storage):
    """A Memory; each test names what it needs of it."""

    def make(**options):
        return Memory(storage=storage, embedder=embed, llm=Consolidating(model="consolidating"), **options)

    return make


def deep(memory, query, **options):
    return [one.record.content for one in memory.recall(query, depth="deep", **options)]


def test_deep_recall_finds_what_lies_at_the_root_though_it_has_children(remember):
    memory = remember(root_scope="/crew/x")
    memory.remember("the pool opens at seven", scope="/", **FILED)
    memory.remember("the bar is closed", scope="/bar", **FILED)
    assert deep(memory, "the pool opens at seven", limit=1) == ["the pool opens at seven"]
    assert deep(memory, "the bar is closed", limit=1) == ["the bar is closed"]


def test_deep_recall_finds_what_lies_below_the_last_of_many_children(remember, storage):
    storage.save([record(f"room {number} is empty", f"/crew/x/room{number:02}") for number in range(40)])
    memory = remember(root_scope="/crew/x")
    assert [deep(memory, f"room {number} is empty", limit=1) for number in (0, 19, 20, 39)] == [
        [f"room {number} is empty"] for number in (0, 19, 20, 39)
    ]


def test_deep_recall_stays_below_its_scope(remember, storage):
    """Also when the LLM that plans the search would have it look elsewhere."""
    storage.save([record("a neighbour's secret", "/crew/xy"), record("our own plan", "/crew/x/plans")])
    assert deep(remember(root_scope="/crew/x"), "a neighbour's secret") == ["our own plan"]


def test_forget_by_age_takes_the_old_of_its_scope_and_nothing_else(remember, storage):
    storage.save([
        record("old guest", "/crew/x/guests", age=3600), record("new guest", "/crew/x/guests"),
        record("old rule", "/", age=3600), record("old neighbour", "/crew/x/guests2", age=3600),
    ])  # fmt: skip
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=30)
    assert remember(root_scope="/crew/x").forget(scope="/guests", older_than=before) == 1
    assert sorted(one.content for one in storage.list_records()) == ["new guest", "old neighbour", "old rule"]


def test_consolidation_keeps_a_private_record_private(remember, storage):
    memory = remember()
    memory.remember("Anna is allergic to peanuts", scope="/guests", source="anna", private=True, **FILED)
    memory.remember("Anna is allergic to peanuts", scope="/guests", source="anna", private=True, **FILED)
    (kept,) = storage.list_records()
    assert (kept.content, kept.source, kept.private) == ("Anna is allergic to peanuts and soy", "anna", True)
    assert memory.recall("allergic to peanuts", depth="shallow") == []
    assert [one.record.id for one in memory.recall("peanuts", depth="shallow", source="anna")] == [kept.id]


def test_update_and_forget_by_id_stay_inside_the_root(remember, storage):
    theirs, ours = record("theirs", "/crew/y"), record("ours", "/crew/x/plans")
    storage.save([theirs, ours])
    memory = remember(root_scope="/crew/x")
    with pytest.raises(ValueError, match=f"Record not found: {theirs.id}"):
        memory.update(theirs.id, content="changed")
    assert memory.forget(record_ids=[theirs.id, ours.id]) == 1
    assert [one.content for one in storage.list_records()] == ["theirs"]


def test_update_moves_a_record_within_its_root_only(remember, storage):
    ours = record("ours", "/crew/x/plans")
    storage.save([ours])
    memory = remember(root_scope="/crew/x")
    assert memory.update(ours.id, scope="/elsewhere").scope == "/crew/x/elsewhere"
    assert memory.update(ours.id, scope="/crew/x/done", content="ours, done").scope == "/crew/x/done"
    assert [(one.scope, one.content) for one in storage.list_records()] == [("/crew/x/done", "ours, done")]


def test_the_same_said_twice_at_once_is_kept_once(storage, make_storage):
    """CrewAI looks for duplicates, asks its LLM, then saves: two that do so at once do not see each other."""
    first, second = record("peanuts", "/guests"), record("peanuts", "/guests")
    storage.save([first])
    make_storage().save([second])
    assert [one.id for one in make_storage().list_records()] == [first.id]
    assert storage.count() == 1


def test_the_same_said_by_eight_at_the_same_moment_is_kept_once(storage, make_storage):
    """Each has looked, and found nothing."""
    others = [make_storage() for _ in range(8)]
    assert [one.search(record("peanuts").embedding) for one in others] == [[]] * 8
    together = threading.Barrier(len(others))

    def say(one):
        together.wait(30)
        one.save([record("peanuts", "/guests")])

    threads = [threading.Thread(target=say, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"content": "nuts"},
        {"scope": "/staff"},
        {"categories": ["food"]},
        {"metadata": {"n": 1}},
        {"source": "bob"},
        {"private": True},
    ],
)
def test_what_differs_is_kept_twice(storage, change):
    storage.save([record("peanuts", "/guests")])
    storage.save([record("peanuts", "/guests").model_copy(update=change)])
    assert storage.count() == 2


def test_two_sessions_may_say_the_same(storage):
    for session in ("ada", "bob"):
        with binding.bind(session):
            storage.save([record("peanuts", "/guests")])
            assert storage.count() == 1


def test_what_was_changed_since_may_be_said_again(storage):
    first = record("peanuts", "/guests")
    storage.save([first])
    storage.update(first.model_copy(update={"content": "soy"}))
    storage.save([record("peanuts", "/guests")])
    assert sorted(one.content for one in storage.list_records()) == ["peanuts", "soy"]


def test_what_was_forgotten_may_be_said_again(storage):
    first = record("peanuts", "/guests")
    storage.save([first])
    storage.delete(record_ids=[first.id])
    storage.save([record("peanuts", "/guests")])
    assert storage.count() == 1


def test_a_memory_that_cannot_be_put_right_is_named(monkeypatch):
    monkeypatch.setattr(Memory, "update", lambda self, identity: None)
    assert corrections.missing() == ("Memory.update",)
    corrections.apply()
    assert corrections.missing() == ("Memory.update",), json.dumps("its parameters are others: left alone")
