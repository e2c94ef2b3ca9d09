from crew_operator import events
from crew_operator.events import Note
from crew_operator.status.conditions import Transition

OWNER = {"metadata": {"name": "concierge", "namespace": "lobby", "uid": "u"}}


def test_same_thing_said_again_is_the_same_event_counted():
    note = Note("RedisWedged", "no answer", warning=True)
    first, again = (events.event(OWNER, note, 0, now, count) for now, count in ((0, 1), (60, 2)))
    assert first["metadata"] == again["metadata"]
    assert (again["count"], again["firstTimestamp"], again["lastTimestamp"]) == (
        2,
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:01:00Z",
    )


def test_new_conditions_are_no_news_except_a_crew_that_is_not_ready():
    new = [Transition(type_, "False", "X", "m", None) for type_ in ("Ready", "MemoryReady")]
    assert [note.message for note in events.notes(new)] == ["Ready=False: m"]


def test_every_later_transition_is_news_and_false_is_a_warning():
    changes = [Transition("MemoryReady", "False", "X", "m", "True"), Transition("Ready", "True", "Y", "m", "False")]
    assert [note.warning for note in events.notes(changes)] == [True, False]


def test_what_is_merely_starting_is_not_told_and_what_is_wrong_is():
    changes = [
        Transition("Ready", "False", "RedisPodMissing", "m", None),
        Transition("CrewAvailable", "False", "ReplicasNotReady", "m", "Unknown"),
        Transition("Progressing", "False", "SpecInvalid", "m", "True"),
    ]
    assert events.notes(changes, starting=True) == (Note("SpecInvalid", "Progressing=False: m", warning=True),)
    assert [note.warning for note in events.notes(changes)] == [True, True, True]


def test_what_a_crew_gets_that_was_never_ready_is_told_by_ready_and_what_it_loses_by_itself():
    changes = [
        Transition("Ready", "True", "AllGood", "m", "False"),
        Transition("MemoryReady", "True", "Answers", "m", "False"),
        Transition("MemoryShared", "Unknown", "MemoryNotReady", "m", "False"),
        Transition("MemoryDurable", "False", "PersistenceOff", "m", "Unknown"),
    ]
    assert [note.reason for note in events.notes(changes, first=True)] == ["AllGood", "PersistenceOff"]
    assert len(events.notes(changes)) == 4


def test_what_was_hushed_is_a_warning_when_the_crew_should_have_started():
    conditions = [
        {"type": "Ready", "status": "False", "reason": "ReplicasNotReady", "message": "m"},
        {"type": "MemoryReady", "status": "True", "reason": "Answers", "message": "m"},
        {"type": "Progressing", "status": "False", "reason": "SpecInvalid", "message": "told before"},
    ]
    assert events.overdue(conditions) == (Note("ReplicasNotReady", "Ready=False: m", warning=True),)


def test_combined_events_have_one_name_whatever_they_say():
    one, other = (
        events.event(OWNER, Note("X", text, warning=True), 0, 1, 1, combined=True) for text in ("a", "b" * 1024)
    )
    assert one["metadata"] == other["metadata"]
    assert one["message"] == "(combined from similar events) a"
    assert len(other["message"]) <= 1024
    assert events.event(OWNER, Note("X", "a", warning=True), 0, 1, 1)["metadata"] != one["metadata"]
