"""A folder -> which crew lies in it. Reads files and imports nothing: the crew has an interpreter of its own."""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crewctl.errors import UsageError

DEFINITIONS = ("crew.jsonc", "crew.json")
MODULES = ("crew.py", "main.py")
"""Where CrewAI's templates put a crew's class and a flow's."""
SKIPPED = frozenset({"tests", "node_modules", "site-packages", "build", "dist"})
DEEPEST = 3
"""Folders below the project: `src/<package>/crew.py` and one more."""


@dataclass(frozen=True)
class Project:
    """What to run, and where."""

    folder: Path
    entrypoint: str = ""
    """`module:attr`; excludes `definition`."""
    definition: str = ""
    """Relative to `folder`."""

    @property
    def source(self) -> str:
        """Which of the two it is."""
        return self.entrypoint or self.definition


def find(path: Path, entrypoint: str = "") -> Project:
    """The crew at `path`: a project's folder, or the file of a definition. Raises UsageError when there is no one."""
    if path.is_file():
        if entrypoint:
            raise UsageError(f"{path} is a definition and needs no --entrypoint: name the project's folder instead")
        return Project(path.parent.resolve(), definition=path.name)
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder")
    folder = path.resolve()
    if entrypoint:
        module, colon, attribute = entrypoint.partition(":")
        if not (module and colon and attribute):
            raise UsageError(f"--entrypoint {entrypoint} is not of the form module:attr")
        return Project(folder, entrypoint)
    told = _told(folder)
    if (definition := _definition(folder, told)) is not None:
        return Project(folder, definition=definition)
    found = list(_classes(folder, told.get("type")))
    if len(found) == 1:
        return Project(folder, found[0])
    if found:
        raise UsageError(f"{path} has several crews ({', '.join(found)}): name one of them by --entrypoint")
    raise UsageError(
        f"{path} has no crew: neither a crew.jsonc, nor a class with @CrewBase in a crew.py, nor a Flow in a main.py. "
        "Name it by --entrypoint module:attr (a Crew, a @CrewBase class, a Flow or a function that returns one)"
    )


def _told(folder: Path) -> Mapping[str, Any]:
    """The table [tool.crewai] of the project, empty without one."""
    file = folder / "pyproject.toml"
    if not file.is_file():
        return {}
    try:
        table = tomllib.loads(file.read_text()).get("tool", {}).get("crewai", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return table if isinstance(table, dict) else {}


def _definition(folder: Path, told: Mapping[str, Any]) -> str | None:
    named = told.get("definition")
    if named and told.get("type") == "flow":
        raise UsageError(
            f"{named} declares a flow, which a replica cannot load: write a function that returns "
            f"Flow.from_declaration(...) and name it by --entrypoint"
        )
    if named and not (folder / str(named)).is_file():
        raise UsageError(f"pyproject.toml names {named} as the crew's definition, and there is no such file")
    names = [str(named)] if named else [one for one in DEFINITIONS if (folder / one).is_file()]
    return names[0] if names else None


def _classes(folder: Path, kind: object) -> Iterator[str]:
    """Entrypoints of the classes that are crews or flows. A flow's project has crews too: those that it calls."""
    found = {file: list(_crews_and_flows(file)) for file in _modules(folder)}
    wanted = ("flow",) if kind == "flow" else ("crew",) if kind == "crew" else ("crew", "flow")
    for one in wanted:
        names = [
            f"{_dotted(folder, file)}:{name}" for file, made in found.items() for type_, name in made if type_ == one
        ]
        if names:
            yield from sorted(names)
            return


def _modules(folder: Path) -> Iterator[Path]:
    for name in MODULES:
        for depth in range(DEEPEST + 1):
            for file in sorted(folder.glob("*/" * depth + name)):
                parts = file.relative_to(folder).parts[:-1]
                if not any(part in SKIPPED or part.startswith(".") or _is_environment(folder, part) for part in parts):
                    yield file


def _is_environment(folder: Path, part: str) -> bool:
    return (folder / part / "pyvenv.cfg").exists()


def _crews_and_flows(file: Path) -> Iterator[tuple[str, str]]:
    """(`crew` or `flow`, name) of each class at the top of a module."""
    try:
        tree = ast.parse(file.read_text(), str(file))
    except (SyntaxError, UnicodeDecodeError):
        return  # said with its line when it is named and imported
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            if any(_name(one) == "CrewBase" for one in node.decorator_list):
                yield "crew", node.name
            elif any(_name(one) == "Flow" for one in node.bases):
                yield "flow", node.name


def _name(node: ast.expr) -> str:
    """The last name of `a.b`, `b[...]` or `b(...)`."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Subscript():
            return _name(node.value)
        case ast.Call():
            return _name(node.func)
    return ""


def _dotted(folder: Path, file: Path) -> str:
    """As Python imports it with the folder and its `src` on the path."""
    parts = list(file.relative_to(folder).with_suffix("").parts)
    return ".".join(parts[1:] if parts[0] == "src" and len(parts) > 1 else parts)
