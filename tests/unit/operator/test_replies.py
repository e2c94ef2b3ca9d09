import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_operator.api.names import ConditionType
from crew_operator.status import chains, replies
from crew_operator.status.replies import NotAReportError
from crew_runtime.contract import report as reports
from crew_runtime.contract.report import BackendHealth, Failure, HistoryHealth, Report, StateKind, WorkerReport
from support.observations import good, replica

FULL = Report(
    replica="r1",
    time=12.5,
    phase="ready",
    message="first line\nsecond line",
    worker=WorkerReport(
        tasks=None, dimension=384, crew_inputs=("guest",), state=(StateKind("memory", "redis", False),)
    ),
    backend=BackendHealth(ready=True, checked_at=12.0),
    history=HistoryHealth(reason="Ok", lag=1.5, waiting=2, bytes=900, lost=1, lost_ago=7.0),
    failures=(Failure(1.0, "CrewFailed", "boom", "k1"),),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def plain(report):
    return json.loads(json.dumps(reports.to_dict(report)))


def test_what_a_replica_says_is_read_as_it_was_said():
    assert replies.report(plain(FULL)) == FULL
    assert replies.report({**plain(FULL), "news": [1]}) == FULL


def paths(data, before=()):
    for key, value in data.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from paths(value, (*before, key))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from paths(value[0], (*before, key, 0))


@given(st.sampled_from(list(paths(plain(FULL)))), JSON)
def test_a_lie_in_any_field_is_refused_or_can_be_judged(path, value):
    data = plain(FULL)
    *way, last = path
    place = data
    for one in way:
        place = place[one]
    place[last] = value
    try:
        found = replies.report(data)
    except NotAReportError:
        return
    seen = good(replicas=(replica("a", report=found), replica("b")), durable_history=True)
    assert set(chains.verdicts(seen)) == set(ConditionType)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300, 10**400, "1", None, True])
def test_a_time_is_a_number_that_can_be(number):
    with pytest.raises(NotAReportError, match="checked_at"):
        replies.report({"replica": "a", "backend": {"checked_at": number}})


def test_texts_and_lists_are_cut_and_control_characters_are_gone():
    found = replies.report(
        {"replica": "a", "message": "\x1b]0;boo\x07" + "x" * 5000, "worker": {"crew_inputs": ["n"] * 5000}}
    )
    assert len(found.message) == replies.LONGEST_TEXT
    assert found.message.startswith("]0;boo x")
    assert len(found.worker.crew_inputs) == replies.MOST_ITEMS


@pytest.mark.parametrize("data", [None, [], "x", 1, {}, {"phase": "ready"}, {"replica": "a", "worker": []}])
def test_what_is_no_report_is_refused(data):
    with pytest.raises(NotAReportError):
        replies.report(data)
    with pytest.raises(NotAReportError):
        replies.step([data])
