"""Which crew lies in a folder, found without importing it."""

from pathlib import Path

import pytest

from crewctl.errors import UsageError
from crewctl.verify import project

CLASS = "from crewai.project import CrewBase\n\n@CrewBase\nclass Hotel:\n    pass\n"
FLOW = "import crewai\n\nclass Poem(crewai.flow.Flow[dict]):\n    pass\n\nclass State:\n    pass\n"


def lay(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"crew_dot_py": CLASS}, "crew:Hotel"),
        ({"src__hotel__crew_dot_py": CLASS}, "hotel.crew:Hotel"),
        ({"hotel__crew_dot_py": CLASS}, "hotel.crew:Hotel"),
        ({"crew_dot_jsonc": "{}"}, "crew.jsonc"),
        ({"crew_dot_jsonc": "{}", "src__hotel__crew_dot_py": CLASS}, "crew.jsonc"),
        ({"pyproject_dot_toml": '[tool.crewai]\ndefinition = "a/b.jsonc"', "a__b_dot_jsonc": "{}"}, "a/b.jsonc"),
        # the crews of a flow's project are called by the flow
        ({"pyproject_dot_toml": '[tool.crewai]\ntype = "flow"', "src__p__main_dot_py": FLOW,
          "src__p__crews__c__crew_dot_py": CLASS}, "p.main:Poem"),
        ({"src__p__main_dot_py": FLOW}, "p.main:Poem"),
        # not the user's code
        ({"crew_dot_py": CLASS, "env__pyvenv_dot_cfg": "", "env__lib__x__crew_dot_py": CLASS}, "crew:Hotel"),
        ({"crew_dot_py": CLASS, "tests__crew_dot_py": CLASS}, "crew:Hotel"),
    ],
)  # fmt: skip
def test_the_crew_is_found(tmp_path, files, source):
    assert project.find(lay(tmp_path, **files)).source == source


def test_a_named_entrypoint_wins(tmp_path):
    found = project.find(lay(tmp_path, crew_dot_jsonc="{}"), "a.b:c")
    assert (found.entrypoint, found.definition) == ("a.b:c", "")


def test_a_definitions_file_is_enough(tmp_path):
    found = project.find(lay(tmp_path, mine_dot_jsonc="{}") / "mine.jsonc")
    assert (found.folder, found.definition) == (tmp_path, "mine.jsonc")


@pytest.mark.parametrize(
    ("files", "entrypoint", "said"),
    [
        ({}, "", "has no crew"),
        ({"crew_dot_py": "this is no python"}, "", "has no crew"),
        ({"a__crew_dot_py": CLASS, "b__crew_dot_py": CLASS}, "", "a.crew:Hotel, b.crew:Hotel"),
        ({"crew_dot_py": CLASS}, "crew", "module:attr"),
        ({"pyproject_dot_toml": "[tool"}, "", "cannot be read"),
        ({"pyproject_dot_toml": '[tool.crewai]\ndefinition = "c.jsonc"'}, "", "no such file"),
        ({"pyproject_dot_toml": '[tool.crewai]\ntype = "flow"\ndefinition = "f.yaml"'}, "", "from_declaration"),
    ],
)
def test_what_cannot_be_found_is_said_with_what_to_do(tmp_path, files, entrypoint, said):
    with pytest.raises(UsageError, match=said):
        project.find(lay(tmp_path, **files), entrypoint)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        project.find(tmp_path / "none")
