"""A crew may at Redis what both halves use. That they use no more, their suites show: they run with these rights."""

import re
from pathlib import Path

import pytest

from crew_runtime.contract import rights

RUNTIME = Path(__file__).parents[3] / "runtime"
SOURCES = [
    path.read_text() for half in ("worker", "server") for path in sorted((RUNTIME / half / "src").rglob("*.py"))
    if path.name != "rights.py"
]  # fmt: skip
SCRIPTS = [path.read_text() for path in sorted(RUNTIME.rglob("src/**/*.lua"))]
OTHERWISE = {
    "del": r"\.delete\(",
    "script|load": r"\.script_load\(",
    "evalsha": r"register_script\(|\"EVALSHA\"",
    "command|info": r"\"COMMAND INFO\"",
    "multi": r"pipeline\(transaction=True\)|\.multi\(",
    "exec": r"\.execute\(",
    "client|setname": r"\"client_name\"",
    "auth": r"\[\"password\"\]",
}
"""What redis-py calls a command."""
UNSEEN = {
    "hello": "redis-py greets with it unless the URL asks for protocol=2",
    "select": "redis-py, for a database that the URL names",
    "unwatch": "redis-py, when a watched transaction is given up",
    "pttl": "the server half of runtimes that kept the end of a session as the expiry of its key",
    "discard": "redis-py, when a transaction fails while it is queued",
}
"""Used by the library or an older runtime, and not by a line of ours."""


@pytest.mark.parametrize("command", [*rights.COMMANDS, *rights.SEARCH_COMMANDS])
def test_what_is_granted_is_used(command):
    if command in UNSEEN:
        return
    by_script = re.compile(rf"redis\.call\('{command}'", re.IGNORECASE)
    pattern = OTHERWISE.get(command, rf"(client|pipeline)\.{re.escape(command)}(_iter)?\(|\"{command.upper()}\"")
    assert any(by_script.search(one) for one in SCRIPTS) or any(re.search(pattern, one) for one in SOURCES), command


def test_what_scripts_call_is_granted():
    called = {name.lower() for one in SCRIPTS for name in re.findall(r"redis\.p?call\(\s*'([A-Za-z]+)'", one)}
    assert called
    assert called <= set(rights.COMMANDS)
    assert not [one for one in SCRIPTS if re.search(r"redis\.p?call\(\s*[^'\s]", one)], "a command that is no literal"


def test_the_rules_are_of_the_crews_keys_alone():
    keys = [one for one in rights.rules("hotel/concierge", search=True) if one.startswith(("~", "%", "allkeys"))]
    assert keys == ["~cs:{hotel/concierge}:*"]
