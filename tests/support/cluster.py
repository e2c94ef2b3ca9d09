"""A local cluster in processes of its own, for tests that kill and stall what runs in it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from support.processes import environment
from support.waiting import wait_until

if TYPE_CHECKING:
    from crew_programs.kubectl import Kubectl
    from crewctl.kube import Kube
    from localcluster.state import Handle
    from support.real_cluster import RealCluster

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/concierge:dev"


class Cluster:
    """What a test needs of a cluster: its API, kubectl, and the processes behind it."""

    def __init__(self, handle: "Handle") -> None:
        self._handle = handle

    def api(self, namespace: str) -> "Kube":
        """Reads of a namespace."""
        from crewctl.kube import Kube

        return Kube(self._handle.kubeconfig, namespace)

    @cache  # noqa: B019 - one cluster a run; looking for kubectl runs it
    def kubectl(self, namespace: str) -> "Kubectl":
        """A stock kubectl in a namespace."""
        from crew_programs.kubectl import Kubectl

        return Kubectl(self._handle.kubeconfig, namespace)

    def ask(
        self,
        pod: Mapping[str, Any],
        path: str,
        body: Mapping[str, Any] | None = None,
        timeout: float = 10,
        token: str | None = None,
    ) -> httpx.Response:
        """GET `path` of a replica's API, or POST `body` to it."""
        url = f"http://{pod['status']['podIP']}:8000/{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request("POST" if body is not None else "GET", url, json=body, timeout=timeout, headers=headers)

    def image(self, name: str) -> str:
        """What an image of ours is called here: `crew-runtime`, `concierge`, and `concierge:next`, the same again."""
        return "ghcr.io/crewops/crew-runtime:dev" if name == "crew-runtime" else f"localhost/{_tagged(name)}"

    def operator_log(self) -> str:
        """All that it said."""
        return Path(self._handle.folder, "logs", "operator.log").read_text(errors="replace")

    def operator_metrics(self) -> str:
        """What it counts, in Prometheus' text format."""
        return httpx.get(f"http://{self._handle.node}:8080/metrics", trust_env=False).text

    def kill_operator(self) -> None:
        """SIGKILL; something starts it again."""
        wait_until(lambda: self.operator_pid() is not None, "the operator runs", 30)
        os.kill(self.operator_pid() or 0, signal.SIGKILL)

    def pids(self, namespace: str, pod: str, container: str) -> Sequence[int]:
        """The main process of a container; empty while it does not run."""
        return self._handle.pod_processes(namespace, pod, container)

    def operator_pid(self) -> int | None:
        """The operator's process; None while it does not run."""
        wanted = f"{self._handle.identity}/operator"
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and environment(int(entry.name)).get("CREWCTL_CONTAINER") == wanted:
                return int(entry.name)
        return None

    def apiserver_pid(self) -> int:
        """The process of the API server, which is the controllers' and the node's as well."""
        return self._handle.pid

    def stop(self) -> int:
        """End it; how many processes were left over."""
        return self._handle.stop()


def _tagged(name: str) -> str:
    return name if ":" in name else f"{name}:dev"


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="crewops-e2e-"))


_running: list["Cluster | RealCluster"] = []


def shared() -> "Cluster | RealCluster":
    """The cluster of this run, started when first asked for: a local one, or the one that a variable names."""
    from localcluster import launch
    from support import real_cluster

    if not _running and real_cluster.wanted():
        _running.append(real_cluster.connect())

    if not _running:
        concierge = ROOT / "examples" / "concierge"
        both = tuple(f"{name}={concierge}" for name in (IMAGE, IMAGE.replace(":dev", ":next")))
        wish = launch.Wish(folder=_folder(), images=both)
        _running.append(Cluster(launch.in_background(wish)))
    return _running[0]


def stop_shared() -> None:
    """End it, if it was started."""
    while _running:
        _running.pop().stop()
        shutil.rmtree(_folder(), ignore_errors=True)
