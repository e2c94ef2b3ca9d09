from hypothesis import given
from hypothesis import strategies as st

from crew_operator.api.names import ConditionType
from crew_operator.status import conditions
from crew_operator.status.checks import Verdict
from crew_runtime.contract.reasons import Reason

verdict = st.builds(
    Verdict,
    status=st.sampled_from(["True", "False", "Unknown"]),
    reason=st.sampled_from(list(Reason)),
    message=st.text(max_size=30),
)
verdicts = st.fixed_dictionaries(dict.fromkeys(ConditionType, verdict))
times = st.integers(0, 4_000_000_000)


@given(verdicts, times, times)
def test_merging_again_changes_nothing(found, first, second):
    before = conditions.merge((), found, 1, first)
    assert conditions.merge(before, found, 1, second) == before
    assert conditions.transitions(before, conditions.merge(before, found, 1, second)) == ()


@given(verdicts, verdicts, times, times)
def test_transition_time_moves_with_the_status_and_only_then(first, second, then, now):
    before = {one["type"]: one for one in conditions.merge((), first, 1, then)}
    for one in conditions.merge(list(before.values()), second, 2, now):
        moved = one["status"] != before[one["type"]]["status"]
        expected = conditions.timestamp(now) if moved else before[one["type"]]["lastTransitionTime"]
        assert one["lastTransitionTime"] == expected
        assert one["observedGeneration"] == 2


@given(verdicts, verdicts)
def test_each_change_of_status_or_reason_is_one_transition(first, second):
    before = conditions.merge((), first, 1, 0)
    after = conditions.merge(before, second, 1, 0)
    known = {one["type"]: (one["status"], one["reason"]) for one in before}
    changed = [one["type"] for one in after if known[one["type"]] != (one["status"], one["reason"])]
    assert [transition.type for transition in conditions.transitions(before, after)] == changed


def test_long_message_is_cut_to_what_an_event_takes():
    found = {ConditionType.READY: Verdict("False", Reason.SPEC_INVALID, "x" * 5000)}
    (one,) = conditions.merge((), found, 1, 0)
    assert len(one["message"]) == conditions.MAX_MESSAGE


def test_no_message_has_what_a_terminal_obeys():
    verdict = Verdict("False", Reason.CONTAINER_CRASHES, "ended:\n  \x1b[2Jboo\x07")
    [one] = conditions.merge([], {ConditionType.READY: verdict}, 1, 0)
    assert one["message"] == "ended:\n   [2Jboo"
