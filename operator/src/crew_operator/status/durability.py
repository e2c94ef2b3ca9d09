"""Whether the store still has what it was given, told by a canary that the operator writes and looks for. Pure.

Each canary has a number, one more than the last one. One that is found again when Redis has had the time to write it to
its disk is kept: from then on the store has to have it, or a newer one, whatever happens to the server. A store that
has an older one, or none, has lost what was written since: its volume was emptied, somebody said FLUSHALL, something
older was restored, or another Redis answers at its address.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from crew_operator.status.conditions import seconds, timestamp
from crew_operator.status.observed import Canary, Loss, RedisLook, RedisState

SYNCED: Final = 2.0
"""Seconds within which an append-only file of `appendfsync everysec` is on the disk."""
_TEXT: Final = re.compile(r"([0-9a-f]{16}) (\d{1,15}) (\d{1,11})", re.ASCII)
"""A crew may write there what it likes: a time of eleven digits is before the year 5139, and can be told."""


@dataclass(frozen=True)
class Ledger:
    """What is known of one crew's store."""

    kept: Canary | None = None
    """The newest that has to be there."""
    written: Canary | None = None
    """A newer one that may have gone with the server if that ended at once."""
    loss: Loss | None = None


def parsed(text: str) -> Canary | None:
    """What was found; None for what no operator wrote."""
    found = _TEXT.fullmatch(text)
    return Canary(found[1], int(found[2]), int(found[3])) if found else None


def follow(ledger: Ledger, look: RedisLook, now: float) -> Ledger:
    """The ledger after one more look. `now` in Unix seconds."""
    if look.state is not RedisState.OK or look.canary is None:
        return ledger
    judged = _judged(ledger, look.canary, now)
    return replace(judged, written=parsed(look.canary_written) or judged.written)


def next_canary(ledger: Ledger, found: str, fresh: str, interval: float, now: float) -> str:
    """What to write over what was found; nothing while it is not time for it, or after a loss.

    Args:
        found: what is there; empty when nothing is.
        fresh: the name of a store that is begun: 16 random hexadecimal digits.
        interval: seconds between two canaries.
        now: Unix seconds.
    """
    judged = _judged(ledger, found, now)
    if judged.loss is not None:
        return ""
    last = judged.written or judged.kept
    if last is None:
        return str(Canary(fresh, 1, int(now)))
    if 0 <= now - last.time < interval and parsed(found) is not None:
        return ""
    return str(Canary(last.store, last.number + 1, int(now)))


def accepted(ledger: Ledger, said: str | None) -> Ledger:
    """After somebody may have accepted the loss: what the store has by now counts from then on."""
    return Ledger() if ledger.loss is not None and said == ledger.loss.id else ledger


def _judged(ledger: Ledger, text: str, now: float) -> Ledger:
    found, kept, written = parsed(text), ledger.kept, ledger.written
    if found is not None and found == written and now - written.time >= SYNCED:
        return Ledger(kept=written)
    if kept is None:
        # What another operator wrote before this one, of a CrewDeployment that was deleted and made again for one.
        return Ledger(kept=found) if found is not None and found != written else ledger
    if found is None or found.store != kept.store or found.number < kept.number:
        return replace(ledger, written=None, loss=ledger.loss or _loss(kept, found, now))
    if found != written and found.number > kept.number:
        return Ledger(kept=found)
    return replace(ledger, loss=None)  # it is back


def _loss(kept: Canary, found: Canary | None, now: float) -> Loss:
    if found is not None and found.store == kept.store:
        what = f"it has the state of {timestamp(found.time)}, and nothing that was written after that"
    elif found is not None:
        what = "it holds the data of another store"
    else:
        what = "it has nothing of what it held"
    name = hashlib.sha256(f"{kept} {found} {int(now)}".encode()).hexdigest()[:8]
    message = f"Redis has lost what was last seen in it at {timestamp(kept.time)}: {what}"
    return Loss(name, int(now), message)


# In the status -------------------------------------------------------------------------------------------------------


def shown(ledger: Ledger) -> dict[str, Any]:
    """`status.memory.canary` and `status.memory.loss`."""
    kept, loss = ledger.kept, ledger.loss
    return {
        "canary": kept and {"store": kept.store, "number": kept.number, "time": timestamp(kept.time)},
        "loss": loss and {"id": loss.id, "time": timestamp(loss.time), "message": loss.message},
    }


def recorded(status: Mapping[str, Any]) -> Ledger:
    """What an operator before this one has left."""
    memory = status.get("memory") or {}
    return Ledger(kept=_canary(memory.get("canary") or {}), loss=_told_loss(memory.get("loss") or {}))


def _canary(told: Mapping[str, Any]) -> Canary | None:
    try:
        return Canary(str(told["store"]), int(told["number"]), int(seconds(str(told["time"]))))
    except (KeyError, ValueError):
        return None


def _told_loss(told: Mapping[str, Any]) -> Loss | None:
    try:
        return Loss(str(told["id"]), int(seconds(str(told["time"]))), str(told["message"]))
    except (KeyError, ValueError):
        return None
