"""What a crew raised, as its author would see it."""

import importlib

import pytest

from crew_runtime.crewai.kickoffs import kickoff
from crew_runtime.crewai.outputs import tracebacks
from crew_runtime.memory import values as ours


class OwnError(Exception):
    """A user's."""


def _raised(make) -> BaseException:
    try:
        make()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _caused():
    try:
        {}["table"]
    except KeyError as error:
        raise OwnError("no such table") from error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no table"), "ValueError: no table"),
        (KeyError("dish"), "KeyError: 'dish'"),
        (OwnError("no table"), f"{__name__}.OwnError: no table"),
        (ValueError(), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_a_message_names_the_type(error, told):
    assert tracebacks.named(error) == told


def test_an_exception_whose_text_raises_is_still_named():
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "MuteError" in tracebacks.named(MuteError())
    assert "MuteError" in tracebacks.users(_raised(lambda: (_ for _ in ()).throw(MuteError())))


def test_causes_are_kept_in_their_order():
    told = tracebacks.users(_raised(_caused))
    assert told.index("KeyError: 'table'") < told.index("direct cause") < told.index("OwnError: no such table")
    assert told.count("_caused") == 2


def test_frames_of_ours_and_of_the_import_system_are_left_out(tmp_path, monkeypatch):
    (tmp_path / "broken_crew.py").write_text("def build():\n    raise ValueError('not built')\n\nbuild()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    told = tracebacks.users(_raised(lambda: importlib.import_module("broken_crew")))
    assert "broken_crew.py" in told
    assert "in build" in told
    assert "_bootstrap" not in told

    def through_ours():
        kickoff.run(None, {}, "s")

    told = tracebacks.users(_raised(through_ours))
    assert "through_ours" in told
    assert "kickoff.py" not in told
    assert ours.__file__ not in told


def test_groups_and_circles_are_told():
    told = tracebacks.users(_raised(lambda: (_ for _ in ()).throw(ExceptionGroup("two", [OwnError("a")]))))
    assert "OwnError: a" in told
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert "ValueError: one" in tracebacks.users(one)


def test_a_long_traceback_ends_with_the_exception():
    def deeper(levels):
        if not levels:
            raise ValueError("bottom")
        # Two callers, so that Python does not fold the frames.
        (deeper if levels % 2 else lambda left: deeper(left))(levels - 1)

    told = tracebacks.users(_raised(lambda: deeper(200))).splitlines()
    assert len(told) == tracebacks.MAX_LINES
    assert told[-1] == "ValueError: bottom"
