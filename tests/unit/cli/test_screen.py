"""What others' texts may not do to a terminal."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from crewctl.doctor import show as doctor
from crewctl.doctor.judge import Section
from crewctl.findings import Finding, Level
from crewctl.screen import PlainConsole, plain
from crewctl.verify import show as verify

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[1;1Hall is well\x9b31m\r\x08\x7f\u202eback\u2066 ok"


def test_controls_and_turns_go_and_all_else_stays():
    assert plain(HOSTILE) == "]0;owned[2J[1;1Hall is well31mback ok"
    kept = "two\tcolumns\nand a line: äöü 漢字 🙂 -> ✓ [bold]"
    assert plain(kept) == kept


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_every_control_character_goes_but_line_feed_and_tab(code):
    assert plain(f"a{chr(code)}b") == (f"a{chr(code)}b" if chr(code) in "\n\t" else "ab")


def shown(renderable):
    out = io.StringIO()
    PlainConsole(file=out, force_terminal=True, color_system="standard", width=200).print(renderable)
    return out.getvalue()


def test_our_own_styles_stay():
    assert shown(Text("fine", style="green")) == "\x1b[32mfine\x1b[0m\n"
    assert shown(Text(HOSTILE, style="green")) == "\x1b[32m]0;owned[2J[1;1Hall is well31mback ok\x1b[0m\n"


def test_in_tables_too():
    table = Table.grid()
    table.add_row(Text(HOSTILE), HOSTILE)
    assert "\x1b" not in shown(table)
    assert "\u202e" not in shown(table)


@pytest.mark.parametrize("text", ["[red]x[/red]", "closed [/] too often", "[link=https://evil.example]here[/link]"])
def test_no_text_is_markup(text):
    table = Table.grid()
    table.add_row(text)
    assert shown(text) == shown(table) == f"{text}\n"


def test_doctor_and_verify_print_by_it(capsys):
    assert isinstance(verify.console(), PlainConsole)
    finding = Finding(Level.FAIL, HOSTILE, HOSTILE, HOSTILE)
    doctor.on_screen(doctor.console(), HOSTILE, (Section(HOSTILE, (finding,)),))
    printed = capsys.readouterr().out
    assert "all is well" in printed
    assert printed == plain(printed)
