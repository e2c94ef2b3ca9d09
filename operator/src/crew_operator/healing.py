"""Observed facts and past acts -> what to do about them. Decides and does nothing itself.

A Redis that takes connections but answers nothing is replaced; the kubelet cannot see that, since its probe only asks
for an open port. Out of memory or disk is not healed: a restart would free nothing.
"""

from dataclasses import dataclass, replace

from crew_operator.status.observed import Observed, RedisLook, RedisState

PATIENCE = 20.0
"""Seconds that Redis may stay wedged: longer than a slow script or a fork of a large data set takes."""
FIRST_PAUSE = 60.0
"""Seconds between the first replacement and the next; doubles with each."""
LONGEST_PAUSE = 900.0
"""Seconds."""
FORGIVEN_AFTER = 600.0
"""Seconds of health after which the pause is short again."""


@dataclass(frozen=True)
class History:
    """What is remembered of one CrewDeployment between passes."""

    wedged_pod: str = ""
    """uid of the pod that was seen wedged."""
    wedged_since: float = 0.0
    """Since when, without an answer in between."""
    replaced_at: float = 0.0
    replacements: int = 0
    healthy_since: float = 0.0


@dataclass(frozen=True)
class ReplaceRedisPod:
    """Delete this pod, so that its StatefulSet makes a new one."""

    uid: str
    wedged_for: float
    """Seconds."""


def acts(seen: Observed, history: History, now: float) -> tuple[tuple[ReplaceRedisPod, ...], History]:
    """What to do now, and what to remember. `now` in seconds of any clock that only moves forward."""
    pod, look = seen.redis_pod, seen.redis
    if not seen.managed or pod is None or not isinstance(look, RedisLook):
        return (), history
    if look.state is not RedisState.WEDGED:
        return (), _unwedged(look, history, now)
    if history.wedged_pod != pod.uid:
        return (), replace(history, wedged_pod=pod.uid, wedged_since=now, healthy_since=0.0)
    wedged_for = now - history.wedged_since
    if wedged_for < PATIENCE or now < history.replaced_at + _pause(history):
        return (), history
    done = replace(history, wedged_pod="", wedged_since=0.0, replaced_at=now, replacements=history.replacements + 1)
    return (ReplaceRedisPod(pod.uid, wedged_for),), done


def _pause(history: History) -> float:
    if history.replacements == 0:
        return 0.0
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (history.replacements - 1))


def _unwedged(look: RedisLook, history: History, now: float) -> History:
    history = replace(history, wedged_pod="", wedged_since=0.0)
    if look.state is not RedisState.OK:
        return replace(history, healthy_since=0.0)
    if not history.healthy_since:
        return replace(history, healthy_since=now)
    if history.replacements and now - history.healthy_since >= FORGIVEN_AFTER:
        return replace(history, replacements=0)
    return history
