import time
from decimal import Decimal

import durationpy
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from crew_operator.api import quantities


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1Ki", 1024),
        ("500m", Decimal("0.5")),
        ("2G", 2 * 10**9),
        (3, 3),
        (0.5, Decimal("0.5")),
        ("1e9", 10**9),
        ("1E3", 1000),
        ("1E", 10**18),
        ("2.5e-1", Decimal("0.25")),
        ("1.", 1),
        (".5Gi", 2**29),
        ("100n", Decimal("1e-7")),
        ("5u", Decimal("0.000005")),
    ],
)
def test_quantity_is_read_as_kubernetes_reads_it(text, number):
    assert quantities.quantity(text) == number


@pytest.mark.parametrize(
    "given",
    [
        "9" * 900_000 + "Ei",
        "1e999999999",
        "1e99",
        "100Ei",
        10**5000,
        10**30,
        float("inf"),
        float("nan"),
        "",
        ".",
        "1 Gi",
        "1gi",
        "1Gi\n",
        "-1",
        "\u0661",
        True,
        None,
        {},
        [],
    ],
    ids=lambda given: str(type(given).__name__),
)
def test_what_is_no_quantity_or_too_large_is_refused_at_once(given):
    begun = time.process_time()
    with pytest.raises(ValueError, match="that is"):
        quantities.quantity(given)
    assert time.process_time() - begun < 1, "the length of a text decides how long the operator stands still"


@given(st.text(max_size=40) | st.integers() | st.floats())
def test_any_quantity_can_be_counted_with(given):
    try:
        found = quantities.quantity(given)
    except ValueError:
        return
    assert 0 <= int(found) <= 2**63 - 1


@pytest.mark.parametrize("text", ["0s", "0h0m", "999ms", "876001h", "9" * 30 + "h", "soon"])
def test_duration_that_nothing_can_be_done_with_is_told(text):
    assert not quantities.lasts(text)


@pytest.mark.parametrize("text", ["1s", "1000ms", "30m", "876000h"])
def test_duration_that_can_be_waited_for(text):
    assert quantities.lasts(text)


@given(st.integers(0, 10**6))
def test_units_agree_with_each_other(number):
    assert quantities.quantity(f"{number}Gi") == quantities.quantity(f"{number * 1024}Mi")


@pytest.mark.parametrize(("text", "number"), [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("720h", 2592000)])
def test_duration_is_read_in_seconds(text, number):
    assert quantities.seconds(text) == number


@pytest.mark.parametrize("text", ["", "5", "m5", "1d", "-3s", "1h "])
def test_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        quantities.seconds(text)


# Beside the libraries ------------------------------------------------------------------------------------------------

NUMBER = st.from_regex(r"\A([0-9]{1,20}(\.[0-9]{0,9})?|\.[0-9]{1,9})\Z")
SUFFIX = st.from_regex(r"\A([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?\Z")
QUANTITIES = st.tuples(NUMBER, SUFFIX).map("".join) | st.text("0123456789.eE+-numkKMGTPi_ ", max_size=34)
TIMES = st.lists(st.tuples(NUMBER, st.sampled_from(["ms", "s", "m", "h"])), min_size=1, max_size=4)
DURATIONS = TIMES.map(lambda parts: "".join(map("".join, parts))) | st.text("0123456789.msh,d -", max_size=34)


def either(read, text):
    """What it reads, or None."""
    try:
        return read(text)
    except (ValueError, ArithmeticError):
        return None


@given(QUANTITIES)
@example("1E")
@example("1E3")
@example(".5Gi")
@example("1.")
@example("9223372036854775807")
def test_a_quantity_means_what_the_client_of_kubernetes_reads(text):
    ours = either(quantities.quantity, text)
    assume(ours is not None)
    assert parse_quantity(text) == ours


@given(DURATIONS)
@example("1h30m")
@example("0.1s0.2s")
def test_a_duration_means_what_durationpy_reads(text):
    """Which counts in microseconds, by floats."""
    ours = either(quantities.seconds, text)
    assume(ours is not None)
    theirs = either(durationpy.from_str, text)
    if theirs is None:  # more days than a timedelta has
        assert ours > 86400 * 999_999_999 * 0.99
    else:
        assert theirs.total_seconds() == pytest.approx(ours, rel=1e-9, abs=2e-6)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1_000", " 1", "-1", "1K", "1e999999", "+1"])
def test_what_only_the_client_of_kubernetes_reads_is_refused(text):
    assert either(parse_quantity, text) is not None, "else there is no reason to say so"
    assert either(quantities.quantity, text) is None


@pytest.mark.parametrize("text", ["1h, 30m", "1h-30m", "1d", "1mm", "2y", "-1s", "0", "5us"])
def test_what_only_durationpy_reads_is_refused(text):
    assert either(durationpy.from_str, text) is not None
    assert either(quantities.seconds, text) is None
