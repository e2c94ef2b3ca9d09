"""What tasks write by `output_file`, with real CrewAI: in the folder that all replicas share, or where CrewAI does."""

from pathlib import Path

import pytest

from support.user_crews import writing
from support.worker_peer import WorkerPeer

CREW = "support.user_crews.writing:make"
INPUTS = {"name": "tea"}
BY_CREWAI = {"reports/tea.md": "0 tea", "leading.md": "1 tea", "deep/tea.md": "2 tea", "later.md": "3 tea"}
CHECKED = {"checked.md": "5 tea"}
BY_THE_CREW = {"own.md": "own 4 tea"}
SEEN = [
    "file reports/tea.md",
    "file data/leading.md",
    "file data/deep/tea.md",
    "file later.md",
    "file elsewhere.md",
    "guardrail 5 tea",
    "guardrail 5 tea",
    "file checked.md",
]
"""What the crew's own code sees, whatever the folder is; the asynchronous task is done when it is."""


def files(folder: Path) -> dict[str, str]:
    """All that tasks wrote below a folder."""
    found = (one for one in folder.rglob("*.md") if "home" not in one.parts)
    return {str(one.relative_to(folder)): one.read_text() for one in found}


def seen(folder: Path) -> list[str]:
    return sorted((folder / "seen").read_text().splitlines())


@pytest.fixture
def volume(tmp_path_factory):
    return tmp_path_factory.mktemp("volume")


@pytest.fixture
def told(redis_env, volume):
    return {**redis_env, "CREWOPS_FILES": str(volume), "CREWOPS_FILES_PREFIX": "data"}


@pytest.mark.parametrize("fresh", [False, True])
async def test_files_of_tasks_land_in_the_shared_folder_and_the_crew_sees_what_it_wrote(tmp_path, told, volume, fresh):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, fresh=fresh, **told)
        report = (await peer.phase("ready"))["report"]
        kinds = {one["kind"]: (one["backend"], one["local"], one["unfit"]) for one in report["state"]}
        assert kinds["output-files"] == ("volume", False, False)
        assert report["rehearsal_note"] == "", report
        assert (files(tmp_path), files(volume)) == ({}, {}), "a rehearsal writes nothing"
        answer = await (await peer.fork()).run(INPUTS)
    assert answer["output"] == "5 tea"
    assert files(volume) == {**BY_CREWAI, **CHECKED}
    assert files(tmp_path) == BY_THE_CREW
    assert seen(tmp_path) == sorted(SEEN)


@pytest.fixture
def bare(tmp_path_factory, monkeypatch):
    """Where the crew ran without the runtime, which is nowhere in this process."""
    folder = tmp_path_factory.mktemp("bare")
    with monkeypatch.context() as there:
        there.chdir(folder)
        writing.make().kickoff(INPUTS)
    return folder


async def test_without_a_folder_a_crew_writes_what_it_writes_without_the_runtime(tmp_path, redis_env, bare):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, **redis_env)
        report = (await peer.phase("ready"))["report"]
        assert "output-files" not in {one["kind"] for one in report["state"]}
        await (await peer.fork()).run(INPUTS)
    assert files(tmp_path) == files(bare)
    assert {"data/leading.md", "data/deep/tea.md", "reports/tea.md", "own.md"} < set(files(tmp_path))
    assert seen(tmp_path) == seen(bare) == sorted(SEEN)


async def test_crews_of_a_flow_write_there_too(tmp_path, told, volume):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("support.user_crews.writing:flow", **told)
        await peer.phase("ready")
        answer = await (await peer.fork()).run({})
    assert answer["output"] == "tea"
    assert files(volume) == {"first.md": "tea", "second/tea.md": "tea"}
    assert files(tmp_path) == {}


async def test_a_folder_that_a_task_does_not_make_is_missing_in_the_volume(tmp_path, told, volume):
    (tmp_path / "none").mkdir()
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker("support.user_crews.writing:broken", **told)
        await peer.phase("ready")
        answer = await (await peer.fork()).run({})
    assert f"Directory {volume}/none does not exist and create_directory is False" in answer["message"]
    assert (files(volume), files(tmp_path)) == ({}, {})


async def test_a_folder_that_is_no_absolute_path_ends_the_start(tmp_path, told):
    async with WorkerPeer(tmp_path) as peer:
        peer.start_worker(CREW, **{**told, "CREWOPS_FILES": "files"})
        await peer.connected()
        said = await peer.zygote.expect("phase", where=lambda one: one["phase"] == "failed")
    assert said["reason"] == "InvalidSettings"
    assert "CREWOPS_FILES has to be an absolute path" in said["message"]
