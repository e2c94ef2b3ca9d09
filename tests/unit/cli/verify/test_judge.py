"""What the answers of the processes mean."""

from dataclasses import replace

import pytest

from crew_runtime.contract.rehearsal import Answer, Store
from crew_runtime.contract.report import StateKind
from crewctl.findings import Level
from crewctl.verify.facts import Outcome, Pair
from crewctl.verify.judge import Result, judge

WRITTEN = Store("memory", "crew", "redis", embedder="own", done=True, found=True)
LANCEDB = replace(WRITTEN, engine="lancedb", place="/data/memory")
STATE = (StateKind("memory", "redis", local=False), StateKind("locks", "redis", local=False))


def pair(written: Store, read: Store | None = None, state: tuple[StateKind, ...] = STATE) -> Pair:
    return Pair(Answer(state=state, stores=(written,)), Answer(state=state, stores=(read or written,)))


def verdict_of(shared: Pair, alone: Pair | None = None):
    return judge(Outcome(shared, alone or pair(LANCEDB, replace(LANCEDB, found=False), ())))


def test_what_the_other_process_finds_is_shared():
    found = verdict_of(pair(WRITTEN))
    assert found.result is Result.PASSED
    assert [(row.state, row.finding.level, row.exercised) for row in found.rows] == [
        ("memory", Level.OK, True),
        ("locks", Level.WARN, False),
    ]
    assert found.today == ("memory, in lancedb: what process A remembered, process B did not find",)


@pytest.mark.parametrize(
    ("written", "read", "said"),
    [
        (WRITTEN, replace(WRITTEN, found=False), "survives in one process only"),
        (LANCEDB, LANCEDB, "two pods share no disk"),
        (replace(WRITTEN, found=False), WRITTEN, "not even the process that wrote it"),
        (replace(WRITTEN, error="ValueError: no"), WRITTEN, "process A could not write: ValueError: no"),
        (WRITTEN, replace(WRITTEN, error="OSError: gone"), "process B could not read: OSError: gone"),
        (WRITTEN, replace(WRITTEN, owner="agent X"), "it has no such store"),
        (WRITTEN, replace(WRITTEN, leaked=True), "another session"),
    ],
)
def test_what_stays_in_one_process_fails_with_a_remedy(written, read, said):
    found = verdict_of(pair(written, read))
    assert found.result is Result.FAILED
    row = found.rows[0]
    assert row.finding.level is Level.FAIL
    assert said in row.finding.message
    assert row.finding.remedy


def test_a_store_of_the_users_own_that_both_reach_is_told_and_not_failed():
    own = replace(WRITTEN, engine="PostgresStorage")
    found = verdict_of(pair(own, state=(StateKind("memory", "PostgresStorage", local=True),)))
    assert found.result is Result.PASSED
    assert [row.finding.level for row in found.rows] == [Level.WARN]
    assert "LocalFallback" in found.rows[0].finding.message


def test_every_kind_that_was_exercised_is_judged_by_what_was_found():
    locks = Store("locks", "crewai's", "redis", done=True, found=True)
    assert verdict_of(pair(locks)).rows[0].finding.level is Level.OK
    lost = verdict_of(pair(replace(locks, engine="files"), replace(locks, engine="files", found=False)))
    assert (lost.result, lost.rows[0].state) == (Result.FAILED, "locks")


def test_a_conversation_that_is_kept_in_its_process_fails_with_the_decorator_that_keeps_it():
    talk = Store("conversation", "flow", "process", done=True, found=False)
    row = verdict_of(pair(talk)).rows[0]
    assert row.finding.level is Level.FAIL
    assert "@persist()" in row.finding.remedy


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(note="needs the network"), "needs the network"),
        (Answer(left_out=("methods of the flow: begin, end",)), "not run: methods of the flow: begin, end"),
    ],
)
def test_a_kickoff_that_was_not_seen_is_neither_passed_nor_failed(answer, said):
    found = judge(Outcome(Pair(answer), Pair(Answer())))
    assert found.result is Result.NOT_SEEN
    assert said in "\n".join(found.unseen)
    assert (found.passes(strict=False), found.passes(strict=True)) == (True, False)


def test_what_is_local_fails_also_when_the_kickoff_was_not_seen():
    shared = pair(WRITTEN, replace(WRITTEN, found=False))
    found = verdict_of(replace(shared, write=replace(shared.write, left_out=("hooks: log",))))
    assert found.result is Result.FAILED
    assert not found.passes(strict=False)


def test_a_second_memory_that_only_the_runtime_saw_fails():
    """One that a tool made for itself: no process exercises it, but the state names it."""
    found = verdict_of(pair(WRITTEN, state=(StateKind("memory", "lancedb", local=True, detail="own storage"),)))
    assert found.result is Result.FAILED
    assert found.rows[-1].lies_in == "lancedb"


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        (StateKind("knowledge", "chroma", local=True), Level.FAIL),
        (StateKind("checkpoints", "files", local=True, detail="x"), Level.FAIL),
        (StateKind("locks", "files", local=True, detail="x"), Level.FAIL),
        (StateKind("something-new", "files", local=True, detail="x"), Level.FAIL),
        (StateKind("checkpoints", "unused", local=False), Level.OK),
    ],
)
def test_kinds_that_nobody_exercised_are_judged_by_what_is_lost(kind, level):
    assert verdict_of(pair(WRITTEN, state=(kind,))).rows[-1].finding.level is level


def test_what_is_local_by_nature_is_no_row():
    cache = StateKind("rpm-limit", "process", local=True, by_nature=True)
    assert [row.state for row in verdict_of(pair(WRITTEN, state=(cache,))).rows] == [
        row.state for row in verdict_of(pair(WRITTEN, state=())).rows
    ]


def test_a_crew_without_memory_passes_and_is_told_so():
    empty = Pair(Answer(state=STATE), Answer(state=STATE))
    found = judge(Outcome(empty, empty))
    assert found.result is Result.PASSED
    assert any("memory=True" in note for note in found.notes)
    assert found.today == ("the crew keeps no memory",)


def test_a_read_only_memory_has_nothing_to_share():
    found = verdict_of(pair(replace(WRITTEN, read_only=True, found=False)))
    assert found.result is Result.PASSED
    assert "read only" in found.rows[0].finding.message


@pytest.mark.parametrize("step", ["write", "read"])
def test_a_process_without_a_crew_fails_with_its_own_words(step):
    broken = Answer("EntrypointBroken", "importing crew failed", "line 3")
    shared = Pair(broken) if step == "write" else Pair(Answer(stores=(WRITTEN,)), broken)
    found = judge(Outcome(shared, shared))
    assert found.result is Result.FAILED
    assert found.failure == "EntrypointBroken: importing crew failed\nline 3"


def test_stand_ins_and_placeholders_are_admitted():
    stand_in = replace(WRITTEN, embedder="stand-in", embedder_note="the crew's is openai's")
    outcome = Outcome(pair(stand_in), pair(stand_in), placeholders=True)
    notes = "\n".join(judge(outcome).notes)
    assert "placeholders" in notes
    assert "the crew's is openai's" in notes
