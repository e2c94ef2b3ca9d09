"""What a person sees of each result: its words and its colour."""

import io
from pathlib import Path

import pytest

from crew_runtime.contract.rehearsal import Answer, Store
from crewctl.interpreter import Interpreter
from crewctl.screen import PlainConsole
from crewctl.verify import show
from crewctl.verify.facts import Outcome, Pair
from crewctl.verify.judge import judge
from crewctl.verify.project import Project
from crewctl.verify.rounds import Wish

FOUND = Store("locks", "crewai's", "redis", done=True, found=True)
LOST = Store("locks", "crewai's", "files", done=True, found=False)
GREEN, YELLOW, RED = "\x1b[1;32m", "\x1b[1;33m", "\x1b[1;31m"


def shown(store: Store, *, strict: bool = False, **answered: object) -> str:
    """The end of what is printed."""
    out = io.StringIO()
    screen = PlainConsole(file=out, force_terminal=True, color_system="standard", width=200)
    pair = Pair(Answer(stores=(store,), **answered), Answer(stores=(store,)))
    outcome = Outcome(pair, pair)
    wish = Wish(Project(Path("/crew"), "crew:x"), Interpreter(Path("/python")), strict=strict)
    show.on_screen(screen, wish, outcome, judge(outcome))
    return out.getvalue().rstrip().splitlines()[-1]


@pytest.mark.parametrize("answered", [{"left_out": ("hooks: log",)}, {"note": "it needs the network"}])
def test_only_a_kickoff_that_was_seen_is_called_passed(answered):
    assert shown(FOUND).startswith(f"{GREEN}Passed: ")
    unseen = shown(FOUND, **answered)
    assert unseen.startswith(f"{YELLOW}State is shared: ")
    assert "Whether a kickoff works was not seen" in unseen
    assert shown(FOUND, strict=True, **answered).startswith(f"{RED}Failed (--strict): whether a kickoff works")


def test_what_is_local_is_said_rather_than_what_was_not_seen():
    assert shown(LOST, strict=True, left_out=("hooks: log",)).startswith(f"{RED}Failed: locks would not be shared")
