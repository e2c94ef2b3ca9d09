"""Source text of a library -> the same under another name, by the syntax tree and not by searching text. Pure.

A crew's image may hold any redis-py or none, and what it holds is the crew's business. So the worker half brings its
own as a package inside itself. pip's `vendoring` rewrites by regular expressions and refuses `import a.b`
(github.com/pradyunsg/vendoring); redis-py has more forms than that.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crew_injection.errors import VendoringError

_BY_NAME = frozenset({"import_module", "__import__", "find_spec", "files"})
"""Functions that take a module's name as text."""


@dataclass(frozen=True)
class Names:
    """What becomes of which import."""

    moved: Mapping[str, str]
    """Top-level package -> the package that holds it now: `redis` -> `crew_runtime._vendor`."""
    versions: Mapping[str, str]
    """Distribution -> its version, which takes the place of a question for it: the metadata are the crew's."""
    keep_foreign: bool = False
    """Leave imports of third parties as they are. Otherwise they fail as if the package were not installed: a library
    of ours must not behave by what the crew happens to have."""


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


def rewrite(source: str, names: Names, path: str = "<source>") -> str:
    """The source with its imports renamed; lines stay where they are, for tracebacks.

    Raises:
        VendoringError: an import has a form that is not known here.

    """
    tree = ast.parse(source, path)
    lines = _Lines(source)
    edits = [edit for node in _running(tree) for edit in _edits(node, names, lines, path)]
    data = source.encode()
    for edit in sorted(edits, key=lambda one: one.start, reverse=True):
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
    result = data.decode()
    ast.parse(result, path)  # an edit that breaks a file is found here and not in somebody's cluster
    return result


class _Lines:
    """Offsets of a tree's nodes, which the tree gives as line and column in UTF-8."""

    def __init__(self, source: str) -> None:
        self.data = source.encode()
        starts = [0]
        for line in self.data.split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        self._starts = starts

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """Where it begins and ends, in bytes."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column

    def text(self, node: ast.stmt | ast.expr) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode()


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but what only a type checker reads."""
    ahead: list[ast.AST] = [tree]
    while ahead:
        node = ahead.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            ahead += node.orelse
        else:
            ahead += ast.iter_child_nodes(node)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _edits(node: ast.AST, names: Names, lines: _Lines, path: str) -> Iterator[_Edit]:
    match node:
        case ast.Import():
            yield from _import(node, names, lines, path)
        case ast.ImportFrom(level=0, module=str(module)):
            yield from _import_from(node, module, names, lines, path)
        case ast.Call():
            yield from _call(node, names, lines, path)


def _import(node: ast.Import, names: Names, lines: _Lines, path: str) -> Iterator[_Edit]:
    ours = [one for one in node.names if _top(one.name) in names.moved]
    foreign = [one for one in node.names if _is_foreign(one.name, names)]
    if not ours and not foreign:
        return
    if len(node.names) > 1:
        raise VendoringError(f"{path}:{node.lineno}: several modules in one import: {lines.text(node)}")
    one = node.names[0]
    if foreign:
        yield _replace(node, _refusal(one.name), lines)
        return
    if "." in one.name:
        raise VendoringError(f"{path}:{node.lineno}: a dotted import binds its first part only: {lines.text(node)}")
    alias = f" as {one.asname}" if one.asname else ""
    yield _replace(node, f"from {names.moved[one.name]} import {one.name}{alias}", lines)


def _import_from(node: ast.ImportFrom, module: str, names: Names, lines: _Lines, path: str) -> Iterator[_Edit]:
    if _is_foreign(module, names):
        yield _replace(node, _refusal(module), lines)
    elif (home := names.moved.get(_top(module))) is not None:
        start, _ = lines.span(node)
        words = lines.text(node)
        head = f"from {module}"
        if not words.startswith(head):
            raise VendoringError(f"{path}:{node.lineno}: more than one blank, or a line's end, in: {words}")
        yield _Edit(start, start + len(head.encode()), f"from {home}.{module}")


def _call(node: ast.Call, names: Names, lines: _Lines, path: str) -> Iterator[_Edit]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
    if called in _BY_NAME and (name is None or _top(name) in names.moved):
        if not names.keep_foreign or name is not None:
            raise VendoringError(f"{path}:{node.lineno}: a module is named by text: {lines.text(node)}")
    elif called == "version" and name is not None and name in names.versions:
        yield _replace(node, repr(names.versions[name]), lines)


def _replace(node: ast.stmt | ast.expr, text: str, lines: _Lines) -> _Edit:
    start, end = lines.span(node)
    if not isinstance(node, ast.stmt):
        return _Edit(start, end, text)
    missing = (node.end_lineno or node.lineno) - node.lineno
    return _Edit(start, end, text + "\n" * missing)


def _refusal(module: str) -> str:
    return f'raise ImportError("{_top(module)} is left out: what a crew has installed must not change what this does")'


def _is_foreign(module: str, names: Names) -> bool:
    top = _top(module)
    return not names.keep_foreign and top not in sys.stdlib_module_names and top not in names.moved


def _top(module: str) -> str:
    return module.partition(".")[0]
