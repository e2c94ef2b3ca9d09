from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_operator.api import quantities


@pytest.mark.parametrize(("text", "number"), [("1Ki", 1024), ("500m", Decimal("0.5")), ("2G", 2 * 10**9), (3, 3)])
def test_quantity_is_read_as_kubernetes_reads_it(text, number):
    assert quantities.quantity(text) == number


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
