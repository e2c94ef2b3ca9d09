"""Images without a registry: an image is folders for the PATH, a working folder, variables and an entrypoint."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from crew_operator.api import names as operator_names
from localcluster.errors import UsageError

RUNTIME = "ghcr.io/crewops/crew-runtime:*"
"""The image with both halves of the runtime."""
_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin")
_INHERITED = ("LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
"""What containers take over from the machine. Nothing else: no key of the user's may slip into a crew unasked."""
POD_IP = "$(POD_IP)"
"""In an image's words: the pod's address."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a container is started from."""

    name: str
    """May hold wildcards."""
    path: tuple[str, ...] = ()
    """Folders for the PATH, before the system's."""
    workdir: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    """Before the container's `args` when it has no `command`."""
    extra_args: tuple[str, ...] = ()
    """After them."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """What the image holds under a path: the words of its containers that name it are made true."""
    files: str = ""
    """The folder of the user's code, for `crewctl status`."""

    def variables(self, pod_ip: str, hostname: str) -> dict[str, str]:
        """The environment that a container of this image starts with."""
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        base = {
            "PATH": os.pathsep.join((*self.path, *_SYSTEM)),
            "HOSTNAME": hostname,
            "HOME": "/root" if os.geteuid() == 0 else str(Path.home()),
            "PYTHONUNBUFFERED": "1",
        }
        own = {key: value.replace(POD_IP, pod_ip) for key, value in self.env.items()}
        return {**inherited, **base, **own}

    def argv(self, command: Sequence[str], args: Sequence[str], pod_ip: str) -> list[str]:
        """The words to start, as Kubernetes puts `command` and `args` together with an image's own."""
        words = list(command) + list(args) if command else [*self.entrypoint, *args, *self.extra_args]
        return [word.replace(POD_IP, pod_ip) for word in words]


def _same(name: str) -> str:
    """A reference without what does not tell images apart: Docker's own registry and `library/`."""
    for prefix in ("docker.io/", "library/", "localhost/"):
        name = name.removeprefix(prefix)
    return name


class Images:
    """All images that this cluster knows, and where unknown ones run from."""

    def __init__(self, images: Sequence[Image], fallback: Image | None = None) -> None:
        self._images = list(images)
        self._fallback = fallback

    def find(self, name: str) -> Image | None:
        """The image of that reference; exact names before wildcards."""
        for one in self._images:
            if _same(one.name) == _same(name):
                return one
        for one in self._images:
            if fnmatchcase(_same(name), _same(one.name)):
                return one
        return self._fallback

    def add(self, image: Image) -> None:
        """Know one more; it goes before those that are known."""
        self._images.insert(0, image)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images)


def crew_python() -> Path | None:
    """The interpreter that has CrewAI: CREWCTL_CREW_PYTHON, or the environment `<ours>-crew` beside ours."""
    if named := os.environ.get("CREWCTL_CREW_PYTHON"):
        return Path(named)
    ours = Path(sys.prefix)
    found = ours.with_name(f"{ours.name}-crew") / "bin" / "python"
    return found if found.exists() else None


def _bin(python: Path | None) -> tuple[str, ...]:
    own = str(Path(sys.executable).parent)
    return (str(python.parent), own) if python is not None else (own,)


def runtime(python: Path | None, payload: Path) -> Image:
    """The runtime's image: the crew's interpreter first, then ours with `crew-server`; the payload for other images."""
    bind = {"CREWOPS_BIND_ADDRESS": POD_IP}
    return Image(RUNTIME, path=_bin(python), env=bind, folders={operator_names.IMAGE_PAYLOAD: payload})


def redis(server: Path, modules: Sequence[Path]) -> Image:
    """redis:8 as the official image behaves: modules only through its entrypoint."""
    words = [word for module in modules for word in ("--loadmodule", str(module))]
    return Image(
        "redis:*",
        path=(str(server.parent),),
        entrypoint=(str(server),),
        extra_args=("--bind", POD_IP, *words),
    )


def of_folder(name: str, folder: Path, python: Path | None) -> Image:
    """A user's image: the code of a folder, run by an interpreter."""
    found = folder.resolve()
    if not found.is_dir():
        raise UsageError(f"image {name}: {folder} is no folder")
    source = found / "src"
    roots = os.pathsep.join(str(one) for one in (source, found) if one.is_dir())
    return Image(
        name,
        path=_bin(python),
        workdir=str(found),
        env={"PYTHONPATH": roots, "CREWOPS_BIND_ADDRESS": POD_IP},
        files=str(found),
    )


def parse(text: str) -> Image:
    """`NAME=DIR[,python=PATH]` as given by `--image`. Raises UsageError."""
    name, found, rest = text.partition("=")
    folder, _, option = rest.partition(",")
    if not name or not found or not folder or (option and not option.startswith("python=")):
        raise UsageError(f"--image {text}: write NAME=DIR or NAME=DIR,python=PATH")
    python = Path(option.removeprefix("python=")) if option else crew_python()
    if option and python is not None and not python.exists():
        raise UsageError(f"--image {text}: {python} does not exist")
    return of_folder(name, Path(folder), python)
