"""The types and reasons -> pages of docs. `python -m crew_operator.api.reference FOLDER` writes them there."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crew_operator.api import crd, names
from crew_runtime.contract.reasons import Reason

_NOTE = "<!-- Made from operator/src/crew_operator/api by `make crds`; do not edit. -->\n"

_HOW_TO_READ = """`kubectl describe crew NAME` shows each condition with a reason. A condition is `True` only when it
was proven, `False` when the opposite was seen, and `Unknown` when the operator could not check.
"""


def pages() -> dict[str, str]:
    """File name -> Markdown."""
    return {"conditions.md": _conditions(), "crewdeployment.md": _fields()}


def _conditions() -> str:
    text = [
        _NOTE,
        "# Conditions and their reasons\n",
        _HOW_TO_READ,
        "| Reason | What has happened | What to do |",
        "|---|---|---|",
    ]
    text += [f"| <a id='{one.word.lower()}'></a>`{one.word}` | {one.cause} | {one.remedy} |" for one in Reason]
    return "\n".join(text) + "\n"


def _fields() -> str:
    version = crd.manifest()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    text = [
        _NOTE,
        f"# {names.KIND}\n",
        f"`apiVersion: {names.GROUP}/{version['name']}`. The same in the terminal: `kubectl explain crew.spec`.\n",
    ]
    for part in ("spec", "status"):
        text += [f"## {part}\n", "| Field | Type | Default | |", "|---|---|---|---|"]
        text += [_row(*found) for found in _walk(part, schema[part])]
        text += [""]
    rules = [
        rule["message"]
        for _, one in _objects("spec", schema["spec"])
        for rule in one.get("x-kubernetes-validations", ())
    ]
    text += ["## Rules\n", "The API server refuses a spec that breaks one of these.\n"]
    text += [f"- {message}" for message in dict.fromkeys(rules)]
    return "\n".join(text) + "\n"


def _row(path: str, schema: Mapping[str, Any], required: bool) -> str:
    plain = isinstance(schema.get("default"), str | int | bool)
    default = f"`{schema['default']}`" if plain else ""
    kind = " or ".join(f"`{one}`" for one in schema["enum"]) if "enum" in schema else _type(schema)
    about = " ".join(str(schema.get("description", "")).split()).replace("|", "\\|")
    return f"| `{path}`{' (required)' if required else ''} | {kind} | {default} | {about} |"


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    return str(schema.get("type", "any"))


def _walk(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every field below `path`, its own schema, and whether it has to be there."""
    inner, suffix = (schema["items"], "[]") if "items" in schema else (schema, "")
    for name, one in inner.get("properties", {}).items():
        below = f"{path}{suffix}.{name}"
        yield below, one, name in inner.get("required", ())
        yield from _walk(below, one)


def _objects(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for below, one, _ in _walk(path, schema):
        yield below, one


if __name__ == "__main__":
    for file_name, page in pages().items():
        Path(sys.argv[1], file_name).write_text(page, encoding="utf-8")
