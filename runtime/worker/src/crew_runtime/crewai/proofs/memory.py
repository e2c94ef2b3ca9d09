"""The proof that CrewAI's own Memory reaches the shared store from this process: write a nonce, read it elsewhere.

Through the class and the factory that the crew's memory goes through, but with an embedder and an LLM that cost
nothing, and in an area that no crew sees.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from crewai.events.event_bus import crewai_event_bus
from crewai.llms.base_llm import BaseLLM
from crewai.memory.unified_memory import Memory

from crew_runtime.crewai.state import registration
from crew_runtime.errors import CrewRuntimeError
from crew_runtime.sessions import binding

SCOPE = "/crewops/proof"
FORGOTTEN_AFTER = timedelta(hours=1)
"""What a prover that died left behind goes with the next proof."""
NEAREST = 5


class Prover:
    """Writes, reads and forgets nonces. Raises what CrewAI raises, BackendError among it."""

    def __init__(self, loaded: object = None) -> None:
        """`loaded`: the crew; kept out of it, because its embedder may cost money."""
        del loaded
        self._memory: Memory | None = None

    def write(self, nonce: str) -> None:
        """Remember the nonce."""
        with _unseen():
            memory = self._made()
            # Everything that CrewAI would ask an LLM for is given.
            memory.remember(
                _text(nonce),
                scope=SCOPE,
                categories=["proof"],
                metadata={"nonce": nonce},
                importance=0.0,
                source="crewops",
            )
            now = datetime.now(UTC).replace(tzinfo=None)
            memory.forget(scope=SCOPE, older_than=now - FORGOTTEN_AFTER)

    def read(self, nonce: str) -> tuple[bool, str]:
        """Whether the nonce is there, and how it was looked for: `recall`, or `list` while nothing has a vector."""
        with _unseen():
            memory = self._made()
            if _storage().dimension is not None:
                matches = memory.recall(_text(nonce), scope=SCOPE, limit=NEAREST, depth="shallow")
                if any(one.record.content == _text(nonce) for one in matches):
                    return True, "recall"
            # It may have been written before the first vector fixed the dimension.
            listed = memory.list_records(SCOPE, limit=1000)
            found = any(one.content == _text(nonce) for one in listed)
        return found, "list" if found or _storage().dimension is None else "recall"

    def forget(self, nonce: str) -> None:
        """Forget the nonce."""
        with _unseen():
            self._made().forget(scope=SCOPE, metadata_filter={"nonce": nonce})

    def _made(self) -> Memory:
        if self._memory is None:
            self._memory = Memory(llm=_NoLLM(model="none"), embedder=_embed)
            if self._memory._storage is not _storage():
                raise CrewRuntimeError(
                    "CrewAI's Memory is not on the shared store: the crew's code replaced its storage factory"
                )
        return self._memory


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """In the area of proofs, and without CrewAI's own listeners, which would print each of them in a box."""
    with binding.bind_proof(), crewai_event_bus.scoped_handlers():
        yield


class _NoLLM(BaseLLM):
    """CrewAI makes its default LLM, which needs a key, unless it is given one."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        """Never asked."""
        raise CrewRuntimeError(
            "a proof needs no LLM, and CrewAI asked one: this version remembers otherwise than known"
        )


def _storage() -> Any:
    registered = registration.registered()
    if registered is None:
        raise CrewRuntimeError("there is nothing to prove before crew_runtime.install() was called")
    return registered.storage


def _text(nonce: str) -> str:
    return f"crewops proof {nonce}"


def _embed(texts: Sequence[str]) -> list[list[float]]:
    """One direction a text, of the store's own dimension; none while it has none."""
    dimension = _storage().dimension or 0
    return [_direction(text, dimension) for text in texts]


def _direction(text: str, dimension: int) -> list[float]:
    if not dimension:
        return []
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimension)
    return list((vector / np.linalg.norm(vector)).tolist())
