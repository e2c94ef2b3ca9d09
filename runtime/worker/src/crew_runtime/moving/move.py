"""The way that memories go: all of them, in parts, and then a look at what is there."""

import random
from collections.abc import Iterator, Sequence
from typing import Protocol

from crew_runtime.contract.moving import Report
from crew_runtime.moving.embedding import Embedding
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.places import Source, Target

BATCH = 200
"""Memories that are written at once."""
BATCH_BYTES = 2 * 1024 * 1024
"""Or fewer of them, when they are long: other clients of a Redis wait while it takes them."""
LOOK = 1_000
"""Memories that are compared at once."""
NAMED = 5
"""Ids that a message names."""
NEAREST = 10
NEAR = 1e-3
"""Squared distance within which two vectors are as good as one, also where a store keeps 16 bits of each value."""


class Tell(Protocol):
    """Hears how far it is."""

    def step(self, name: str, records: int | None) -> None:
        """A step begins."""

    def advanced(self, records: int) -> None:
        """So many of the step are done."""


def move(source: Source, target: Target, samples: int, tell: Tell, embedding: Embedding | None = None) -> Report:
    """Idempotent: an interrupted one is begun again, and goes on with what is missing.

    `embedding`: gives them other vectors. Raises MovingError, and BackendError of a Redis.
    """
    tell.step("look", None)
    about = source.about() if embedding is None else embedding.about(source.about())
    target.begin(about)
    tell.step("move", about.count)
    expected: dict[str, bytes] = {}
    sample = _Sample(samples if target.searchable else 0)
    written = equal = 0
    kept: list[str] = []
    taken: list[str] = []
    for read in _batches(target.placed(one) for one in source.items()):
        batch = read if embedding is None else embedding.embed(read)
        told = target.write(batch)
        written, equal = written + told.written, equal + told.equal
        kept += told.kept
        taken += told.taken
        expected |= {one.record.id: fingerprint(one) for one in batch}
        sample.look_at(batch, {*told.kept, *told.taken})
        tell.advanced(len(expected))
    target.finish()
    problems = [*_compare(target, expected, kept, taken, tell), *_search(target, sample.chosen, tell)]
    if taken:
        problems.insert(0, f"another session, or the crew, has memories of these ids already: {_some(taken)}")
    return Report(
        records=len(expected),
        written=written,
        equal=equal,
        kept=len(kept),
        sampled=len(sample.chosen),
        dimension=about.dimension,
        embedder=about.embedder,
        problems=tuple(problems),
        notes=tuple(source.notes),
    )


class _Sample:
    """Some of all that come by, each as likely as the other (reservoir sampling)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 - not for secrets; the same ones in every run
        self.chosen: list[Item] = []

    def look_at(self, batch: Sequence[Item], but: set[str]) -> None:
        """Those with a vector, without those whose vector is not there."""
        for item in batch:
            if not item.record.vector or item.record.id in but or not self._size:
                continue
            self._seen += 1
            if len(self.chosen) < self._size:
                self.chosen.append(item)
            elif (at := self._random.randrange(self._seen)) < self._size:
                self.chosen[at] = item


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.record.vector) + len(item.record.content)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _compare(
    target: Target, expected: dict[str, bytes], kept: Sequence[str], taken: Sequence[str], tell: Tell
) -> Iterator[str]:
    """What is not there as it was read."""
    tell.step("compare", len(expected))
    ids, missing, other, there_count = list(expected), list[str](), list[str](), 0
    known = {*kept, *taken}
    part = LOOK if target.searchable else max(1, len(ids))  # a file is read once
    for start in range(0, len(ids), part):
        named = ids[start : start + part]
        there = target.fingerprints(named)
        there_count += len(there)
        missing += [one for one in named if one not in there]
        other += [one for one in named if one in there and there[one] != expected[one] and one not in known]
        tell.advanced(start + len(named))
    if missing:
        yield f"{len(expected)} memories were read and {there_count} are there; missing: {_some(missing)}"
    if other:
        yield f"{len(other)} are there otherwise than they were read: {_some(other)}"


def _search(target: Target, sample: Sequence[Item], tell: Tell) -> Iterator[str]:
    """What of the sample is not found first by its own vector."""
    lost = []
    if sample:
        tell.step("search", len(sample))
    for number, item in enumerate(sample, 1):
        if not _is_found(item.record.id, target.near(item, NEAREST)):
            lost.append(item.record.id)
        tell.advanced(number)
    if lost:
        yield f"{len(lost)} of {len(sample)} memories are not found by their own vector: {_some(lost)}"


def _is_found(record_id: str, near: Sequence[tuple[str, float]]) -> bool:
    """Whether it is the first, or as near as the first; so many may be as near that it is not among them."""
    for found, distance in near:
        if found == record_id:
            return distance <= near[0][1] + NEAR
    return len(near) == NEAREST and near[-1][1] <= NEAR


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - NAMED
    return ", ".join(ids[:NAMED]) + (f" and {more} more" if more > 0 else "")
