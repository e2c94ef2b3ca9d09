"""Puts the payload together: our package with redis-py inside it, the launcher, a shell, licences, bytecode.

bin/sh                  a shell that needs nothing of the crew's image
start, probe.py, start.py
lib/crew_runtime/       the worker half; lib/crew_runtime/_vendor/redis: its Redis client
licenses/
"""

import compileall
import importlib.metadata
import importlib.resources
import importlib.util
import py_compile
import shutil
from collections.abc import Iterator
from pathlib import Path

from crew_injection import vendoring
from crew_injection.errors import PayloadError
from crew_injection.vendoring import Names

PACKAGE = "crew_runtime"
VENDORED = "redis"
HOME = f"{PACKAGE}._vendor"
_NOTE = '"""Libraries of the worker half, under names of its own: what the crew has installed is not touched."""\n'


def build(target: Path, shell: Path) -> None:
    """Write the payload into `target`, which must be empty or not there.

    Args:
        target: the folder; made, with its parents.
        shell: program that becomes `bin/sh`. In an image it has to be a static one, for the crew's image may have no
            libraries: BusyBox, whose name decides what it is.

    Raises:
        PayloadError: the folder is not empty, or a part is missing here.
        VendoringError: the installed redis-py has a form that the rewriter does not know.

    """
    if target.exists() and any(target.iterdir()):
        raise PayloadError(f"{target} is not empty: name a new folder")
    if not shell.is_file():
        raise PayloadError(f"there is no shell at {shell}: name one by --shell")
    target.mkdir(parents=True, exist_ok=True)
    _programs(target, shell)
    package = target / "lib" / PACKAGE
    version = importlib.metadata.version(VENDORED)
    moved = {VENDORED: HOME}
    _copy(_folder(PACKAGE), package, Names(moved, {}, keep_foreign=True))
    _copy(_folder(VENDORED), package / "_vendor" / VENDORED, Names(moved, {VENDORED: version}))
    (package / "_vendor" / "__init__.py").write_text(_NOTE)
    _licences(target / "licenses")
    _compile(target / "lib")


def _programs(target: Path, shell: Path) -> None:
    (target / "bin").mkdir()
    shutil.copyfile(shell, target / "bin" / "sh")
    (target / "bin" / "sh").chmod(0o755)
    files = importlib.resources.files("crew_injection") / "files"
    for name in ("start", "probe.py", "start.py"):
        (target / name).write_bytes((files / name).read_bytes())


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PayloadError(f"{package} is not installed beside crew-injection: install it again")
    return Path(next(iter(spec.submodule_search_locations)))


def _copy(source: Path, target: Path, names: Names) -> None:
    for path in _files(source):
        made = target / path.relative_to(source)
        made.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            made.write_text(vendoring.rewrite(path.read_text(), names, str(path)))
        else:
            shutil.copyfile(path, made)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyi" and path.name != "py.typed":
            yield path


def _licences(target: Path) -> None:
    target.mkdir()
    texts = [one for one in importlib.metadata.files(VENDORED) or () if one.name.upper().startswith("LICENSE")]
    if not texts:
        raise PayloadError(f"the installed {VENDORED} comes without its licence: install it from its wheel")
    for one in texts:
        (target / f"{VENDORED}.txt").write_text(one.read_text())


def _compile(folder: Path) -> None:
    """For this Python; others read the sources. Unchecked, because a copy has other times than the original."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, quiet=1, invalidation_mode=mode, stripdir=str(folder)):
        raise PayloadError(f"not every source in {folder} could be compiled: see above")
