"""The pages of docs that are made from the types are up to date."""

from pathlib import Path

import pytest

from crew_operator.api import reference

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_a_page_made_from_the_types_is_up_to_date(name):
    assert (DOCS / name).read_text() == reference.pages()[name], "run 'make crds'"


def test_every_field_of_the_spec_has_a_description():
    rows = [line for line in reference.pages()["crewdeployment.md"].splitlines() if line.startswith("| `spec.")]
    # What lies in a list is as in a Pod, and described there.
    without = [line for line in rows if line.endswith("|  |") and "[]" not in line]
    assert len(rows) > 40
    assert without == []
