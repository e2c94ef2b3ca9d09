"""New vectors for memories on their way: those of a crew's embedder."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crew_runtime.errors import InvalidVectorError
from crew_runtime.memory import vectors
from crew_runtime.memory.records import Record
from crew_runtime.moving.errors import MovingError
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.places import ELSEWHERE, About, Target

TEXTS = 64
CHARACTERS = 100_000
"""Of one call of the embedder: services take some hundred thousand tokens at once."""
COMPARED = 5
"""Memories that are there already whose vectors are compared with what the embedder gives."""
SAME = 1e-2
"""Squared distance, in units of the squared length, within which two vectors are of one embedder: a service does not
give the very same numbers twice, and another model gives others in every respect."""
NEAREST = 10

Embed = Callable[[list[str]], list[list[float]]]


class Embedding:
    """Embeds what is missing in the target, and nothing twice: that costs money."""

    def __init__(self, target: Target, name: str, embed: Embed, *, overwrite: bool) -> None:
        """`name`: of the embedder, as the crew names it. `overwrite`: what is there is embedded as well."""
        self._target = target
        self._name = name
        self._embed = embed
        self._overwrite = overwrite
        self._dimension = 0
        self._compared = 0

    def about(self, before: About) -> About:
        """Of the memories with their new vectors. Raises MovingError when the embedder fails."""
        (vector,) = self._vectors(["How long is a vector?"])
        self._dimension = len(vector) // 4
        return About(before.where, self._name, self._dimension, before.count)

    def embed(self, items: Sequence[Item]) -> list[Item]:
        """The same in their order; what is in the target already, and says the same, has no vector now.

        Raises MovingError when the embedder fails, or what is there was made with another one.
        """
        there = {} if self._overwrite else self._target.fingerprints([one.record.id for one in items])
        equal = [one for one in items if there.get(one.record.id) == fingerprint(one)]
        self._compare(equal)
        known = {one.record.id for one in equal}
        made: dict[str, bytes] = {}
        for part in _parts([one.record for one in items if one.record.id not in known]):
            made |= zip([one.id for one in part], self._vectors([one.content for one in part]), strict=True)
        return [one.with_vector(made.get(one.record.id, b"")) for one in items]

    def _compare(self, equal: Sequence[Item]) -> None:
        """Raises MovingError when what is there has other vectors than it would be given."""
        if not self._target.searchable:
            return
        for item in equal[: COMPARED - self._compared]:
            self._compared += 1
            (vector,) = self._vectors([item.record.content])
            if not vector:
                continue
            found = dict(self._target.near(item.with_vector(vector), NEAREST))
            length = float(np.square(vectors.unpack(vector)).sum())
            nearest = min(found.values(), default=np.inf)
            if found.get(item.record.id, nearest) > SAME * length:
                raise MovingError(
                    f"{self._target.where} has the memory {item.record.id} already, with a vector of another embedder "
                    f"than {self._name}. {ELSEWHERE}"
                )

    def _vectors(self, texts: list[str]) -> list[bytes]:
        """Packed; empty for an empty text. Raises MovingError."""
        try:
            made = [vectors.pack(one) for one in self._embed(texts)]
        except InvalidVectorError as error:
            raise MovingError(str(error)) from error
        except Exception as error:
            raise MovingError(
                f"the crew's embedder failed: {type(error).__name__}: {error}; the same command goes on once it works"
            ) from error
        if len(made) != len(texts):
            raise MovingError(f"the crew's embedder gave {len(made)} vectors for {len(texts)} texts")
        for text, vector in zip(texts, made, strict=True):
            if bool(vector) != bool(text.strip()) or (self._dimension and len(vector) not in (0, 4 * self._dimension)):
                raise MovingError(
                    f"the crew's embedder gave a vector of {len(vector) // 4} dimensions for {text[:40]!r}"
                )
        return made


def _parts(records: Sequence[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    size = 0
    for one in records:
        if part and (len(part) >= TEXTS or size + len(one.content) > CHARACTERS):
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.content)
    if part:
        yield part
