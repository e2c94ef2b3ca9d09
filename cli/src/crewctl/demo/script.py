"""The story, as data: what is said before each step, and what the stage does in it."""

from collections.abc import Callable
from dataclasses import dataclass

from crewctl.demo import waiting
from crewctl.demo.stage import Hope, Stage

FACT = "I am allergic to peanuts."
QUESTION = "What should the kitchen avoid?"
WORD = "peanut"
"""Stands in every reply that remembers the fact, also in one of a real LLM."""
GUEST = "ada"
OTHER_GUEST = "grace"


@dataclass(frozen=True)
class Step:
    """One act."""

    title: str
    """For the table."""
    words: str
    """What is said before."""
    act: Callable[[Stage], None]
    """Raises CrewctlError when it cannot be done; what was asked and not remembered, the stage has seen."""


def _deploy(stage: Stage) -> None:
    stage.apply()
    stage.wait_ready()
    stage.show()


def _tell(stage: Stage) -> None:
    stage.ask(stage.replicas()[0], FACT, GUEST, WORD, Hope.NOTED)


def _ask_another(stage: Stage) -> None:
    stage.ask(stage.replicas()[-1], QUESTION, GUEST, WORD, Hope.KNOWN)


def _replace_all(stage: Stage) -> None:
    stage.ask(stage.delete_replicas()[0], QUESTION, GUEST, WORD, Hope.KNOWN)


def _kill_redis(stage: Stage) -> None:
    stage.kill_redis()
    stage.wait_ready(waiting.RECOVERED)
    stage.show()
    stage.ask(stage.replicas()[0], QUESTION, GUEST, WORD, Hope.KNOWN)


def _scale(stage: Stage) -> None:
    for pod in stage.scale(4):
        stage.ask(pod, QUESTION, GUEST, WORD, Hope.KNOWN)


def _other_guest(stage: Stage) -> None:
    stage.ask(stage.replicas()[-1], QUESTION, OTHER_GUEST, WORD, Hope.UNKNOWN)


STEPS = (
    Step("deploy", "The crew is one resource: two replicas, a Redis, one memory. A stock kubectl applies it.", _deploy),
    Step("tell replica A", "A guest tells a fact to one replica, straight to that pod's address.", _tell),
    Step("ask replica B", "The other replica is asked, in other words. It was never told.", _ask_another),
    Step(
        "replace all",
        "Every replica is deleted. The new ones started after the fact was told.",
        _replace_all,
    ),
    Step("kill Redis", "Redis is killed with -9. The conditions have to say so, and it has to return.", _kill_redis),
    Step("scale to 4", "From two replicas to four: each of them has to know.", _scale),
    Step("another guest", "Another guest's session must not see it.", _other_guest),
)
