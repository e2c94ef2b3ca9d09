"""What is known of the members of one Redis: pods, what each answered, and who is on record as their primary."""

from dataclasses import dataclass
from enum import StrEnum

from crew_operator.api.spec import MEMBERS
from crew_operator.status.observed import RedisMember
from crew_runtime.contract import REDIS_PORT

Member = RedisMember

NOBODY = ("127.0.0.1", 1)
"""The address that a sealed member replicates from: nothing answers there, so it takes no writes from anybody."""


class Contact(StrEnum):
    """How a member took the last question."""

    ANSWERS = "answers"
    LOADING = "loading"
    """It reads its data back, and can tell nothing of it."""
    REFUSES = "refuses"
    """Nothing listens: its process has ended."""
    SILENT = "silent"
    """No answer in time, or none that makes sense."""


@dataclass(frozen=True)
class Answer:
    """What a member's Redis said of itself."""

    is_primary: bool = False
    source: tuple[str, int] = ("", 0)
    """Whom it replicates from; of a replica."""
    linked: bool = False
    """Its link to that one is up, and its first synchronisation over."""
    syncing: bool = False
    """It copies everything from that one."""
    heard: float = 0.0
    """Seconds since it heard from that one."""
    term: int = 0
    """Of the primary that its data came from; 0: it has none, as an empty one."""
    position: int = 0
    """The number of the last acknowledged write that it holds."""
    offset: int = 0
    """How far it is in the stream of its primary, in bytes."""
    keys: int = 0
    replicas: int = 0
    """That are online and heard from, of a primary."""
    fenced: bool = False
    """It takes no write while no replica is online."""

    @property
    def is_sealed(self) -> bool:
        """It replicates from nobody, and takes no writes."""
        return not self.is_primary and self.source == NOBODY

    @property
    def holds_data(self) -> bool:
        """Of a primary of ours, whole: its vote counts. One whose volume was emptied, or that was sealed while it
        copied everything anew, has no term."""
        return self.term > 0


@dataclass(frozen=True)
class Look:
    """One look at one member."""

    contact: Contact
    answer: Answer | None = None
    """None: it gave none."""
    at: float = 0.0
    """When it was begun, by the monotonic clock."""
    message: str = ""


class Leaving(StrEnum):
    """How far two of three members are from being given up, because the spec wants one."""

    NO = ""
    READY = "ready"
    """The first one is primary, of the newest template, and all hold the same: the crew need not ask for replicas."""
    ALONE = "alone"
    """No pod of the crew asks for one: the first one takes writes without, and no other one may be elected."""
    OVER = "over"
    """Whatever starts the first one again starts it as one that runs alone: the record is of no use without others."""


@dataclass(frozen=True)
class Record:
    """Who is primary, as all operators know it."""

    term: int
    primary: str
    """Name of the member."""
    whole: bool = False
    """All members have once held the same data: from then on a write can be acknowledged by two."""
    leaving: Leaving = Leaving.NO

    @property
    def is_alone(self) -> bool:
        """The primary takes writes that nobody else has."""
        return self.leaving in (Leaving.ALONE, Leaving.OVER)


@dataclass(frozen=True)
class Suspicion:
    """What speaks against the primary on record, gathered over several looks."""

    term: int = 0
    """Of that primary: nothing of it speaks against the next one."""
    refused: int = 0
    """Times in a row."""
    silent_since: float = 0.0
    """When it began to give no answer; 0: it answers."""
    alone_since: float = 0.0
    """When it began to have no replica; 0: it has."""


@dataclass(frozen=True)
class Picture:
    """All that one step decides by."""

    members: tuple[Member, ...]
    looks: dict[str, Look]
    """By the member's name; one without an address was not asked."""
    record: Record | None
    wanted: int
    """How many members there should be."""
    port: int = REDIS_PORT
    leaving: bool = False
    """The spec wants the first member alone."""
    replicas: int = MEMBERS
    """How many members the StatefulSet is to have for now."""

    def look(self, name: str) -> Look | None:
        """The last look at a member."""
        return self.looks.get(name)

    def answer(self, name: str) -> Answer | None:
        """What it said, if it did."""
        look = self.looks.get(name)
        return look.answer if look is not None else None

    def member(self, name: str) -> Member | None:
        """The pod of this name."""
        return next((one for one in self.members if one.name == name), None)

    @property
    def first(self) -> Member | None:
        """The one that stays when the others leave."""
        return next((one for one in self.members if one.ordinal == 0), None)

    @property
    def answering(self) -> tuple[tuple[Member, Answer], ...]:
        """Those that answer, with what they said."""
        found = ((one, self.answer(one.name)) for one in self.members)
        return tuple((one, said) for one, said in found if said is not None)
