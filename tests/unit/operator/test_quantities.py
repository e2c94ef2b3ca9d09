import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
