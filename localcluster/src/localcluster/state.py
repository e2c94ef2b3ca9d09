"""What is known of a local cluster from its folder: where it runs, how to reach it, which process is whose."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster import private
from localcluster.errors import ClusterError
from localcluster.node import reaper
from localcluster.node.pods import pid_file
from localcluster.node.processes import stat

_STOP_SECONDS = 20.0
"""For an orderly end; then it is killed."""


def default_folder() -> Path:
    """`$CREWCTL_DIR`, or `crewctl` in the user's state folder."""
    if named := os.environ.get("CREWCTL_DIR"):
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "crewctl"


@dataclass(frozen=True, slots=True)
class Handle:
    """A cluster that runs, or ran."""

    folder: str
    identity: str
    """In every process' environment, as CREWCTL_CLUSTER."""
    pid: int
    """Of the supervisor."""
    started: str
    """Its start, in clock ticks after boot."""
    run: str
    """Folder of what lives as long as the cluster."""
    url: str
    node: str
    """The node's address: the operator's /metrics is at port 8080 of it, /healthz at 8081."""

    @property
    def kubeconfig(self) -> Path:
        """For kubectl and every other client."""
        return Path(self.folder, "kubeconfig")

    @property
    def is_alive(self) -> bool:
        """Whether its supervisor runs."""
        found = stat(self.pid)
        return found is not None and found.started == self.started

    def pod_processes(self, namespace: str, pod: str, container: str = "") -> Sequence[int]:
        """Main processes of a pod's containers that run now, or of one container."""
        folder = pid_file(Path(self.run), namespace, pod, container or "x").parent
        noted = [folder / container] if container else sorted(folder.glob("[!.]*"))
        pids = [_pid(path) for path in noted]
        return [pid for pid in pids if pid is not None and stat(pid) is not None]

    def log_files(self) -> list[Path]:
        """Every log there is."""
        return sorted(Path(self.folder, "logs").rglob("*.log"))

    def save(self) -> None:
        """Write it down, whole or not at all."""
        private.write(Path(self.folder, "cluster.json"), json.dumps(asdict(self), indent=1))

    def stop(self) -> int:
        """End the cluster and all in it, also when its supervisor is dead; how many were killed."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            ends = time.monotonic() + _STOP_SECONDS
            while self.is_alive and time.monotonic() < ends:
                time.sleep(0.05)
            if self.is_alive:
                os.kill(self.pid, signal.SIGKILL)
        left = reaper.sweep(self.identity, Path(self.run))
        for name in ("cluster.json", "kubeconfig"):
            Path(self.folder, name).unlink(missing_ok=True)
        return left


def _pid(path: Path) -> int | None:
    """None: nothing was noted, or it is gone with its pod."""
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return None


def load(folder: Path) -> Handle | None:
    """The cluster of a folder; None when there is none. Raises ClusterError when its file cannot be read."""
    path = folder / "cluster.json"
    if not path.exists():
        return None
    try:
        return Handle(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise ClusterError(
            f"{path} is of another version or broken: delete it, and end what is left by hand"
        ) from error


def running(folder: Path) -> Handle:
    """The cluster of a folder. Raises ClusterError when none runs there."""
    found = load(folder)
    if found is None or not found.is_alive:
        raise ClusterError(f"no local cluster runs in {folder}: start one with 'crewctl up'")
    return found
