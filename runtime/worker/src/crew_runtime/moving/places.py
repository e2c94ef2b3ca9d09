"""What a move needs of the place that memories come from, and of the one that they go to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from crew_runtime.moving.items import Item, fingerprint


@dataclass(frozen=True)
class About:
    """What is known of memories before the first one is read."""

    where: str
    """In words, without a password."""
    embedder: str = ""
    """Name of the one that the vectors were made with; empty: nobody knows."""
    dimension: int | None = None
    """Of the vectors; None: there are none."""
    count: int | None = None
    """At most; None: nobody knows."""


@dataclass
class Written:
    """What became of some memories."""

    written: int = 0
    equal: int = 0
    kept: tuple[str, ...] = ()
    """Ids of those that are there otherwise and used later."""
    taken: tuple[str, ...] = ()
    """Ids that another session or the crew has already."""

    def stays(self, there: Item, item: Item) -> bool:
        """Whether what is there is left as it is, and why: it says the same, or was used later."""
        if fingerprint(there) == fingerprint(item):
            self.equal += 1
        elif there.record.accessed > item.record.accessed:
            self.kept += (item.record.id,)
        else:
            return False
        return True


class Source(Protocol):
    """Where memories come from. It is not changed."""

    notes: list[str]
    """What is worth knowing of what was read."""

    def about(self) -> About:
        """Raises MovingError when there are no memories that can be read."""

    def items(self) -> Iterator[Item]:
        """All, each id once."""


class Target(Protocol):
    """Where memories go."""

    where: str
    searchable: bool
    """Whether `near` can be asked."""

    def begin(self, about: About) -> None:
        """Raises MovingError when what comes does not fit what is there."""

    def placed(self, item: Item) -> Item:
        """As it will lie here. Raises MovingError when it may not."""

    def write(self, items: Sequence[Item]) -> Written:
        """Placed ones. What is there already is written no second time."""

    def finish(self) -> None:
        """All is written."""

    def fingerprints(self, ids: Sequence[str]) -> dict[str, bytes]:
        """`items.fingerprint` of those that are there."""

    def near(self, item: Item, limit: int) -> list[tuple[str, float]]:
        """Ids and squared distances of what a recall would find by this memory's own vector, the nearest first."""


def misfit(where: str, there: int | None, about: About) -> str:
    """What to say of vectors of another length."""
    return (
        f"{where} holds vectors of {there} dimensions, and those of {about.where} have {about.dimension}: they were "
        f"made with another embedder, and neither finds what the other stored. {ELSEWHERE}"
    )


ELSEWHERE = (
    "Move them to a place of their own (another spec.memory.keyPrefix, another folder), for a crew with the embedder "
    "that they were made with"
)
