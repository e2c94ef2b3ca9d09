"""The crew answers from CrewAI's memory, and from nothing else."""

import pytest

UNKNOWN = "I don't know"
FACTS = (
    "I am allergic to peanuts.",
    "We arrive on Friday at 6.30 pm!",
    "My dog is called Rex.",
    "I like a room high up, with a view of the sea.",
    "We celebrate our wedding anniversary on the 12th.",
)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What should the kitchen avoid?", "peanuts"),
        ("Which dish must not be served to me?", "peanuts"),
        ("When do we come?", "6.30 pm"),
        ("What is the name of my pet?", "Rex"),
        ("Which room does the guest prefer?", "view of the sea"),
        ("Is there something to celebrate?", "12th"),
    ],
)
def test_a_question_in_other_words_finds_the_fact_among_others(say, question, expected):
    say(" ".join(FACTS))
    assert expected in say(question)


def test_the_answer_holds_the_asked_fact_only(say):
    say(" ".join(FACTS))
    assert say("What is the name of my pet?") == "You told us: My dog is called Rex."


def test_what_was_never_told_is_not_known(say):
    say(" ".join(FACTS))
    assert say("What is my car's licence plate?").startswith(UNKNOWN)


def test_nothing_is_known_before_it_was_told(say):
    assert say("What should the kitchen avoid?").startswith(UNKNOWN)


def test_without_memory_the_same_crew_knows_nothing(say, monkeypatch):
    monkeypatch.setenv("CONCIERGE_MEMORY", "off")
    say("I am allergic to peanuts.")
    assert say("What should the kitchen avoid?").startswith(UNKNOWN)


def test_a_fact_told_twice_is_kept_once(say):
    from concierge.crew import Concierge

    say("I am allergic to peanuts.")
    say("I am allergic to peanuts!")
    assert len(Concierge().crew()._memory.list_records()) == 1


def test_a_number_told_anew_replaces_the_old_one(say):
    say("Our room is number 12.")
    say("Our room is number 14.")
    answer = say("Which room number do we have?")
    assert "14" in answer
    assert "12" not in answer
