"""Reason words are spelled in the contract alone, so that a search for one finds all that there is to know of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from crew_runtime.contract.reasons import BY_WORD
from crew_runtime.contract.replica_reasons import WORDS, KickoffReason
from crew_runtime.contract.resource import ConditionType

ROOT = Path(__file__).parents[3]
SPEAKING = ("operator/src", "runtime/server/src", "runtime/worker/src", "cli/src")
"""Who gives or reads reasons. The local cluster speaks Kubernetes' own; the injection runs without the contract."""
OTHERS = {
    ("http/problems.py", "Unauthorized"): "HTTP's title of 401",
    ("http/problems.py", "Timeout"): "HTTP's title of 504",
    ("http/problems.py", "Error"): "the end of a class' name, and the title of any other code",
    ("api/crd.py", "Ready"): "the head of a column",
    ("status/observed.py", "Wedged"): "a state of Redis, which no user sees",
    ("status/pods.py", "Progressing"): "a condition of a Deployment",
    ("proofs/exercises.py", "Lock"): "a part of the name of CrewAI's exception",
}
"""What is spelled alike and means something else: by room and module, and the word."""


def modules() -> Iterator[Path]:
    for folder in SPEAKING:
        yield from (path for path in (ROOT / folder).rglob("*.py") if "contract" not in path.parts)


def spelled(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    texts = {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return texts & (WORDS | BY_WORD.keys() | set(ConditionType))


def test_no_other_module_spells_one():
    found = {("/".join(path.parts[-2:]), word) for path in modules() for word in spelled(path)}
    assert found - OTHERS.keys() == set()
    assert OTHERS.keys() - found == set(), "take these off the list"


def test_what_scripts_write_is_a_kickoffs_reason():
    texts = [path.read_text() for path in (ROOT / "runtime").glob("*/src/**/*.lua")]
    written = {word for text in texts for word in re.findall(r"'reason', '(\w+)'", text)}
    assert written
    assert written <= set(KickoffReason)
