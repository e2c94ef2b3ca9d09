import json
import logging

from crew_operator.logs import JsonFormatter, TextFormatter


def record(**fields):
    made = logging.makeLogRecord({"name": "crew_operator.x", "levelname": "INFO", "msg": "event"})
    vars(made).update(fields)
    return made


def test_no_field_of_a_text_line_can_forge_another_line_or_field():
    line = TextFormatter().format(record(text="a\nERROR forged \x1b[2J", count=3, name_of="plain-1.2", other="x key=y"))
    assert "\n" not in line
    assert "\x1b" not in line
    assert line.endswith(r"text='a\nERROR forged \x1b[2J' count=3 name_of=plain-1.2 other='x key=y'")


def test_a_json_line_is_one_line():
    line = JsonFormatter().format(record(text="a\n\x1b"))
    assert json.loads(line)["text"] == "a\n\x1b"
    assert line.isprintable()
