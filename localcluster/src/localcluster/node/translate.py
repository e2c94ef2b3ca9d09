"""Makes a container's words true on this machine: paths under its mounts, names of Services. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(
    r"(?<![\w.-])(?:(?P<host>[a-z0-9]([-a-z0-9]*[a-z0-9])?)\.)?(?P<service>[a-z0-9]([-a-z0-9]*[a-z0-9])?)"
    r"\.(?P<namespace>[a-z0-9]([-a-z0-9]*[a-z0-9])?)\.svc(?:\.cluster\.local)?(?![\w.-])"
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume within a container."""

    path: str
    """As the container knows it."""
    target: Path
    """Where it is on this machine."""


def _pattern(paths: Sequence[str]) -> re.Pattern[str]:
    """The longest of these that begins at a place."""
    # After a word or a slash it is another path (`redis://data` is no `/data`), except after a scheme: unix:///run
    either = "|".join(re.escape(one) for one in sorted(paths, key=len, reverse=True))
    return re.compile(rf"(?:(?<![\w./-])|(?<=://))(?:{either})(?=/|$|[^\w./-])")


def paths(text: str, mounts: Sequence[Mount], exists: Callable[[str], bool]) -> str:
    """Replace every path under a mount by the path of its volume, once: that may lie below another mount's path.

    A path that is there on this machine and not in the volume is meant as it stands: a program of the machine.
    """
    targets = {mount.path.rstrip("/"): mount.target for mount in mounts if mount.path.rstrip("/") in text}
    targets.pop("", None)
    if not targets:
        return text
    result, at = [], 0
    for found in _pattern(list(targets)).finditer(text):
        rest = re.match(r"[^\s:;,=\"']*", text[found.end() :])
        tail = rest[0] if rest else ""
        target = targets[found[0]]
        if tail.strip("/") and exists(found[0] + tail) and not exists(f"{target}{tail}"):
            continue
        result += [text[at : found.start()], str(target)]
        at = found.end()
    return "".join([*result, text[at:]])


def names(text: str, resolve: Callable[[str, str, str], str | None]) -> str:
    """Replace `[host.]service.namespace.svc[.cluster.local]` by the address that (host, service, namespace) has."""

    def address(found: re.Match[str]) -> str:
        return resolve(found["host"] or "", found["service"], found["namespace"]) or found[0]

    return _NAME.sub(address, text) if ".svc" in text else text


_REFERENCE = re.compile(r"\$(\$|\([A-Za-z_.-][A-Za-z0-9_.-]*\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; `$$(NAME)` stands for itself, unknown names too."""

    def value(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return variables.get(found[1][1:-1], found[0])

    return _REFERENCE.sub(value, text)
