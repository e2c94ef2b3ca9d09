"""A declared crew is what its replica was started with, whatever a kickoff's code wrote where later ones read."""

import json
import os

import pytest

from crew_runtime.contract import definition as files
from crew_runtime.contract import env
from crew_runtime.crewai.loading import declared, load

AGENT = {"role": "Librarian", "goal": "lend", "backstory": "old", "llm": "gpt-4o-mini"}
TASK = {"name": "lend", "description": "Lend a book", "expected_output": "a book", "agent": "librarian"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """As YAML, so that it is written anew in CrewAI's own format."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    made = tmp_path / "definition"
    made.mkdir()
    (made / "crew.yaml").write_text(json.dumps({"agents": {"librarian": AGENT}, "tasks": [TASK]}))
    return made


def written(home):
    (found,) = [one for one in (home / ".cache" / "crewops").iterdir() if one.is_dir()]
    return found


def roles(folder):
    crew, _ = declared.load(folder)
    return [agent.role for agent in crew.agents]


def change_an_agent(cache):
    (cache / "agents" / "librarian.json").write_text(json.dumps({**AGENT, "role": "Thief"}))


def add_python(cache):
    (cache / "json.py").write_text("raise SystemExit")


def add_bytecode(cache):
    (cache / "__pycache__").mkdir()
    (cache / "__pycache__" / "tools.cpython-311.pyc").write_bytes(b"")


def put_a_link(cache):
    elsewhere = cache.parent.parent / "elsewhere"
    cache.rename(elsewhere)
    change_an_agent(elsewhere)
    cache.symlink_to(elsewhere)


def put_a_file(cache):
    cache.rename(cache.parent.parent / "away")
    cache.write_text("")


@pytest.mark.parametrize("change", [change_an_agent, add_python, add_bytecode, put_a_link, put_a_file])
def test_what_was_changed_in_the_cache_is_written_again(folder, tmp_path, change):
    assert roles(folder) == ["Librarian"]
    cache = written(tmp_path / "home")
    before = files.digest(cache)
    change(cache)
    assert roles(folder) == ["Librarian"]
    assert files.digest(cache) == before
    assert list(cache.rglob("__pycache__")) == []
    assert [one.name for one in cache.parent.iterdir()] == [cache.name]


def test_what_is_as_it_should_be_is_left_alone(folder, tmp_path):
    roles(folder)
    cache = written(tmp_path / "home")
    before = cache.stat().st_ino, (cache / "crew.json").stat().st_mtime_ns
    roles(folder)
    assert (cache.stat().st_ino, (cache / "crew.json").stat().st_mtime_ns) == before


def test_a_copy_that_a_kickoff_changed_builds_no_crew(folder, monkeypatch):
    monkeypatch.setitem(os.environ, env.DEFINITION_DIGEST, files.digest(folder))
    loaded = load.load("", str(folder))
    assert loaded.make().target.agents[0].role == "Librarian"
    (folder / "crew.yaml").write_text(
        json.dumps({"agents": {"librarian": {**AGENT, "role": "Thief"}}, "tasks": [TASK]})
    )
    with pytest.raises(load.EntrypointError, match="code of a kickoff changed them"):
        loaded.make()
