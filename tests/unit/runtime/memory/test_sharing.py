"""Who asked: the crew's own code, or an LLM in a tool's arguments."""

import contextvars
import logging
import threading

import pytest

from crew_runtime.sessions import sharing
from crew_runtime.sessions.areas import Asking

SHARED = "/@crew/house"


@pytest.fixture(autouse=True)
def _allowed():
    sharing.allow(True)
    yield
    sharing.allow(False)


def asked(*scopes, **named):
    with sharing.asks(*scopes, **named):
        return sharing.asking()


def in_a_thread(call):
    """Without its context, as threads are."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    thread.join()
    return answers[0]


def test_nobody_is_known_to_ask():
    assert sharing.asking() is None


@pytest.mark.parametrize(
    ("scopes", "crew_wide"),
    [
        ((None,), False), ((), False), (("/",), False), ((SHARED,), True), (("@crew",), True), ((None, SHARED), True),
        (("/a/@crew/b", None), True), (("/@crews", "/a@crew"), False), (("/@Crew",), False), (("/ @crew",), False),
    ],
)  # fmt: skip
def test_a_scope_names_the_crew_by_a_whole_segment(scopes, crew_wide):
    assert asked(*scopes) == Asking(crew_wide)
    assert asked(*scopes, planned=True) == Asking(crew_wide, planned=True)
    assert asked(shares=scopes[0] if scopes else None).shares == (
        bool(scopes) and "@crew" in str(scopes[0]) and crew_wide
    )
    assert sharing.asking() is None


def test_it_has_no_power_until_every_way_is_watched():
    sharing.allow(False)
    assert asked(SHARED, shares=SHARED) == Asking(crew_wide=False)


@pytest.mark.parametrize(
    "given",
    [
        "/@crew/x", "@crew", " @CREW ", {"scope": "@crew"}, {"@crew": 1}, [["a", {"b": ("x/@crew",)}]],
        '{"s": "@crew/x"}', ((), {"text": "ask the @crew."}), {"a": {"@crew"}}, list(range(sharing.LOOKED_AT + 1)),
    ],
)  # fmt: skip
def test_a_call_that_mentions_the_crew_takes_the_power(given, caplog):
    assert sharing.mentions_crew(given)
    with sharing.called_with(given), caplog.at_level(logging.WARNING):
        assert asked(SHARED, shares=SHARED) == Asking(crew_wide=False)
        assert in_a_thread(lambda: asked(SHARED)) == Asking(crew_wide=False)
    assert "an LLM passed it" in caplog.text
    assert asked(SHARED) == Asking(crew_wide=True)


@pytest.mark.parametrize(
    "given", ["the crew", "info@crew2.example", "me@crew", {"a": None, "b": [1, 2.5, True, b"@crew"]}, "@crewai", ()]
)
def test_a_call_that_does_not_leaves_it(given):
    assert not sharing.mentions_crew(given)
    with sharing.called_with(given):
        assert asked(SHARED) == Asking(crew_wide=True)


def test_what_holds_itself_is_looked_at_only_so_far():
    given = []
    given.append(given)
    assert sharing.mentions_crew(given)


def test_calls_within_and_beside_each_other_are_counted():
    with sharing.called_with("@crew"):
        with sharing.called_with("@crew"):
            pass
        assert in_a_thread(sharing.suggested)
        with sharing.called_with("nothing"):
            assert sharing.suggested()
    assert not sharing.suggested()


def test_a_call_that_fails_is_over():
    with pytest.raises(ValueError, match="no"), sharing.called_with("@crew"):
        raise ValueError("no")
    assert not sharing.suggested()


def test_what_goes_on_in_the_background_is_still_the_tools():
    def save():
        with sharing.keep_suggestion():
            return contextvars.copy_context()

    with sharing.called_with("@crew"):
        copies = save(), in_a_thread(save)
    assert [one.run(asked, SHARED) for one in copies] == [Asking(crew_wide=False)] * 2
    assert save().run(asked, SHARED) == Asking(crew_wide=True)
