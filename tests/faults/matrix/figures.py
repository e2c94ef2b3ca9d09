"""What clients and conditions showed of one fault -> its figures. Pure; times are seconds of one monotonic clock."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

UNSERVED = 10.0
"""Seconds that Ready may stay True while a client is not served."""

Span = tuple[float, float]
Conditions = Mapping[str, tuple[str, str]]
"""Type -> (status, reason)."""


@dataclass
class Request:
    """What one client asked for: one kickoff, tried again under one idempotency key until it is accepted."""

    client: int
    fact: str
    asked: float
    refusals: int = 0
    accepted: float | None = None
    kickoffs: set[str] = field(default_factory=set)
    """Ids that the answers named: one, whatever was tried again."""
    ended: float | None = None
    status: str = ""
    """Its end: completed, error, timeout or cancelled; unknown where nobody knows it any more; else empty."""
    reason: str = ""
    attempt: int = 1
    remembers: bool = False
    """It completed, and its memories were said to be saved."""


@dataclass(frozen=True)
class Look:
    """The conditions from a moment on."""

    at: float
    conditions: Conditions

    @property
    def ready(self) -> bool:
        return self.conditions.get("Ready", ("", ""))[0] == "True"


@dataclass(frozen=True)
class Tells:
    """What has to be said of a fault."""

    condition: str
    reasons: tuple[str, ...] = ()
    """Any of them; empty: any."""

    def in_(self, conditions: Conditions) -> bool:
        """Whether it is said."""
        status, reason = self.conditions_of(conditions)
        return status in ("False", "Unknown") and (not self.reasons or reason in self.reasons)

    def conditions_of(self, conditions: Conditions) -> tuple[str, str]:
        return conditions.get(self.condition, ("", ""))


@dataclass(frozen=True)
class Told:
    """When and how a fault was said."""

    seconds: float
    what: str


def told(looks: Sequence[Look], begun: float, tells: Tells | None) -> Told | None:
    """The first condition after the beginning that says it; without an expectation, the first that turned untrue."""
    before = next((one.conditions for one in reversed(looks) if one.at <= begun), {})
    for look in looks:
        if look.at <= begun:
            continue
        for type_, (status, reason) in look.conditions.items():
            if tells is not None and (type_ != tells.condition or not tells.in_(look.conditions)):
                continue
            if status in ("False", "Unknown") and before.get(type_) != (status, reason):
                return Told(look.at - begun, f"{type_}={status} {reason}")
    return None


def false_ready(looks: Sequence[Look], requests: Iterable[Request], begun: float, until: float) -> float:
    """Seconds of Ready=True in which a client was not served, beyond the first `UNSERVED` of each such time."""
    requests = list(requests)
    waits = [*_refused(requests, until), *_without_completion(requests, begun, until)]
    claimed = ((max(start, begun), end) for start, end in _cut(waits, _union(_spans(looks, until, ready=True))))
    return sum(end - start for start, end in _union((start + UNSERVED, end) for start, end in claimed))


def recovery(looks: Sequence[Look], requests: Iterable[Request], begun: float, counts_from: float) -> float:
    """Seconds from `counts_from` until it was Ready for good, every client was let in, and no kickoff failed of it."""
    requests = list(requests)
    ends = [end for start, end in _spans(looks, counts_from, ready=False) if end > begun]
    ends += [one.accepted for one in requests if one.refusals and one.accepted and one.accepted > begun]
    ends += [one.ended for one in requests if one.ended and one.ended > begun and _suffered(one)]
    return max(0.0, max(ends, default=counts_from) - counts_from)


def _suffered(one: Request) -> bool:
    return one.status in ("error", "timeout", "cancelled") or one.attempt > 1


def _refused(requests: Iterable[Request], until: float) -> list[Span]:
    return [(one.asked, one.accepted or until) for one in requests if one.refusals or one.accepted is None]


def _without_completion(requests: Iterable[Request], begun: float, until: float) -> list[Span]:
    """Between two completions of whatever client: somebody always waits for one."""
    ends = sorted(one.ended for one in requests if one.ended and one.status == "completed")
    marks = [begun, *(end for end in ends if begun < end < until), until]
    return list(itertools.pairwise(marks))


def _spans(looks: Sequence[Look], until: float, *, ready: bool) -> list[Span]:
    ends = [*(one.at for one in looks[1:]), max(until, looks[-1].at)] if looks else []
    return [(one.at, end) for one, end in zip(looks, ends, strict=True) if one.ready is ready]


def _union(spans: Iterable[Span]) -> list[Span]:
    made: list[Span] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        elif end > start:
            made.append((start, end))
    return made


def _cut(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    pairs = ((max(a, c), min(b, d)) for a, b in some for c, d in others)
    return [(start, end) for start, end in pairs if end > start]


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    what: str
    section: str
    redis: str
    """The kind of Redis."""
    accepted: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    """Kickoffs that ended otherwise than completed, and say so: reason -> how many."""
    lost: int = 0
    twice: int = 0
    repeated: int = 0
    """Side effects that were repeated by a kickoff's next attempt, as `onReplicaLoss: Retry` allows."""
    forgotten: int = 0
    told: Told | None = None
    expected: str = ""
    """What had to be told; empty: nothing."""
    late: bool = False
    false_ready: float = 0.0
    recovery: float = 0.0
    destroys: bool = False
    """It took the only copy away: what is lost counts as told, not as a failure."""
    skipped: str = ""
    """Why it was not run."""
    trouble: str = ""
    """What else went wrong: it did not recover, or could not be run."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the run has to fail."""
        if self.skipped:
            return ()
        found = [self.trouble] if self.trouble else []
        if not self.destroys:
            found += [f"{self.lost} lost"] if self.lost else []
            found += [f"{self.forgotten} forgotten"] if self.forgotten else []
        found += [f"{self.twice} completed twice"] if self.twice else []
        if self.expected and self.told is None:
            found.append(f"{self.expected} was not told")
        return tuple(found)
