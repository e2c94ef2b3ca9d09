"""What counts as a difference: everything that is not an id."""

import pytest

from fidelity import compare
from fidelity.cases import CASES
from fidelity.model import Case, Differs, Kickoff, Step

ID = "12345678-1234-5678-1234-{:012d}"
GOOD = {"status": "completed", "output": "yes", "json": None, "tasks": [], "usage": {"total_tokens": 15}}
CASE = Case("one", "crew", "one")


def seen(notes=(), **changes):
    """One step of one round of one kickoff."""
    return [[[{**GOOD, **changes}, {"notes": list(notes)}]]]


def places(case, bare, ours):
    return [one.where for one in compare.differences(case, bare, ours)]


@pytest.mark.parametrize(
    ("where", "changes"),
    [
        ("0.0.output", {"output": "no"}),
        ("0.0.json", {"json": {}}),
        ("0.0.tasks", {"tasks": [{"name": "a", "output": "", "agent": ""}]}),
        ("0.0.usage.total_tokens", {"usage": {"total_tokens": 16}}),
        ("0.0.status", {"status": "timeout"}),
        ("0.notes", {"notes": ["one more"]}),
    ],
)
def test_any_change_is_a_difference(where, changes):
    assert places(CASE, seen(), seen()) == []
    assert places(CASE, seen(), seen(**changes)) == [where]


def test_ids_of_two_runs_are_none():
    assert places(CASE, seen(output=ID.format(1)), seen(output=ID.format(2))) == []


def test_output_that_is_no_text_is_json_in_ours():
    assert places(CASE, seen(output={"a": [1]}), seen(output='{"a": [1]}')) == []
    assert places(CASE, seen(output={"a": [1]}), seen(output="{'a': [1]}")) == ["0.0.output"]
    assert places(CASE, seen(output=None), seen(output="")) == []


def test_error_has_to_name_type_and_message():
    bare = [[[{"status": "error", "error": {"type": "KeyError", "message": "'x'"}}, {"notes": []}]]]

    def ours(text):
        return [[[{"status": "error", "error": {"text": text}}, {"notes": []}]]]

    assert places(CASE, bare, ours("KeyError: 'x'")) == []
    assert places(CASE, bare, ours("'x'")) == ["0.0.error"]
    assert places(CASE, bare, ours("KeyError")) == ["0.0.error"]


def test_what_a_crew_gave_is_compared_though_its_kickoff_ended_as_an_error():
    error = {"status": "error", "error": {"text": "lost", "reason": "MemoryFailed"}}
    case = Case("one", "crew", "one", differs=(Differs("0.0.status", "completed", "error, MemoryFailed", "promised"),))
    assert places(CASE, seen(), seen(**error)) == ["0.0.status"]
    assert places(case, seen(), seen(**error)) == []
    assert places(case, seen(), seen(**error, output="no")) == ["0.0.output"]
    assert places(case, seen(), seen()) == ["0.0.status"]
    other = {**error, "error": {"text": "lost", "reason": "CrewFailed"}}
    assert places(case, seen(), seen(**other)) == ["0.0.status"]
    assert places(case, seen(), [[[error, {"notes": []}]]]) == ["0.0.status"], "without a result"


def test_each_round_is_compared():
    bare, ours = seen(), seen()
    ours[0].append([{**GOOD, "output": "mixed up"}, {"notes": []}])
    assert places(CASE, bare, ours) == ["round 1: 0.0.output"]


def test_declared_difference_is_exact_and_has_to_be_there():
    case = Case("one", "crew", "one", differs=(Differs("0.0.output", "yes", "no", "promised"),))
    assert places(case, seen(), seen(output="no")) == []
    assert places(case, seen(), seen(output="perhaps")) == ["0.0.output"]
    assert places(case, seen(), seen()) == ["0.0.output"]


def test_random_notes_are_counted():
    case = Case("one", "crew", "one", distinct=True)
    assert places(case, seen(notes=["1", "2"]), seen(notes=["3", "4"])) == []
    assert places(case, seen(notes=["1", "2"]), seen(notes=["3", "3"])) == ["0.notes"]


def test_crew_that_does_not_do_what_it_is_to_try_is_no_proof():
    assert places(Case("one", "crew", "one", shows="a tool's answer"), seen(), seen()) == ["bare"]


def test_cases_have_names_of_their_own_and_files():
    from fidelity.halves import FOLDER

    assert len({one.name for one in CASES}) == len(CASES)
    assert [one.name for one in CASES if not (FOLDER / f"crews/{one.module or one.name}.py").exists()] == []


def test_kickoffs_are_alike_only_without_a_session():
    assert Step((Kickoff(), Kickoff())).alike
    assert not Step((Kickoff(session="a"), Kickoff(session="a"))).alike
    assert not Step((Kickoff(), Kickoff({"a": 1}))).alike
