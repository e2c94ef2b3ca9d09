"""The programs beside the cluster's own loop, as data: what `crewctl up` starts and `--dry-run` prints."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

METRICS_PORT, HEALTH_PORT = 8080, 8081


@dataclass(frozen=True, slots=True)
class Component:
    """One program."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def shown(self) -> str:
        """As a line for a shell."""
        words = [f"{key}={shlex.quote(value)}" for key, value in self.env.items() if key != "PATH"]
        return " ".join([*words, shlex.join(self.argv)])


def operator(kubeconfig: Path, address: str) -> Component:
    """The operator, unmodified; it listens on the node's address."""
    argv = (
        sys.executable, "-m", "crew_operator",
        "--bind", address,
        "--metrics-port", str(METRICS_PORT),
        "--healthz-port", str(HEALTH_PORT),
    )  # fmt: skip
    return Component("operator", argv, {"KUBECONFIG": str(kubeconfig), "PATH": os.environ.get("PATH", "")})


def supervisor(folder: Path, arguments: tuple[str, ...]) -> Component:
    """The cluster itself, in the background."""
    return Component("supervisor", (sys.executable, "-m", "localcluster", "--dir", str(folder), *arguments))
