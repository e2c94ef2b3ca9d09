"""Scopes in the store: no two sessions overlap, whatever their ids and scopes are."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crew_runtime.memory.filters import Filter, children
from crew_runtime.memory.records import ancestor_tags, tag
from crew_runtime.sessions import areas
from crew_runtime.sessions.areas import Asking

ids = st.text(max_size=30)
other_segments = st.text(st.characters(blacklist_characters="/"), min_size=1, max_size=8)
segments = st.one_of(other_segments, st.just(areas.CREW_WIDE_SEGMENT))
scopes = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(ids, scopes)
def test_a_scope_comes_back_as_crewai_gave_it_without_the_crews_segment(session, scope):
    shown = areas.path(scope)
    assert areas.CREW_WIDE_SEGMENT not in shown.split("/")
    assert areas.CREW_WIDE_SEGMENT in scope.split("/") or shown == scope
    assert areas.to_crewai(areas.to_store(areas.of_session(session), scope)) == shown
    assert areas.to_crewai(areas.to_store(areas.CREW, scope)) == shown


@given(ids, ids, scopes)
def test_no_session_sees_anothers(mine, other, scope):
    assume(mine != other)
    stored = areas.to_store(areas.of_session(mine), scope)
    assert areas.visible(areas.of_session(mine), stored)
    assert not areas.visible(areas.of_session(other), stored)
    assert not areas.visible(areas.CREW, stored)
    assert not areas.visible(areas.PROOF, stored)


@given(ids, scopes)
def test_every_session_sees_what_is_the_crews(session, scope):
    assert areas.visible(areas.of_session(session), areas.to_store(areas.CREW, scope))
    assert not areas.visible(areas.of_session(session), areas.to_store(areas.PROOF, scope))


@given(ids, scopes, st.booleans(), st.booleans())
def test_only_the_crews_own_code_writes_what_is_shared(session, scope, named, planned):
    mine, asking = areas.of_session(session), Asking(named, planned)
    stored = areas.to_store(areas.reached(mine, asking), scope)
    assert areas.within(stored, areas.CREW.own) == named
    assert areas.visible(areas.changed(mine, asking), stored)
    assert areas.within(areas.to_store(areas.reached(mine, None), scope), mine.own)


@given(ids, scopes)
def test_a_plan_reaches_the_area_that_is_written_and_no_other(session, scope):
    mine = areas.of_session(session)
    for named, reached in ((False, mine.own), (True, areas.CREW.own)):
        asking = Asking(named, planned=True)
        assert areas.seen_roots(areas.reached(mine, asking), scope) == (areas.join(reached, scope),)
        assert areas.changed(mine, asking).seen == (reached,)


@given(ids, scopes)
def test_an_unknown_caller_reads_all_and_changes_the_sessions_own(session, scope):
    mine = areas.of_session(session)
    assert areas.reached(mine, None) == mine
    assert areas.changed(mine, None).seen == (mine.own,)


@pytest.mark.parametrize("alone", [areas.CREW, areas.PROOF])
@given(scopes, st.booleans(), st.booleans(), st.booleans())
def test_without_a_session_there_is_one_area(alone, scope, named, planned, shares):
    asking = Asking(named, planned, shares)
    assert areas.reached(alone, asking) == areas.changed(alone, asking) == areas.changed(alone, None) == alone
    assert areas.seen_roots(alone, scope) == (areas.join(alone.own, scope),)


@given(ids, scopes)
def test_who_asks_with_the_crews_segment_finds_what_is_shared_alone(session, scope):
    mine, shared = areas.of_session(session), (areas.join(areas.CREW.own, scope),)
    assert areas.seen_roots(mine, f"{scope}/{areas.CREW_WIDE_SEGMENT}") == shared
    if not areas.names_crew(scope):
        assert areas.seen_roots(mine, scope) == (areas.join(mine.own, scope), *shared)


@given(scopes, scopes)
def test_tags_find_what_lies_below_and_nothing_else(scope, root):
    stored, looked = areas.join("/c", scope), areas.join("/c", root)
    assert (tag(looked) in ancestor_tags(stored).split(",")) == areas.within(stored, looked)


@given(scopes)
def test_slashes_make_no_difference(scope):
    assert areas.join("/c", scope.replace("/", "//") + "/") == areas.join("/c", scope)


@given(st.lists(scopes, max_size=6), scopes)
def test_children_are_the_next_segments(found, parent):
    start = "" if parent == "/" else parent
    wanted = {
        start + "/" + one[len(start) + 1 :].split("/")[0] for one in found if one.startswith(start + "/") and one != "/"
    }
    assert children(found, parent) == sorted(wanted)


def test_a_path_is_no_prefix_of_text():
    assert areas.within("/s/1/a", "/s/1")
    assert not areas.within("/s/10", "/s/1")


def test_what_a_filter_demands():
    wanted = Filter(("/c/a", "/s/1/a"), ("x",), {"k": 1})
    assert [(name, len(tags)) for name, tags in wanted.tags()] == [("anc", 2), ("cat", 1), ("md", 1)]
