"""The files in which a crew is declared without code: keys of a ConfigMap, and so plain names in one folder."""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

CREW_FILES = ("crew.jsonc", "crew.json", "crew.yaml", "crew.yml")
"""The whole crew, in CrewAI's own format or the same in YAML. The first that is there is the one."""
AGENTS_FILES = ("agents.yaml", "agents.yml")
TASKS_FILES = ("tasks.yaml", "tasks.yml")
"""As `crewai create crew` lays a project's `config` folder out. A crew's file beside them need only say the rest."""
SUFFIXES = (".jsonc", ".json", ".yaml", ".yml")
"""Of an agent's own file, which is named as the crew names the agent."""


def first(files: Collection[str], of: tuple[str, ...]) -> str | None:
    """The first of these names that is there."""
    return next((name for name in of if name in files), None)


def missing(files: Collection[str]) -> str:
    """What these files lack to be a crew, in words that end "add ..."; empty when they are one."""
    if first(files, CREW_FILES) or (first(files, AGENTS_FILES) and first(files, TASKS_FILES)):
        return ""
    if first(files, AGENTS_FILES) or first(files, TASKS_FILES):
        return TASKS_FILES[0] if first(files, AGENTS_FILES) else AGENTS_FILES[0]
    return f"one of {', '.join(CREW_FILES[:3])}, or {AGENTS_FILES[0]} and {TASKS_FILES[0]}"


BYTECODE = "__pycache__"
"""Python writes such a folder beside what it imports: it is no part of a definition."""


def digest(folder: Path) -> str:
    """Of the names and contents of all files below a folder, without Python's bytecode. Raises OSError."""
    made = hashlib.sha256()
    for path in sorted(below(folder)):
        name, content = str(path.relative_to(folder)).encode(), path.read_bytes()
        made.update(b"%d %d " % (len(name), len(content)) + name + content)
    return made.hexdigest()


def below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, without Python's bytecode."""
    return (path for path in folder.rglob("*") if BYTECODE not in path.relative_to(folder).parts and not path.is_dir())
