"""The disk that a process of a verification gets."""

import pytest

from crewctl.errors import UsageError
from crewctl.verify import scratch


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "hotel"
    for name in ("src/crew.py", ".git/config", "src/__pycache__/crew.pyc", "env/pyvenv.cfg", "env/lib/x.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_code_is_copied_and_environments_are_not(project, tmp_path):
    made = scratch.disk(project, tmp_path / "a")
    assert made.name == "hotel"
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()) == ["src/crew.py"]
    (made / "src" / "crew.py").write_text("changed")
    assert (project / "src" / "crew.py").read_text() == "src/crew.py"


def test_a_large_file_is_linked(project, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "LARGE", 3)
    made = scratch.disk(project, tmp_path / "a")
    assert (made / "src" / "crew.py").readlink() == project / "src" / "crew.py"


def test_a_link_to_a_neighbour_still_leads_there(project, tmp_path):
    (tmp_path / "common.py").write_text("common")
    (project / "common.py").symlink_to("../common.py")
    (project / "nowhere.py").symlink_to("../nowhere.py")
    assert (scratch.disk(project, tmp_path / "deep" / "a") / "common.py").read_text() == "common"


def test_a_folder_that_is_no_project_is_refused(project, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "MOST_FILES", 0)
    with pytest.raises(UsageError, match="over 0 files"):
        scratch.disk(project, tmp_path / "a")
