"""The files of a crew that is declared without code -> CrewAI's own loader, which builds the crew.

CrewAI reads crew.jsonc, with the agents inside or in a file for each. Here the same may be written as YAML, or as the
two files that `crewai create crew` makes. Such a one is first written as CrewAI reads it, into a folder that is called
by its content: CrewAI's loader of definitions in memory takes less than that of files (no LLM out of Python, for one).
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from crewai.project import crew_loader, json_loader

from crew_runtime.contract import definition as files

log = logging.getLogger(__name__)

Object = dict[str, Any]


class DefinitionError(ValueError):
    """The files are no crew; the message says which of them, and what to change."""


def check(folder: Path, digest: str) -> None:
    """That a replica's copy of its definition is what it started with; an empty digest: there is none to compare with.

    Raises:
        DefinitionError: code of a kickoff may write there, and has.
    """
    if not digest:
        return
    _drop_bytecode(folder)
    try:
        same = files.digest(folder) == digest
    except OSError as error:
        raise DefinitionError(f"the crew definition in {folder} cannot be read: {error}") from error
    if not same:
        raise DefinitionError(
            f"the files in {folder} are not those that this replica was started with: code of a kickoff changed them. "
            "Delete the pod; another one starts from the ConfigMap"
        )


def load(path: Path) -> tuple[Any, Object]:
    """The crew, and the inputs that the definition gives.

    Args:
        path: the crew's file, or the folder that holds it.

    Raises:
        DefinitionError: for what is missing; CrewAI's own JSONProjectError and pydantic's errors for what is wrong.
    """
    folder, file = _found(path)
    own = _object(file) if file is not None else {}
    if file is not None and file.suffix in json_loader.JSON_PROJECT_EXTENSIONS and {"agents", "tasks"} <= set(own):
        return _from_json(file, folder, own)
    told = {**_of_a_project(folder), **own}
    agents = _agents(told.get("agents"), folder)
    crew = {**told, "agents": list(agents), "tasks": _tasks(told.get("tasks"))}
    return crew_loader.load_crew(_written(crew, agents, folder))


def _from_json(file: Path, folder: Path, told: Object) -> tuple[Any, Object]:
    if isinstance(told.get("agents"), Mapping):
        return crew_loader.load_crew_from_definition(told, source=file, project_root=folder)
    return crew_loader.load_crew(file, agents_dir=_agents_folder(folder))


def _found(path: Path) -> tuple[Path, Path | None]:
    """The folder, and the crew's file in it; None: agents and tasks are in files of their own."""
    if path.is_file():
        return path.parent, path
    if not path.is_dir():
        raise DefinitionError(f"there is no crew definition at {path}")
    names = {one.name for one in path.iterdir()}
    if lack := files.missing(names):
        raise DefinitionError(f"there is no crew definition in {path}: add {lack}")
    name = files.first(names, files.CREW_FILES)
    return path, path / name if name else None


def _of_a_project(folder: Path) -> Object:
    """What agents.yaml and tasks.yaml say. They have no place for the crew's own settings: it remembers, unless a file
    of the crew beside them says otherwise.
    """
    names = {one.name for one in folder.iterdir()}
    agents, tasks = files.first(names, files.AGENTS_FILES), files.first(names, files.TASKS_FILES)
    if agents is None or tasks is None:
        return {}
    return {"agents": _object(folder / agents), "tasks": _object(folder / tasks), "memory": True}


def _agents_folder(folder: Path) -> Path:
    beside = folder / "agents"
    return beside if beside.is_dir() else folder


def _agents(told: Any, folder: Path) -> dict[str, Object]:
    """By name, which will be that of a file; those that are only named are in files of their own."""
    if not isinstance(told, list | Mapping) or not all(isinstance(name, str) and "/" not in name for name in told):
        raise DefinitionError("agents: write each by its name, which has no slash, with role, goal and backstory")
    if isinstance(told, Mapping):
        return dict(told)
    return {name: _object(_file_of(name, _agents_folder(folder))) for name in told}


def _file_of(agent: str, folder: Path) -> Path:
    for suffix in files.SUFFIXES:
        if (file := folder / f"{agent}{suffix}").is_file():
            return file
    raise DefinitionError(f"there is no file for the agent {agent}: add {agent}.yaml")


def _tasks(told: Any) -> Any:
    """In order; as a mapping each is called by its key, as in tasks.yaml."""
    if not isinstance(told, Mapping):
        return told
    return [{"name": name, **body} if isinstance(body, Mapping) else body for name, body in told.items()]


def _written(crew: Object, agents: Mapping[str, Object], folder: Path) -> Path:
    """The crew's file in a folder with the Python that it may refer to, which CrewAI wants to lie there. The same
    content is the same folder, whichever process asks.
    """
    told = {Path("crew.json"): crew, **{Path("agents", f"{name}.json"): body for name, body in agents.items()}}
    texts = {name: json.dumps(body, ensure_ascii=False, default=str) for name, body in told.items()}
    texts |= {Path(one.name): one.read_text(encoding="utf-8") for one in sorted(folder.glob("*.py"))}
    content = json.dumps(sorted((str(name), text) for name, text in texts.items()))
    made = Path.home() / ".cache" / "crewops" / hashlib.sha256(content.encode()).hexdigest()[:16]
    if os.path.lexists(made) and not _holds(made, texts):
        # Its name promises a content, but every kickoff's code may write there.
        log.warning("%s was changed by code of a kickoff: it is built again", made)
        _remove(made)
    if not made.is_dir():
        _write(texts, made)
    return made / "crew.json"


def _holds(made: Path, texts: Mapping[Path, str]) -> bool:
    """Whether these files are there, and no other."""
    _drop_bytecode(made)
    try:
        there = {path.relative_to(made): path.read_text(encoding="utf-8") for path in files.below(made)}
    except (OSError, UnicodeDecodeError):
        return False
    return there == dict(texts)


def _remove(made: Path) -> None:
    """Out of sight first: another process may look for it at any time."""
    with tempfile.TemporaryDirectory(dir=made.parent, ignore_cleanup_errors=True) as aside, suppress(FileNotFoundError):
        made.rename(Path(aside, made.name))  # gone: another process was faster


def _drop_bytecode(folder: Path) -> None:
    """Python takes bytecode for a file's when two numbers in it fit, and they are easily made to."""
    for path in folder.rglob(files.BYTECODE):
        shutil.rmtree(path, ignore_errors=True)


def _write(texts: Mapping[Path, str], made: Path) -> None:
    made.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{made.name}-", dir=made.parent))
    (fresh / "agents").mkdir()
    for name, text in texts.items():
        (fresh / name).write_text(text, encoding="utf-8")
    try:
        fresh.rename(made)
    except OSError:  # another process was faster, with the same
        if not made.is_dir():
            raise


def _object(file: Path) -> Object:
    told = json_loader.load_jsonc_file(file) if file.suffix in json_loader.JSON_PROJECT_EXTENSIONS else _yaml(file)
    if not isinstance(told, dict):
        raise DefinitionError(f"{file}: write an object, not a {type(told).__name__}")
    return told


def _yaml(file: Path) -> Any:
    import yaml  # CrewAI brings it

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DefinitionError(f"{file}: invalid YAML: {' '.join(str(error).split())}") from error
