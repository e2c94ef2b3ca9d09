"""Where what a task writes lands, and that nothing but the place of the file changes."""

import threading
from pathlib import Path

import pytest
from crewai import Task
from pydantic import ConfigDict

from crew_runtime.contract.report import StateKind
from crew_runtime.crewai.state import files, registration
from crew_runtime.crewai.state.files import Folder

LOCAL = Folder("/tmp/run/files", "data")
"""As on the local cluster; in a pod both are the same path."""
POD = Folder("/mnt/data", "mnt/data")


@pytest.mark.parametrize(
    ("folder", "asked", "place"),
    [
        (LOCAL, "x.md", "/tmp/run/files/x.md"),
        (LOCAL, "reports/x.md", "/tmp/run/files/reports/x.md"),
        (LOCAL, "./reports//x.md", "/tmp/run/files/reports/x.md"),
        (LOCAL, "data/x.md", "/tmp/run/files/x.md"),
        (LOCAL, "data/data/x.md", "/tmp/run/files/data/x.md"),
        (LOCAL, "database/x.md", "/tmp/run/files/database/x.md"),
        (LOCAL, "data", "/tmp/run/files/data"),
        (LOCAL, "reports/data/x.md", "/tmp/run/files/reports/data/x.md"),
        (LOCAL, "/data/x.md", "/tmp/run/files/x.md"),
        (LOCAL, "tmp/run/files/x.md", "/tmp/run/files/x.md"),
        (LOCAL, "/tmp/run/files/x.md", "/tmp/run/files/x.md"),
        (LOCAL, "reports/../x.md", "/tmp/run/files/x.md"),
        (LOCAL, "data/~/x.md", "/tmp/run/files/~/x.md"),
        (LOCAL, "/elsewhere/x.md", None),
        (LOCAL, "/data/../x.md", None),
        (LOCAL, "~/x.md", None),
        (LOCAL, "~/../x.md", None),
        (LOCAL, "~guest/x.md", None),
        (LOCAL, "../x.md", None),
        (LOCAL, "reports/../../x.md", None),
        (POD, "mnt/data/x.md", "/mnt/data/x.md"),
        (POD, "/mnt/data/x.md", "/mnt/data/x.md"),
        (POD, "mnt/x.md", "/mnt/data/mnt/x.md"),
        (POD, "data/x.md", "/mnt/data/data/x.md"),
        (Folder("/data/here", "data"), "data/here/x.md", "/data/here/x.md"),
        (Folder("/files"), "data/x.md", "/files/data/x.md"),
        (Folder("/files"), "/data/x.md", None),
    ],
)
def test_place_of_a_file(folder, asked, place):
    assert folder.place(asked) == place


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The patch in force, with a working directory of the test's own."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(files, "_folder", None)
    monkeypatch.setattr(files, "_misfit", "")
    monkeypatch.setattr(Task, files.METHOD, getattr(Task, files.METHOD))
    files.patch(Folder(str(tmp_path / "files"), "data"))
    assert files.in_force()
    return tmp_path / "files"


def written(folder: Path) -> dict[str, str]:
    found = (one for one in folder.rglob("*") if one.is_file())
    return {str(one.relative_to(folder)): one.read_text() for one in found}


def task(cls: type[Task] = Task, file: str = "a/x.md", **more: object) -> Task:
    return cls(description="d", expected_output="e", output_file=file, **more)


def test_without_a_folder_nothing_is_patched(monkeypatch):
    monkeypatch.setattr(files, "_folder", None)
    before = getattr(Task, files.METHOD)
    files.patch(None)
    assert getattr(Task, files.METHOD) is before
    assert before.__module__ == "crewai.task"
    assert not files.in_force()


def test_a_second_patch_wraps_nothing_twice(folder):
    once = getattr(Task, files.METHOD)
    files.patch(Folder(str(folder / "other")))
    assert getattr(Task, files.METHOD) is once
    task()._save_file("said")
    assert written(folder) == {"other/a/x.md": "said"}


def test_a_task_keeps_its_path_and_its_file_is_what_crewai_writes(folder):
    one = task()
    one._save_file({"said": "Größe"})
    assert one.output_file == "a/x.md"
    assert written(folder) == {"a/x.md": '{\n  "said": "Größe"\n}'}
    assert written(Path.cwd()) == {}


def test_a_path_below_the_volume_with_inputs_keeps_its_slash_in_crewai_and_means_the_volume(folder):
    one = task(file="/data/{name}.md")
    one.interpolate_inputs_and_add_conversation_history({"name": "tea"})
    assert one.output_file == "/data/tea.md"
    one._save_file("said")
    assert written(folder) == {"tea.md": "said"}


def test_an_absolute_path_is_left_alone(folder, tmp_path):
    one = task()
    one.output_file = str(tmp_path / "absolute.md")
    one._save_file("said")
    assert (tmp_path / "absolute.md").read_text() == "said"
    one.output_file = Path("path.md")
    one._save_file("said")
    assert written(folder) == {"path.md": "said"}


def test_a_link_and_the_mode_of_a_file_stay(folder):
    (folder / "a").mkdir(parents=True)
    (folder / "kept.md").write_text("old")
    (folder / "kept.md").chmod(0o640)
    (folder / "a" / "x.md").symlink_to(folder / "kept.md")
    task()._save_file("new")
    assert (folder / "a" / "x.md").is_symlink()
    assert ((folder / "kept.md").read_text(), (folder / "kept.md").stat().st_mode & 0o777) == ("new", 0o640)


def test_classes_of_the_authors(folder):
    class Own(Task):
        def _save_file(self, result):
            Path("own.md").write_text(result)

    class Above(Task):
        def _save_file(self, result):
            super()._save_file(result.upper())

    class Strict(Task):
        model_config = ConfigDict(validate_assignment=True)

    task(Own)._save_file("own")
    task(Above, "above.md")._save_file("above")
    task(Strict, "strict.md")._save_file("strict")
    assert written(Path.cwd()) == {"own.md": "own"}
    assert written(folder) == {"above.md": "ABOVE", "strict.md": "strict"}
    assert [files.by_crewai(task(cls)) for cls in (Task, Strict, Own, Above)] == [True, True, False, False]


def test_what_crewai_refuses_it_refuses_still(folder):
    with pytest.raises(RuntimeError, match="does not exist and create_directory is False"):
        task(create_directory=False)._save_file("said")
    one = task()
    one.output_file = None
    with pytest.raises(ValueError, match="output_file is not set"):
        one._save_file("said")


def test_one_task_in_many_threads_never_shows_another_path(folder):
    one = task()
    shown = []

    def save() -> None:
        for _ in range(20):
            one._save_file("said")
            shown.append(one.output_file)

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(shown) == {"a/x.md"}
    assert len(shown) == 160


def test_it_fits_the_installed_crewai():
    assert files.obstacle() == ""


@pytest.fixture
def other(monkeypatch):
    """A CrewAI that saves in another way."""

    def save(self, result, path):
        raise AssertionError

    monkeypatch.setattr(files, "_folder", None)
    monkeypatch.setattr(files, "_misfit", "")
    monkeypatch.setattr(Task, files.METHOD, save)
    return save


def test_another_method_is_named_and_left_as_it_is(other):
    files.patch(Folder("/data", "data"))
    assert getattr(Task, files.METHOD) is other
    assert not files.in_force()
    assert files.misfit() == "Task._save_file of this CrewAI is not the one that is known"


def test_crewai_without_the_method_is_named(monkeypatch):
    monkeypatch.delattr(Task, files.METHOD)
    assert "_save_file of this CrewAI" in files.obstacle()


def test_report_says_where_files_lie(folder, monkeypatch):
    registered = registration.Registered(None, None, None, Folder(str(folder)))
    monkeypatch.setattr(registration, "_registered", registered)
    assert registration._files([task()]) == (StateKind("output-files", "volume", local=False),)
    monkeypatch.setattr(registration, "_registered", registration.Registered(None, None, None))
    assert registration._files([task()]) == ()


def test_report_names_a_misfit_only_where_a_task_writes_a_file(other, monkeypatch):
    folder = Folder("/data", "data")
    files.patch(folder)
    monkeypatch.setattr(registration, "_registered", registration.Registered(None, None, None, folder))
    (used,), (unused,) = registration._files([task()]), registration._files([task(file=None)])
    assert (used.backend, used.local, used.unfit, used.detail) == ("working directory", True, True, files.misfit())
    assert (unused.local, unused.unfit) == (False, False)


def test_report_says_that_the_crews_code_replaced_the_method(folder, monkeypatch):
    monkeypatch.setattr(registration, "_registered", registration.Registered(None, None, None, Folder(str(folder))))
    monkeypatch.setattr(Task, files.METHOD, lambda self, result, where=None: None)
    (found,) = registration._files([task()])
    assert (found.local, found.unfit) == (True, False)
    assert "the crew's code replaced Task._save_file" in found.detail
