"""A test that the docs name as a proof exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = {
    name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())
}


PAGES = ["day-two.md", "design/security-review.md", "failure-modes.md", "how-your-crew-runs.md", "state.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page):
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / page).read_text()))
    assert len(named) > 5
    assert sorted(named - TESTS) == []
