"""The Lua scripts of both halves say at their head, and read by number, what `contract.scripts` says that they take."""

import inspect
import re
from pathlib import Path

import pytest

from crew_runtime.contract import keys, scripts
from crew_runtime.contract.scripts import ALL, Signature

RUNTIME = Path(__file__).parents[3] / "runtime"
ROOMS = {
    "memory": RUNTIME / "worker/src/crew_runtime/memory/lua",
    **{one: RUNTIME / f"server/src/crew_server/{one}/lua" for one in ("history", "queue", "sessions", "webhooks")},
}
SHARED = "common"
"""Of a room: says KEYS for all its scripts, and takes the root of ARGV."""


def text(one: Signature) -> str:
    return (ROOMS[one.room] / f"{one.name}.lua").read_text()


def shared(one: Signature) -> str:
    found = ROOMS[one.room] / f"{SHARED}.lua"
    return found.read_text() if found.exists() else ""


def said(source: str, what: str) -> tuple[tuple[str, ...], str]:
    """What the head of a script says of KEYS or ARGV: the names, and what they go on with."""
    head = " ".join(line.removeprefix("--").strip() for line in source.splitlines() if line.startswith("--"))
    plain = " ".join(re.sub(r"\([^()]*\)", "", head).split()).replace(" ,", ",").replace(" .", ".").replace(" ;", ";")
    found = re.search(rf"{what}: ([^.]*)\.", plain)
    names, _, more = found[1].partition("; then ") if found else ("", "", "")
    return tuple(one.strip() for one in names.split(",") if one.strip()), more.strip()


def by_script(one: Signature) -> str:
    return f"{one.room}-{one.name}"


def test_every_script_has_a_signature():
    files = {(room, path.stem) for room, folder in ROOMS.items() for path in folder.glob("*.lua")}
    assert {(one.room, one.name) for one in ALL} == files - {(room, SHARED) for room in ROOMS}


@pytest.mark.parametrize("one", ALL, ids=by_script)
def test_its_head_says_what_it_takes(one):
    assert said(shared(one) or text(one), "KEYS") == (one.keys, one.more_keys)
    assert said(text(one), "ARGV") == (one.argv, one.more)


@pytest.mark.parametrize("one", ALL, ids=by_script)
def test_it_reads_all_that_it_takes_and_nothing_else(one):
    source = text(one)
    read = {int(at) for at in re.findall(r"ARGV\[(\d+)\]", source)}
    own = set(range(1, len(one.argv) + 1)) - ({1} if one.argv[0] == "root" and 1 not in read else set())
    assert read == own
    starts = {int(at) for at in re.findall(r"(?:= |ARGV, )(\d+)(?:, #ARGV|\))", source)} - {1}
    assert all(at == len(one.argv) + 1 for at in starts if one.more), starts
    if shared(one):
        assert "KEYS" not in re.sub(r"--.*", "", source)
    else:
        taken = {int(at) for at in re.findall(r"KEYS\[(\d+)\]", source)}
        assert taken <= set(range(1, len(one.keys) + 1))


@pytest.mark.parametrize("one", ALL, ids=by_script)
def test_its_keys_are_those_of_the_contract(one):
    known = {name for name, _ in inspect.getmembers(keys, inspect.isfunction)}
    assert set(one.keys) <= known


def test_a_caller_that_names_others_is_told():
    one = scripts.LOCK_RELEASE
    assert one.names({"released": "b", "lock": "a"}) == ["a", "b"]
    assert one.arguments({"retried_within": 5, "token": "t"}) == ["t", 5]
    for given in ({"token": "t"}, {"token": "t", "retried": 5}, {"token": "t", "retried_within": 5, "lease": 1}):
        with pytest.raises(TypeError, match="takes token, retried_within, and was given token"):
            one.arguments(given)
    with pytest.raises(TypeError, match="takes nothing more"):
        one.arguments({"token": "t", "retried_within": 5}, ["x"])
    with pytest.raises(TypeError, match="takes lock, released"):
        one.names({"lock": "a"})


def test_optional_keys_are_given_all_or_none():
    one = scripts.MEMORY_WRITE
    all_of_them = {name: name for name in one.keys}
    few = {name: name for name in one.keys[: -one.optional]}
    assert one.names(all_of_them) == list(one.keys)
    assert one.names(few) == list(one.keys[: -one.optional])
    with pytest.raises(TypeError):
        one.names({**few, "idle": "idle"})
