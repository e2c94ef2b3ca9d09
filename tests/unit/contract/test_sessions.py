"""Ids of sessions as segments: any text, back and forth, and never one within another."""

from hypothesis import given
from hypothesis import strategies as st

from crew_runtime.contract import keys, sessions

ids = st.text(min_size=1, max_size=256)


@given(ids)
def test_an_id_comes_back(session_id):
    assert sessions.session_id(sessions.segment(session_id)) == session_id


@given(ids)
def test_a_segment_breaks_neither_scopes_nor_keys(session_id):
    assert not set(sessions.segment(session_id)) & set("/{} *\n")


@given(ids, ids)
def test_two_sessions_share_no_root(one, other):
    roots = [sessions.stored_root(sessions.segment(each)) + "/" for each in (one, other)]
    assert roots[0].startswith(roots[1]) == (one == other)


def test_keys_of_a_session_are_the_crews():
    made = [each("ns/n", "1") for each in (keys.session, keys.session_records, keys.session_erased)]
    assert len(set(made)) == 3
    assert all(one.startswith(keys.root("ns/n")) for one in made)
