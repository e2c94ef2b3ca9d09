"""The first steps: path, environment, the termination message."""

import json

from crew_runtime.worker import main, start
from crew_runtime.worker.errors import StartError


def test_the_working_directory_comes_before_its_src_and_before_all_else(tmp_path):
    (tmp_path / "src").mkdir()
    path = ["/usr/lib", str(tmp_path)]
    start.extend_path(path, tmp_path)
    assert path == [str(tmp_path), str(tmp_path / "src"), "/usr/lib"]


def test_a_missing_src_is_left_out(tmp_path):
    path = ["/usr/lib"]
    start.extend_path(path, tmp_path)
    assert path == [str(tmp_path), "/usr/lib"]


def test_the_termination_message_is_json_that_kubernetes_does_not_cut(tmp_path):
    path = tmp_path / "termination-log"
    path.touch()
    main.write_termination(path, StartError("EntrypointBroken", "ü" * 9000, "detail"))
    assert len(path.read_bytes()) <= 4096
    assert json.loads(path.read_text())["reason"] == "EntrypointBroken"


def test_no_termination_log_is_made_where_there_is_none(tmp_path):
    main.write_termination(tmp_path / "termination-log", StartError("A", "b"))
    assert not list(tmp_path.iterdir())
