"""Some quick rows of the fault matrix, so that `make faults` works when it is wanted; and what its page holds."""

import re
from pathlib import Path

import pytest

from faults.matrix import catalog, report
from faults.matrix.run import DATA, PAGE, attempt
from faults.matrix.stage import Stage

ROOT = Path(__file__).parents[2]
QUICK = ("delete-service", "slot-killed", "redis-killed")


@pytest.fixture(scope="module")
def stage(cluster):
    with Stage() as made:
        yield made


@pytest.mark.parametrize("name", QUICK)
def test_a_row_loses_nothing_and_is_told(stage, name):
    (fault,) = catalog.chosen([name])
    row = attempt(stage, fault)
    assert row.failures == (), report.line(row)
    assert row.accepted > 6
    if name == "slot-killed":
        assert row.failed == {"Crashed": 1}, "the fault has reached the load"
    if fault.tells:
        assert row.told is not None


def test_each_fault_has_a_name_of_its_own_and_is_named_in_the_page():
    names = [one.name for one in catalog.ENTRIES]
    assert len(names) == len(set(names)) > 60
    assert [row.name for row in report.load(DATA)] == re.findall(r"^\| ([a-z][\w+-]*)", PAGE.read_text(), re.MULTILINE)
    with pytest.raises(KeyError, match="redis-killed"):
        catalog.chosen(["nobody"])


def test_the_page_is_what_the_figures_say():
    text = PAGE.read_text()
    for row in report.load(DATA):
        assert "| " + " | ".join(report.cells(row)[1:]) in text
