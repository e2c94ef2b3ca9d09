"""Scopes in the store: no two sessions overlap, whatever their ids and scopes are."""

from hypothesis import assume, given
from hypothesis import strategies as st

from crew_runtime.memory.filters import Filter, children
from crew_runtime.memory.records import ancestor_tags, tag
from crew_runtime.sessions import areas

ids = st.text(max_size=30)
segments = st.text(st.characters(blacklist_characters="/"), min_size=1, max_size=8)
scopes = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(ids, scopes)
def test_a_scope_comes_back_as_crewai_gave_it(session, scope):
    assert areas.to_crewai(areas.to_store(areas.of_session(session), scope)) == scope
    assert areas.to_crewai(areas.to_store(areas.CREW, scope)) == scope


@given(ids, ids, scopes)
def test_no_session_sees_anothers(mine, other, scope):
    assume(mine != other)
    stored = areas.to_store(areas.of_session(mine), scope)
    assume(areas.CREW_WIDE_SEGMENT not in scope.split("/"))
    assert areas.visible(areas.of_session(mine), stored)
    assert not areas.visible(areas.of_session(other), stored)
    assert not areas.visible(areas.CREW, stored)
    assert not areas.visible(areas.PROOF, stored)


@given(ids, scopes)
def test_every_session_sees_what_is_the_crews(session, scope):
    assert areas.visible(areas.of_session(session), areas.to_store(areas.CREW, scope))
    assert not areas.visible(areas.of_session(session), areas.to_store(areas.PROOF, scope))


@given(ids, scopes)
def test_a_scope_with_the_crews_segment_is_for_all(session, scope):
    told = f"{scope}/{areas.CREW_WIDE_SEGMENT}/x"
    assert areas.visible(areas.CREW, areas.to_store(areas.of_session(session), told))


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
