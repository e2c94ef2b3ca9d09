"""Where a session's memories lie: whatever its id looks like, no session reaches another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_runtime.sessions import areas, binding

IDS = st.one_of(
    st.text(), st.sampled_from(["", ".", "..", "../10", "a/b", "%2F", "a%2Fb", "/", "//", "@crew", "\ud800"])
)
SEGMENTS = st.text(min_size=1).filter(lambda text: "/" not in text and text != areas.CREW_WIDE_SEGMENT)
SCOPES = st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(IDS, SCOPES)
def test_a_logical_scope_comes_back(session, scope):
    for seen in (areas.of_session(session), areas.CREW, areas.PROOF):
        assert areas.to_crewai(areas.to_store(seen, scope)) == scope


@given(IDS, SCOPES)
def test_a_session_sees_what_it_wrote(session, scope):
    seen = areas.of_session(session)
    stored = areas.to_store(seen, scope)
    assert areas.visible(seen, stored)
    assert areas.within(stored, seen.own)
    assert any(areas.within(stored, root) for root in areas.seen_roots(seen, scope))


@given(IDS, IDS, SCOPES, SCOPES)
def test_no_session_sees_another(mine, other, scope, prefix):
    stored = areas.to_store(areas.of_session(other), scope)
    seen = areas.of_session(mine)
    assert areas.visible(seen, stored) == (mine == other)
    if mine != other:
        assert not any(areas.within(stored, root) for root in areas.seen_roots(seen, prefix))


@given(IDS, SCOPES, st.sampled_from(["..", "../..", ".", "../../c", "/../s/other"]))
def test_dots_in_a_scope_lead_nowhere(session, scope, escape):
    seen = areas.of_session(session)
    assert areas.within(areas.to_store(seen, f"{scope}/{escape}"), seen.own)


@given(IDS, SCOPES)
def test_proofs_and_crews_do_not_meet(session, scope):
    proof = areas.to_store(areas.PROOF, scope)
    assert not areas.visible(areas.of_session(session), proof)
    assert not areas.visible(areas.CREW, proof)
    assert not areas.visible(areas.PROOF, areas.to_store(areas.CREW, scope))


@given(IDS, SCOPES)
def test_the_crews_segment_makes_it_everybodys(session, scope):
    stored = areas.to_store(areas.of_session(session), f"{scope}/{areas.CREW_WIDE_SEGMENT}/house")
    assert areas.visible(areas.CREW, stored)
    assert areas.visible(areas.of_session(session + "another"), stored)


@pytest.mark.parametrize("scope", ["/a/@crewed", "/a/x@crew", "/@crew-room"])
def test_only_the_whole_segment_does(scope):
    stored = areas.to_store(areas.of_session("1"), scope)
    assert stored == f"/s/1{scope}"


@pytest.mark.parametrize(
    ("scope", "root", "held"),
    [
        ("/s/1", "/s/1", True),
        ("/s/1/a", "/s/1", True),
        ("/s/10", "/s/1", False),
        ("/s/1", "/s/10", False),
        ("/s", "/s/1", False),
        ("/anything", "/", True),
        ("/", "/", True),
    ],
)
def test_scopes_are_paths(scope, root, held):
    assert areas.within(scope, root) is held


@pytest.mark.parametrize(
    ("root", "scope", "joined"),
    [("/c", "/", "/c"), ("/c", "", "/c"), ("/c", "a//b/", "/c/a/b"), ("", "/a/", "/a"), ("/s/1", "x", "/s/1/x")],
)
def test_the_store_knows_no_double_slashes(root, scope, joined):
    assert areas.join(root, scope) == joined


class TestBinding:
    def test_it_ends_with_its_block(self):
        assert binding.current("Session") is areas.CREW
        with binding.bind("outer"):
            with binding.bind("inner"):
                assert binding.session() == "inner"
            assert binding.session() == "outer"
        assert binding.session() is None
        assert binding.current("Session") is areas.CREW

    def test_it_ends_when_the_work_fails(self):
        with pytest.raises(ZeroDivisionError), binding.bind("1", whole_process=True):
            raise ZeroDivisionError
        assert binding.session() is None

    def test_isolation_crew_keeps_the_session_and_not_its_area(self):
        with binding.bind("1"):
            assert binding.current("Crew") is areas.CREW
            assert binding.session() == "1"

    def test_a_proof_is_apart_under_any_isolation(self):
        with binding.bind_proof():
            assert binding.current("Crew") is areas.PROOF
            assert binding.current("Session") is areas.PROOF
            assert binding.session() is None

    @pytest.mark.parametrize(("whole", "seen"), [(True, "1"), (False, None)])
    def test_only_a_whole_process_takes_threads_of_the_crews_own(self, whole, seen):
        import threading

        found = []
        with binding.bind("1", whole_process=whole):
            thread = threading.Thread(target=lambda: found.append(binding.session()))
            thread.start()
            thread.join()
        assert found == [seen]
