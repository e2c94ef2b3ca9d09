"""Whatever is done in whatever order by two processes, both ways of searching answer as a plain list would."""

import contextlib
import dataclasses
import itertools
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from crew_runtime.crewai.state.memory_storage import RedisStorage
from crew_runtime.guard.call import Guard
from crew_runtime.redis_client import Connections
from crew_runtime.sessions import binding, sharing
from crew_runtime.sessions.areas import Asking
from crew_runtime.settings import Settings
from support.memories import direction, record

SESSIONS = st.sampled_from([None, "1", "10"])
SCOPES = st.sampled_from(["/", "/a", "/a/b", "/a/bc", "/ab", "/a/b/c"])
CATEGORIES = st.lists(st.sampled_from(["red", "Red", "blue,red", " "]), max_size=2, unique=True)
METADATA = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from([1, "1", True, None]), max_size=2)
NO_CATEGORIES, NO_METADATA = st.just([]) | CATEGORIES, st.just({}) | METADATA
"""Demands; mostly none, for else hardly anything fulfils them."""
WORDS = st.sampled_from(["tea", "rum", "green tea", "dark rum", "water"])
ASKINGS = st.sampled_from([None, Asking(False), Asking(True), Asking(False, planned=True), Asking(True, planned=True)])
"""Who calls: nobody that is known, the crew's own code for its session or for all, or an LLM's plan for either."""
AGES = st.integers(0, 5).map(lambda minutes: minutes * 60)
_stores = itertools.count(1)


@dataclasses.dataclass
class Known:
    """A record as the model has it, and whose it is: None is the whole crew's."""

    record: object
    owner: str | None

    @property
    def said(self) -> str:
        """Equal for two records of one owner that say the same."""
        one = self.record
        return json.dumps([self.owner, one.content, one.scope, sorted(one.categories), one.metadata], sort_keys=True)


def below(scope: str, prefix: str) -> bool:
    return prefix == "/" or scope == prefix or scope.startswith(prefix + "/")


class Memories(RuleBasedStateMachine):
    url = ""

    @initialize()
    def open(self):
        self.settings = Settings(self.url, f"model/{next(_stores)}")
        self.opened = [Connections(self.settings) for _ in range(2)]
        self.replicas = [RedisStorage(self.settings, Guard(one)) for one in self.opened]
        self.known: dict[str, Known] = {}
        self.twins: dict[str, str] = {}
        self.now = datetime.now(UTC).replace(tzinfo=None)
        self.turn = itertools.cycle(self.replicas)
        self.number = 0

    def teardown(self):
        for one in getattr(self, "opened", ()):
            one.close()

    def ask(self, session, call, asking=None):
        with contextlib.ExitStack() as stack:
            if session is not None:
                stack.enter_context(binding.bind(session))
            if asking is not None:
                scope, shares = "/@crew" if asking.crew_wide else "/", "/@crew" if asking.shares else None
                stack.enter_context(sharing.asks(scope, planned=asking.planned, shares=shares))
            return call(next(self.turn))

    def seen(self, session, prefix="/", owners=None):
        return [
            one.record
            for one in self.known.values()
            if one.owner in (owners or (None, session)) and below(one.record.scope, prefix)
        ]

    @staticmethod
    def owners(session, asking, *, changed=False):
        """Whose records a call reaches; `changed`: by their ids, to change them."""
        if asking is None:
            return (session,) if changed else (None, session)
        written = None if asking.crew_wide else session
        return (written,) if asking.planned or asking.crew_wide else (None, session)

    @rule(
        session=SESSIONS, asking=ASKINGS, scope=SCOPES, words=WORDS, categories=CATEGORIES, metadata=METADATA, age=AGES
    )
    def save(self, session, asking, scope, words, categories, metadata, age):
        self.number += 1  # no two of the same age: their order would be chance
        at = self.now - timedelta(seconds=age, milliseconds=self.number)
        new = record(words, scope, categories=categories, metadata=metadata, created_at=at)
        self.ask(session, lambda storage: storage.save([new]), asking)
        # The same, said again within seconds, is the first one's.
        made = Known(new, None if asking and asking.crew_wide else session)
        first = self.known.get(self.twins.get(made.said, ""))
        if first is None or first.said != made.said:
            self.known[new.id] = made
            self.twins[made.said] = new.id

    @rule(
        session=SESSIONS,
        asking=ASKINGS | st.just(Asking(False, shares=True)),
        data=st.data(),
        words=WORDS,
        scope=SCOPES,
        categories=CATEGORIES,
        metadata=METADATA,
    )
    def update(self, session, asking, data, words, scope, categories, metadata):
        """Of any record, another session's among them, and of those that were deleted."""
        if not self.known:
            return
        one = data.draw(st.sampled_from(list(self.known.values())))
        changed = one.record.model_copy(
            update={"content": words, "embedding": direction(words), "scope": scope, "categories": categories,
                    "metadata": metadata}
        )  # fmt: skip
        self.ask(session, lambda storage: storage.update(changed), asking)
        if one.owner in self.owners(session, asking, changed=True):
            one.record = changed
            if asking and asking.shares:
                one.owner = None

    @rule(
        session=SESSIONS,
        asking=ASKINGS,
        prefix=SCOPES,
        categories=NO_CATEGORIES,
        metadata=NO_METADATA,
        age=st.none() | AGES,
    )
    def delete(self, session, asking, prefix, categories, metadata, age):
        older = None if age is None else self.now - timedelta(seconds=age + 30)
        gone = [
            one.id
            for one in self.seen(session, prefix, (None if asking and asking.crew_wide else session,))
            if self.fits(one, categories, metadata, older)
        ]
        deleted = self.ask(session, lambda storage: storage.delete(prefix, categories, None, older, metadata), asking)
        assert deleted == len(gone)
        for one in gone:
            del self.known[one]

    @rule(session=SESSIONS, asking=ASKINGS, data=st.data())
    def delete_by_id(self, session, asking, data):
        if not self.known:
            return
        ids = data.draw(st.lists(st.sampled_from(list(self.known)), unique=True, max_size=3))
        reached = self.owners(session, asking, changed=True)
        gone = [one for one in ids if self.known[one].owner in reached]
        assert self.ask(session, lambda storage: storage.delete(record_ids=[*ids, "unknown"]), asking) == len(gone)
        late = [self.known.pop(one).record for one in gone]
        for one in late:  # whoever still holds them brings none of them back
            self.ask(session, lambda storage, one=one: storage.update(one), asking)
        self.ask(session, lambda storage: storage.touch_records(ids))

    @rule(session=SESSIONS, asking=ASKINGS, words=WORDS, prefix=SCOPES, categories=NO_CATEGORIES, metadata=NO_METADATA)
    def search(self, session, asking, words, prefix, categories, metadata):
        found = self.ask(
            session, lambda storage: storage.search(direction(words), prefix, categories, metadata, limit=4), asking
        )
        reached = self.seen(session, prefix, self.owners(session, asking))
        wanted = [one for one in reached if self.fits(one, categories, metadata, None)]
        scores = sorted((self.score(one, words) for one in wanted), reverse=True)[:4]
        assert [score for _, score in found] == pytest.approx(scores, rel=1e-3)
        by_id = {one.id: one for one in wanted}
        for one, score in found:
            assert one.content == by_id[one.id].content
            assert score == pytest.approx(self.score(one, words), rel=1e-3)

    @invariant()
    def every_session_lists_what_is_its(self):
        if not hasattr(self, "known"):
            return
        for session in (None, "1", "10"):
            listed = self.ask(session, lambda storage: storage.list_records("/a"))
            wanted = sorted(self.seen(session, "/a"), key=lambda one: one.created_at, reverse=True)
            assert [one.id for one in listed] == [one.id for one in wanted]
            counted = self.ask(session, lambda storage: storage.list_categories("/"))
            names = [name for one in self.seen(session) for name in one.categories]
            assert counted == {name: names.count(name) for name in names}

    @staticmethod
    def fits(one, categories, metadata, older):
        # Not `==` alone: 1 == True in Python, and is another value in a memory.
        exact = all(
            key in one.metadata and (one.metadata[key], type(one.metadata[key])) == (value, type(value))
            for key, value in metadata.items()
        )
        return (
            exact
            and (not categories or bool(set(categories) & set(one.categories)))
            and (older is None or one.created_at < older)
        )

    @staticmethod
    def score(one, words):
        return 1 / (1 + float(np.sum((np.array(direction(one.content)) - direction(words)) ** 2)))


def test_both_ways_of_searching_answer_as_a_plain_list_would(server, monkeypatch):
    monkeypatch.setattr(sharing, "_allowed", True)

    class OfThisServer(Memories):
        url = server.url

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        OfThisServer,
        settings=settings(max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=checks),
    )
