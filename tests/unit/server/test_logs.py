import json
import logging

import pytest

from crew_server import logs


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_json_is_one_line_with_fields_and_what_is_bound(capsys):
    logs.configure(as_json=True)
    with logs.bind(kickoff_id="k1"):
        logs.Log("crew").info("kickoff\nstarted", session_id="s\n1")
    logs.Log("crew").info("later")
    first, second = (json.loads(one) for one in capsys.readouterr().out.splitlines())
    assert (first["message"], first["kickoff_id"], first["session_id"]) == ("kickoff\nstarted", "k1", "s\n1")
    assert first["level"] == "info"
    assert "kickoff_id" not in second


def test_json_keeps_a_traceback_inside_the_line(capsys):
    logs.configure(as_json=True)
    logs.Log("crew").error("failed", exc_info=ValueError("why"))
    (line,) = capsys.readouterr().out.splitlines()
    assert "ValueError: why" in json.loads(line)["traceback"]


def test_text_shows_fields_and_survives_percent_signs(capsys):
    logs.configure(as_json=False)
    logs.Log("crew").warning("at 100%", session_id="50%d")
    out = capsys.readouterr().out
    assert "WARNING crew: at 100% session_id='50%d'" in out


def test_uvicorn_warnings_come_in_the_same_form(capsys):
    logs.configure(as_json=True)
    logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
    assert json.loads(capsys.readouterr().out)["message"] == "Invalid request"
