import inspect
import re
from pathlib import Path

import pytest

from crew_runtime.contract import keys, lifetimes
from crew_runtime.contract.lifetimes import Life

RUNTIME = Path(__file__).parents[3] / "runtime"
SCRIPTS = sorted(RUNTIME.rglob("src/**/*.lua"))
NO_KEYS = {"root", "beginning", "rehearsal_prefix"}
MADE = {
    name: made
    for name, made in inspect.getmembers(keys, inspect.isfunction)
    if not name.startswith("_") and name not in NO_KEYS and made.__module__ == keys.__name__
}


def made(name):
    parameters = list(inspect.signature(MADE[name]).parameters)[1:]
    return MADE[name]("ns/crew", *(3 if one == "dimension" else "x" for one in parameters))


@pytest.mark.parametrize("name", MADE)
def test_every_key_of_the_contract_has_a_life(name):
    assert lifetimes.of(made(name)) is not None
    inside = keys.rehearsal_prefix("ns/crew", "n0")
    assert lifetimes.of(keys.root(inside) + made(name).removeprefix(keys.root("ns/crew"))) is lifetimes.of(made(name))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: f"{one.parents[1].name}-{one.stem}")
def test_every_key_that_a_script_makes_is_one_of_the_contract(script):
    known = {made(name).removeprefix(keys.root("ns/crew")) for name in MADE}
    for start in re.findall(r"(?:\broot|string\.sub\(prefix, 1, -3\)) \.\. '([^']+)'", script.read_text()):
        if start == "/":
            continue  # of a scope's root
        assert any(one == start or (start.endswith(":") and one.startswith(start)) for one in known), start


def test_what_is_none_of_ours_has_no_life():
    assert lifetimes.of("user:1") is None
    assert lifetimes.of("cs:{a/b}:something new") is None
    assert lifetimes.of("cs:{a/b}:queue:other") is None


def test_the_docs_tell_what_expires_says():
    for name, function in MADE.items():
        if lifetimes.of(made(name)) is Life.EXPIRES:
            assert "expire" in (inspect.getdoc(function) or "").lower(), name
