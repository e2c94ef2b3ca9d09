from hypothesis import given
from hypothesis import strategies as st

from crew_operator.words import quoted


@given(st.text(max_size=3000), st.integers(10, 500), st.booleans())
def test_nothing_is_left_that_a_terminal_obeys_and_nothing_is_too_long(text, most, lines):
    said = quoted(text, most, lines=lines)
    assert len(said) <= most
    assert all(one.isprintable() or (lines and one == "\n") for one in said)
    said.encode()


def test_escape_sequences_and_turned_writing_become_blanks():
    assert quoted("\x1b[31mred\x1b[0m\r\nnext \u202egpj.exe\ud800") == "[31mred [0m next gpj.exe"


def test_lines_are_kept_where_they_are_wanted():
    assert quoted("Traceback:\n  File x\x07\n", lines=True) == "Traceback:\n  File x"
