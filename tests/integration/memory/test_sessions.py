"""Sessions share what is the crew's and nothing else."""

import dataclasses

import pytest

from crew_runtime.errors import ForeignRecordError
from crew_runtime.sessions import binding, sharing
from support.memories import contents, direction, record

SCOPE = "/crew/concierge"
TTL = 60.0


@pytest.mark.parametrize(
    ("mine", "other"),
    [("1", "10"), ("a", "a/b"), ("a/b", "a"), ("..", "."), ("ä {x}|\\", "ä"), ("", "x"), ("\ud800", "x")],
)
def test_a_session_sees_its_own_and_the_crews(storage, mine, other):
    storage.save([record("shared", SCOPE)])
    with binding.bind(mine):
        storage.save([record("mine", SCOPE)])
    with binding.bind(other):
        storage.save([record("other", SCOPE)])
        assert sorted(contents(storage.search(direction("mine"), SCOPE))) == ["other", "shared"]
    with binding.bind(mine):
        assert sorted(contents(storage.list_records())) == ["mine", "shared"]
        assert {one.scope for one in storage.list_records()} == {SCOPE}
        assert storage.list_scopes() == ["/crew"]
        assert storage.count(SCOPE) == 2
    assert contents(storage.list_records()) == ["shared"]


def test_isolation_crew_has_no_split(settings, make_storage):
    storage = make_storage(dataclasses.replace(settings, isolation="Crew"))
    with binding.bind("1"):
        storage.save([record("told", SCOPE)])
    with binding.bind("2"):
        assert contents(storage.list_records()) == ["told"]


def test_ids_reach_into_no_other_session(storage, failures):
    with binding.bind("1"):
        mine = record("mine", SCOPE)
        storage.save([mine])
    with binding.bind("2"):
        assert storage.get_record(mine.id) is None
        assert storage.delete(record_ids=[mine.id]) == 0
        storage.update(mine.model_copy(update={"content": "changed"}))
        with pytest.raises(ForeignRecordError):
            storage.save([record("stolen", SCOPE, id=mine.id)])
    with binding.bind("1"):
        assert contents(storage.list_records()) == ["mine"]
    assert [one.kind for one in failures] == ["Foreign"]


def test_a_session_forgets_only_its_own(storage):
    storage.save([record("shared", SCOPE)])
    with binding.bind("1"):
        storage.save([record("mine", SCOPE)])
        assert storage.delete(SCOPE) == 1
        storage.save([record("again", SCOPE)])
        storage.reset()
        assert contents(storage.list_records()) == ["shared"]


def test_an_update_stays_in_its_area(storage):
    shared = record("shared", SCOPE)
    storage.save([shared])
    with binding.bind("1"), sharing.asks("/elsewhere"):
        storage.update(shared.model_copy(update={"content": "changed", "scope": "/elsewhere"}))
    assert [(one.content, one.scope) for one in storage.list_records()] == [("changed", "/elsewhere")]


def test_an_update_that_nobody_asked_for_leaves_what_is_shared(storage):
    shared = record("shared", SCOPE)
    storage.save([shared])
    with binding.bind("1"):
        storage.update(shared.model_copy(update={"content": "changed"}))
    assert contents(storage.list_records()) == ["shared"]


def test_proofs_are_seen_by_no_crew(storage):
    with binding.bind_proof():
        storage.save([record("proof", "/crewops/proof")])
        assert storage.count() == 1
    assert storage.count() == 0
    with binding.bind("1"):
        assert storage.search(direction("proof")) == []


class TestTimeToLive:
    """Sliding, for a session's records only."""

    @pytest.fixture
    def mortal(self, settings, make_storage):
        return make_storage(dataclasses.replace(settings, session_ttl=TTL))

    def test_an_idle_session_ends_and_the_crews_memories_stay(self, mortal, settings, server, time_passes):
        mortal.save([record("shared", SCOPE)])
        with binding.bind("1"):
            mortal.save([record("mine", SCOPE, categories=["x"])])
            assert len(mortal.list_records()) == 2
        time_passes(TTL + 1)
        with binding.bind("1"):
            assert contents(mortal.search(direction("mine"), limit=5)) == ["shared"]
            assert contents(mortal.list_records()) == ["shared"]
            assert mortal.list_categories() == {}
        with binding.bind("2"):
            mortal.save([record("next", SCOPE)])
        with server.client() as client:
            assert client.zcard(f"cs:{{{settings.key_prefix}}}:ids") == 2, "ids of what expired are swept"

    def test_what_expired_takes_no_place_among_the_nearest(self, mortal, time_passes):
        with binding.bind("1"):
            mortal.save([record("same words", SCOPE) for _ in range(20)])
        mortal.save([record("other words", SCOPE)])
        time_passes(TTL + 1)
        with binding.bind("1"):
            assert contents(mortal.search(direction("same words"), limit=3)) == ["other words"]

    def test_a_session_that_is_used_lives_on(self, mortal, make_storage, settings, time_passes):
        with binding.bind("1"):
            mortal.save([record("mine", SCOPE)])
            for _ in range(5):
                time_passes(0.6 * TTL)
                assert contents(mortal.list_records()) == ["mine"]
        other = make_storage(dataclasses.replace(settings, session_ttl=TTL))
        with binding.bind("1"):
            assert contents(other.search(direction("mine"))) == ["mine"]
            time_passes(TTL + 1)
            assert other.count() == 0, "it ends when it is idle"
