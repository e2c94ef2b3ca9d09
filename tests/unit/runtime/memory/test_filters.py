"""What a filter asks of the server's index, and the children of a scope."""

import re

from hypothesis import given
from hypothesis import strategies as st

from crew_runtime.memory.filters import Filter, children, query
from crew_runtime.memory.records import ancestor_tags, metadata_tags, tag

PATHS = st.lists(st.text(st.characters(exclude_characters="/"), min_size=1), min_size=1, max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


def test_every_part_of_the_filter_is_in_the_query():
    wanted = Filter(("/s/1", "/c"), ("red", "blue"), {"n": 1, "s": "x"}, older_than=12.5)
    one, two = sorted([tag("/s/1"), tag("/c")])
    red, blue = sorted([tag("red"), tag("blue")])
    number, text = metadata_tags({"n": 1, "s": "x"})
    assert query(wanted) == (
        f"(@anc:{{{one}|{two}}} @cat:{{{red}|{blue}}} @md:{{{number}}} @md:{{{text}}} @ts:[-inf (12.5])"
    )


def test_no_demand_is_no_clause():
    assert query(Filter(("/c",))) == f"(@anc:{{{tag('/c')}}})"


@given(st.lists(st.text(), min_size=1), st.lists(st.text()), st.dictionaries(st.text(), st.text()))
def test_no_text_of_a_user_gets_into_the_query(roots, categories, metadata):
    """A scope named `*) | (@anc:{...}` is a scope and no query."""
    asked = query(Filter(tuple(roots), tuple(categories), metadata))
    assert re.fullmatch(r"\((@(anc|cat|md):\{[0-9a-f]{16}(\|[0-9a-f]{16})*\} ?)+\)", asked)


@given(PATHS, PATHS)
def test_a_record_carries_the_tag_of_every_scope_above_it_and_of_no_other(scope, root):
    above = root in {scope[: at + 1].rstrip("/") for at, letter in enumerate(scope + "/") if letter == "/"} | {scope}
    holds = scope == root or scope.startswith(root + "/")
    assert (tag(root) in ancestor_tags(scope).split(",")) == holds
    assert holds or not above


def test_metadata_of_another_type_is_another_value():
    values = [1, "1", 1.0, True, None, "None", [1], {"a": 1}]
    found = [metadata_tags({"k": value})[0] for value in values]
    assert len(set(found)) == len(values)
    assert metadata_tags({"k": {"a": 1, "b": 2}}) == metadata_tags({"k": {"b": 2, "a": 1}})


def test_the_key_is_part_of_the_value():
    assert metadata_tags({"a": "b"}) != metadata_tags({"b": "a"})


def test_children_are_the_next_segments_only():
    scopes = ["/a", "/a/b", "/a/b/c", "/a/d/e/f", "/ab/x", "/"]
    assert children(scopes, "/a") == ["/a/b", "/a/d"]
    assert children(scopes, "/a/") == ["/a/b", "/a/d"]
    assert children(scopes, "/") == ["/a", "/ab"]
    assert children(scopes, "/a/b/c") == []
    assert children([], "/") == []


@given(st.lists(PATHS), PATHS)
def test_each_child_holds_a_scope_and_lies_directly_below(scopes, parent):
    for child in children(scopes, parent):
        assert child.startswith(parent + "/")
        assert "/" not in child[len(parent) + 1 :]
        assert any(scope == child or scope.startswith(child + "/") for scope in scopes)
