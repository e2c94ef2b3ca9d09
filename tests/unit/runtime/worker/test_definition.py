"""What a ConfigMap's files are, and that a replica keeps those that it was started with."""

import pytest

from crew_runtime.contract import definition as files
from crew_runtime.contract import env
from crew_runtime.worker import definition


@pytest.mark.parametrize(
    ("names", "lack"),
    [
        ({"crew.jsonc", "librarian.jsonc"}, ""),
        ({"crew.yaml"}, ""),
        ({"agents.yaml", "tasks.yml"}, ""),
        ({"agents.yaml", "tasks.yaml", "crew.json"}, ""),
        ({"agents.yaml"}, "tasks.yaml"),
        ({"tasks.yml", "tools.py"}, "agents.yaml"),
        ({"Crew.yaml"}, "one of crew.jsonc, crew.json, crew.yaml, or agents.yaml and tasks.yaml"),
        (set(), "one of crew.jsonc, crew.json, crew.yaml, or agents.yaml and tasks.yaml"),
    ],
)
def test_what_lacks_is_named(names, lack):
    assert files.missing(names) == lack


@pytest.fixture
def volume(tmp_path):
    """As the kubelet mounts a ConfigMap: links through a folder of the version."""
    made = tmp_path / "volume"
    (made / "..v1").mkdir(parents=True)
    (made / "..v1" / "crew.yaml").write_text("one")
    (made / "..data").symlink_to("..v1")
    (made / "crew.yaml").symlink_to("..data/crew.yaml")
    return made


def test_a_replica_keeps_the_definition_that_it_was_started_with(volume, tmp_path):
    (tmp_path / "state").mkdir()
    pod = {env.DEFINITION: str(volume), env.STATE: str(tmp_path / "state")}
    first = dict(pod)
    definition.keep(first)
    (volume / "..v1" / "crew.yaml").write_text("two")
    restarted = dict(pod)
    definition.keep(restarted)
    assert restarted[env.DEFINITION] == first[env.DEFINITION] == str(tmp_path / "state/definition")
    kept = tmp_path / "state" / "definition"
    assert [one.name for one in kept.iterdir()] == ["crew.yaml"]
    assert (kept / "crew.yaml").read_text() == "one"


def test_outside_of_a_pod_nothing_is_copied(volume, tmp_path):
    environ = {env.DEFINITION: str(volume)}
    definition.keep(environ)
    assert environ == {env.DEFINITION: str(volume)}


def test_a_folder_that_is_not_there_is_left_to_the_loader(tmp_path):
    environ = {env.DEFINITION: str(tmp_path / "none"), env.STATE: str(tmp_path)}
    definition.keep(environ)
    assert environ[env.DEFINITION] == str(tmp_path / "none")


def test_children_are_told_what_was_in_it(volume, tmp_path):
    (tmp_path / "state").mkdir()
    pod = {env.DEFINITION: str(volume), env.STATE: str(tmp_path / "state")}
    definition.keep(pod)
    kept = tmp_path / "state" / "definition"
    assert pod[env.DEFINITION_DIGEST] == files.digest(kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: (kept / "crew.yaml").write_text("two"),
        lambda kept: (kept / "crew.yaml").unlink(),
        lambda kept: (kept / "crew.yaml").rename(kept / "crew.yml"),
        lambda kept: (kept / "tools.py").write_text(""),
        lambda kept: ((kept / "agents").mkdir(), (kept / "agents" / "one.yaml").write_text("")),
    ],
)
def test_digest_sees_every_change_of_names_and_contents(tmp_path, change):
    (tmp_path / "crew.yaml").write_text("one")
    before = files.digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "tools.pyc").write_bytes(b"")
    assert files.digest(tmp_path) == before
    change(tmp_path)
    assert files.digest(tmp_path) != before
