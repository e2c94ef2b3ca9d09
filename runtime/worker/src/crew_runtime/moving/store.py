"""A crew's store in Redis as a place."""

import time
from collections.abc import Iterator, Sequence

from crew_runtime.contract import sessions
from crew_runtime.contract.moving import Place
from crew_runtime.crewai.embedders import identity
from crew_runtime.guard.call import Guard
from crew_runtime.memory import ladder
from crew_runtime.memory.filters import Filter
from crew_runtime.memory.records import Record
from crew_runtime.memory.search import Search
from crew_runtime.memory.store import Store, Target
from crew_runtime.moving.errors import MovingError
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.places import ELSEWHERE, About, Written, misfit
from crew_runtime.redis_client import Connections, address
from crew_runtime.sessions import areas
from crew_runtime.settings import Settings

DEADLINE = 20.0
"""Seconds for one call: through a tunnel to a cluster a megabyte takes longer than beside it."""
READ = 200
"""Records read at once, with their vectors."""


class RedisSource:
    """Reads what the crew and its sessions remember; what they do meanwhile may be among it."""

    def __init__(self, place: Place) -> None:
        self._settings = _settings(place)
        self._store = Store(Guard(Connections(self._settings)), place.key_prefix)
        self._ids: list[str] = []
        self.notes: list[str] = []

    def about(self) -> About:
        """Raises MovingError when there is nothing under the key prefix, BackendError."""
        where = _where(self._settings)
        self._ids = self._store.all_ids()
        if not self._ids:
            raise MovingError(
                f"{where} has no memories: check the key prefix, which is NAMESPACE/NAME of the crew by default"
            )
        return About(where, self._store.embedder(), self._store.dimension(), len(self._ids))

    def items(self) -> Iterator[Item]:
        """Without proofs, and without what belongs to sessions that have ended. Raises BackendError."""
        ended: dict[str, bool] = {}
        left = 0
        for start in range(0, len(self._ids), READ):
            for record in self._store.read(self._ids[start : start + READ], with_vectors=True):
                item = _logical(record) if record is not None else None
                if item is None:
                    continue
                if item.session is not None and self._has_ended(item.session, ended):
                    left += 1
                    continue
                yield item
        if left:
            self.notes.append(f"{left} memories belong to sessions that have ended: they were left out")

    def _has_ended(self, session: str, known: dict[str, bool]) -> bool:
        if session not in known:
            end = self._store.session_end(sessions.segment(session))
            known[session] = end is not None and end < time.time()
        return known[session]


class RedisTarget:
    """Writes as a crew's replica does, so that its replicas may work meanwhile."""

    searchable = True

    def __init__(self, place: Place, *, session: str, overwrite: bool) -> None:
        settings = _settings(place)
        self.where = _where(settings)
        self._store = Store(Guard(Connections(settings)), place.key_prefix, vector_type=place.vector_type)
        self._session = session or None
        self._overwrite = overwrite
        self._chosen: Search | None = None
        self._marks: dict[str, str] = {}

    def begin(self, about: About) -> None:
        """Raises MovingError when the vectors or their embedder do not fit, BackendError."""
        self._store.check(None)
        there = self._store.dimension()
        if there is not None and about.dimension is not None and there != about.dimension:
            raise MovingError(misfit(self.where, there, about))
        named = self._store.embedder()
        if not about.embedder:
            return
        if named and identity.differ(named, about.embedder):
            raise MovingError(
                f"the memories of {self.where} were made with the embedder {named}, and those of {about.where} with "
                f"{about.embedder}: neither finds what the other stored. {ELSEWHERE}"
            )
        if not named and self._store.all_ids():
            raise MovingError(
                f"nobody named the embedder that the memories of {self.where} were made with, and it may be another "
                f"one than {about.embedder}: start a crew with them once, which names it, or move to a place of its own"
            )
        if not named:
            self._store.made_with(about.embedder)

    def placed(self, item: Item) -> Item:
        """What is nobody's belongs to the session that was named, if one was."""
        return item if item.session is not None else Item(item.record, self._session)

    def write(self, items: Sequence[Item]) -> Written:
        """All or none of those of one session. Raises BackendError."""
        there = self._there([one.record.id for one in items])
        told, new = Written(), dict[str | None, list[Record]]()
        for item in items:
            record_id = item.record.id
            if (old := there.get(record_id)) is not None:
                was = _logical(old)
                if was is None or was.session != item.session:
                    told.taken += (record_id,)
                    continue
                if not self._overwrite and told.stays(was, item):
                    continue
            stored = item.record._replace(scope=areas.to_store(_areas(item.session), item.record.scope))
            new.setdefault(item.session, []).append(stored)
        for session, batch in new.items():
            if self._store.bring(batch, self._target(session)):
                self._search.ensure()  # the first vectors: now an index can be made
            told.written += len(batch)
        return told

    def finish(self) -> None:
        """The index holds all. Raises BackendError."""
        self._search.ensure()

    def fingerprints(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Raises BackendError."""
        found = ((one, _logical(record)) for one, record in self._there(ids).items())
        return {one: fingerprint(item) for one, item in found if item is not None}

    def near(self, item: Item, limit: int) -> list[tuple[str, float]]:
        """As a kickoff of the session finds it. Raises BackendError."""
        found = self._search.nearest(Filter(roots=_areas(item.session).seen), item.record.vector, limit)
        return [(record.id, distance) for record, distance in found]

    @property
    def _search(self) -> Search:
        if self._chosen is None:
            self._chosen = ladder.choose(self._store, DEADLINE)
        return self._chosen

    def _there(self, ids: Sequence[str]) -> dict[str, Record]:
        found = zip(ids, self._store.read(ids), strict=True)
        return {one: record for one, record in found if record is not None}

    def _target(self, session: str | None) -> Target:
        root = _areas(session).own
        if session is None:
            return Target((root,))
        segment = sessions.segment(session)
        if segment not in self._marks:
            # The crew says how long its sessions live, and this changes nothing of it.
            self._marks[segment] = self._store.use(segment, self._store.session_ttl())
        return Target((root,), segment, self._marks[segment])


def _areas(session: str | None) -> areas.Areas:
    return areas.CREW if session is None else areas.of_session(session)


def _logical(record: Record) -> Item | None:
    """None: no kickoff's memory, but a proof's."""
    area, _, rest = record.scope.removeprefix("/").partition("/")
    scope = record._replace(scope=areas.to_crewai(record.scope))
    if area == areas.CREW.own.strip("/"):
        return Item(scope)
    if area == sessions.AREA.strip("/"):
        return Item(scope, sessions.session_id(rest.partition("/")[0]))
    return None


def _settings(place: Place) -> Settings:
    return Settings(
        redis_url=place.url,
        key_prefix=place.key_prefix,
        redis_ca_file=place.ca_file or None,
        backend_deadline=DEADLINE,
        durability=place.durability,
    )


def _where(settings: Settings) -> str:
    return f"the Redis at {address(settings)} under the key prefix {settings.key_prefix!r}"
