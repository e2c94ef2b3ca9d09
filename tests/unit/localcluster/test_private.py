"""Files of crewctl are their owner's alone, also those that an older version left open."""

import os

import pytest

from localcluster import private
from localcluster.state import Handle, load


@pytest.fixture(autouse=True)
def generous():
    """As most users have it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_file_is_closed_whatever_it_was_before(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o666)
    private.write(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_link_that_lies_in_wait_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / f".secret.{os.getpid()}").symlink_to(elsewhere)
    private.write(tmp_path / "secret", "x")
    assert not elsewhere.exists()


def test_folder_is_closed_and_its_parents_are_not_touched(tmp_path):
    (tmp_path / "open" / "logs").mkdir(parents=True)
    assert mode(private.folder(tmp_path / "open" / "logs")) == 0o700
    assert mode(tmp_path / "open") == 0o755


def test_what_is_known_of_a_cluster_is_closed(tmp_path):
    handle = Handle(str(tmp_path), "id", 1, "0", str(tmp_path), "http://127.0.0.1/secret", "127.0.0.10")
    handle.save()
    assert mode(tmp_path / "cluster.json") == 0o600
    assert load(tmp_path) == handle
