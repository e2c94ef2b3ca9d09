"""Observed facts and past acts -> what to do about them. Decides and does nothing itself.

A Redis that takes connections but answers nothing is replaced; the kubelet cannot see that, since its probe only asks
for an open port. Out of memory or disk is not healed: a restart would free nothing. When many look wedged at once it is
rather the operator that is cut off, by its node or by a mesh that takes connections for a server that is gone: over all
crews only a few are replaced in a while.
"""

from collections import deque
from dataclasses import dataclass, replace

from crew_operator.status.observed import Observed, RedisLook, RedisState

PATIENCE = 20.0
"""Seconds that Redis may stay wedged: longer than a slow script or a fork of a large data set takes."""
GAP = 6.0
"""Seconds that one look speaks for at most: two ticks. A time in which nobody looked is no time without an answer."""
FIRST_PAUSE = 60.0
"""Seconds between the first replacement and the next; doubles with each."""
LONGEST_PAUSE = 900.0
"""Seconds."""
FORGIVEN_AFTER = 600.0
"""Seconds of health after which the pause is short again."""
AT_MOST = 3
"""Replacements of all crews together within INTERVAL."""
INTERVAL = 300.0
"""Seconds."""
TOLD_EVERY = 60.0
"""Seconds between two lines of the log that tell of acts that were held back."""


@dataclass(frozen=True)
class History:
    """What is remembered of one CrewDeployment between passes."""

    wedged_pod: str = ""
    """uid of the pod that was seen wedged."""
    wedged_for: float = 0.0
    """Seconds that looks without an answer speak for, without an answer in between."""
    looked_at: float = 0.0
    """When the last of these was."""
    replaced_at: float = 0.0
    replacements: int = 0
    healthy_since: float = 0.0


@dataclass(frozen=True)
class ReplaceRedisPod:
    """Delete this pod, so that its StatefulSet makes a new one."""

    uid: str
    wedged_for: float
    """Seconds."""


class Fleet:
    """The replacements of all crews."""

    def __init__(self) -> None:
        self._done: deque[float] = deque()
        self._told_at: float | None = None

    def takes(self, now: float) -> bool:
        """Take one, if it is within the bound. Before it is done: many passes may be about to do one."""
        while self._done and now - self._done[0] >= INTERVAL:
            self._done.popleft()
        if len(self._done) >= AT_MOST:
            return False
        self._done.append(now)
        return True

    def gives_back(self, taken_at: float) -> None:
        """One that was taken came to nothing."""
        self._done.remove(taken_at)

    def is_news(self, now: float) -> bool:
        """Whether it is time to tell that one was held back."""
        if self._told_at is not None and now - self._told_at < TOLD_EVERY:
            return False
        self._told_at = now
        return True


def acts(seen: Observed, history: History, now: float) -> tuple[tuple[ReplaceRedisPod, ...], History]:
    """What to do now, and what to remember; an act that was done is told to `replaced`, one that failed is due again.
    `now` in seconds of any clock that only moves forward.
    """
    pod, look = seen.redis_pod, seen.redis
    if not seen.managed or pod is None or not isinstance(look, RedisLook):
        return (), history
    if look.state is not RedisState.WEDGED:
        return (), _unwedged(look, history, now)
    if history.wedged_pod != pod.uid:
        return (), replace(history, wedged_pod=pod.uid, wedged_for=0.0, looked_at=now, healthy_since=0.0)
    wedged_for = history.wedged_for + min(GAP, now - history.looked_at)
    history = replace(history, wedged_for=wedged_for, looked_at=now)
    if wedged_for < PATIENCE or now < history.replaced_at + _pause(history):
        return (), history
    return (ReplaceRedisPod(pod.uid, wedged_for),), history


def replaced(history: History, now: float) -> History:
    """After an act that was done."""
    return replace(history, wedged_pod="", wedged_for=0.0, replaced_at=now, replacements=history.replacements + 1)


def _pause(history: History) -> float:
    if history.replacements == 0:
        return 0.0
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (history.replacements - 1))


def _unwedged(look: RedisLook, history: History, now: float) -> History:
    history = replace(history, wedged_pod="", wedged_for=0.0)
    if look.state is not RedisState.OK:
        return replace(history, healthy_since=0.0)
    if not history.healthy_since:
        return replace(history, healthy_since=now)
    if history.replacements and now - history.healthy_since >= FORGIVEN_AFTER:
        return replace(history, replacements=0)
    return history
