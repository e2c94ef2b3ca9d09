from pathlib import Path

from crew_runtime.contract import rights

PAGE = Path(__file__).parents[3] / "docs" / "day-two.md"


def test_what_the_page_grants_is_what_a_crew_needs():
    command = PAGE.read_text().partition("ACL SETUSER NAME on >PASSWORD\n")[2].partition("```")[0]
    assert command.split() == list(rights.rules("NAMESPACE/NAME", search=True))
