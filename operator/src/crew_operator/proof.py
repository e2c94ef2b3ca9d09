"""Proves that memory is shared: a nonce goes in through one replica's CrewAI memory and comes out of every other's."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from crew_operator.replica_client import ReplicaClient
from crew_operator.status.observed import Observed, Proof, Replica
from crew_operator.status.replies import Step

RETRY_AFTER: Final = 10.0
"""Seconds after a proof that failed."""


def due(seen: Observed, last: Proof | None, now: float, interval: float, holds: float = 0.0) -> bool:
    """Is another proof wanted? `now` in Unix seconds, `interval` in seconds.

    Args:
        holds: Unix time until which a proof that succeeded counts, however old it is.
    """
    if not seen.ready_replicas:
        return False
    if last is None or last.subject != seen.subject:
        return True
    return now >= (max(last.time + interval, holds) if last.ok else last.time + RETRY_AFTER)


async def prove(client: ReplicaClient, seen: Observed, nonce: str, now: float) -> Proof | None:
    """One proof through all ready replicas; None when a replica cannot take part just yet.

    A single replica reads back what it wrote: from the store, since the prober keeps nothing between two steps.
    """
    writer, *others = seen.ready_replicas
    readers = others or [writer]
    begun = time.monotonic()
    try:
        written = await client.proof(writer.ip, "write", nonce)
        if written is None:
            return None
        read = await asyncio.gather(*(client.proof(one.ip, "read", nonce) for one in readers)) if written.ok else []
        latency = time.monotonic() - begun
    finally:
        await client.proof(writer.ip, "forget", nonce)
    if any(step is None for step in read):
        return None
    message = _complaint(writer, written, readers, [step for step in read if step is not None])
    return Proof(
        time=now,
        subject=seen.subject,
        ok=not message,
        replicas=len(seen.ready_replicas),
        latency=latency,
        message=message,
    )


def _complaint(writer: Replica, written: Step, readers: Sequence[Replica], read: Sequence[Step]) -> str:
    """What went wrong; nothing when it went well."""
    if not written.ok:
        return f"{writer.name} could not write: {written.error or 'no reason given'}"
    failed = [
        f"{one.name} {'could not read: ' + step.error if step.error else 'did not find it'}"
        for one, step in zip(readers, read, strict=True)
        if not (step.ok and step.found)
    ]
    return f"{writer.name} wrote, but {', '.join(failed)}" if failed else ""
