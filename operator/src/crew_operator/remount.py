"""Which pods the kubelet is to bring a changed Secret at once. Decides and does nothing itself.

A kubelet writes what is new in a Secret into a pod's volume when it next syncs the pod: up to 90 s later, or as soon as
the pod changes. So an annotation of the pod makes a rotation a matter of seconds.

Source: "Mounted Secrets are updated automatically", https://kubernetes.io/docs/concepts/configuration/secret/, and the
volume manager, which marks the volumes of a pod for a remount at each sync of it (`pkg/kubelet/volumemanager`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

AGAIN: Final = 10.0
"""Seconds until a pod is changed once more: its kubelet may have seen the pod change before it saw the Secret do so."""
AT_MOST: Final = 3
"""Times that a pod is changed for one version: what does not help then is not the kubelet's delay."""


@dataclass(frozen=True)
class Asked:
    """Of one pod."""

    version: str
    at: float
    """Seconds of a monotonic clock."""
    times: int


def due(
    outdated: Iterable[str], version: str, asked: Mapping[str, Asked], now: float
) -> tuple[list[str], dict[str, Asked]]:
    """The pods to change now, and what is to be remembered instead of `asked` once they are.

    Args:
        outdated: uid of each pod that does not use what the Secret holds.
        version: what it holds.
        asked: uid of a pod -> when it was changed last.
        now: seconds of a monotonic clock.
    """
    pods, remembered = [], {}
    for uid in outdated:
        last = asked.get(uid)
        times = last.times if last is not None and last.version == version else 0
        if last is not None and times and (times >= AT_MOST or now - last.at < AGAIN):
            remembered[uid] = last
            continue
        pods.append(uid)
        remembered[uid] = Asked(version, now, times + 1)
    return pods, remembered


def next_in(asked: Mapping[str, Asked], now: float) -> float | None:
    """Seconds until a pod may have to be changed once more; None: never."""
    left = [one.at + AGAIN - now for one in asked.values() if one.times < AT_MOST]
    return max(0.0, min(left)) if left else None
