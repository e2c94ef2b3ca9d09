"""A Kubernetes that is there, by its kubeconfig: the operator is installed by Helm, as a user would."""

import contextlib
import fcntl
import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from crew_programs.errors import ProgramError
from crew_programs.kubectl import Kubectl
from crewctl.kube import Kube
from support import helm

KUBECONFIG = "CREWOPS_E2E_KUBECONFIG"
"""Path of the kubeconfig. Our own variable: no test should reach a cluster because a shell is set up for it."""
PREFIX = "CREWOPS_E2E_IMAGES"
"""What the images are called before /crew-operator, /crew-runtime and /concierge; all are tagged dev."""
RELEASE = "crew-operator"
NAMESPACE = "crew-system"


def wanted() -> bool:
    """Whether the tests are to run on such a cluster."""
    return bool(os.environ.get(KUBECONFIG))


def images() -> str:
    """The prefix."""
    return os.environ.get(PREFIX, "localhost")


class RealCluster:
    """As `support.cluster.Cluster`, without a way to the processes behind it."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def api(self, namespace: str) -> Kube:
        """Reads of a namespace."""
        return Kube(self._kubeconfig, namespace)

    @functools.cache  # noqa: B019 - one cluster a run
    def kubectl(self, namespace: str) -> Kubectl:
        """A stock kubectl in a namespace."""
        return Kubectl(self._kubeconfig, namespace)

    def ask(
        self,
        pod: Mapping[str, Any],
        path: str,
        body: Mapping[str, Any] | None = None,
        timeout: float = 10,
        token: str | None = None,
    ) -> httpx.Response:
        """GET `path` of a replica's API, or POST `body` to it, through the API server."""
        about = pod["metadata"]
        return self.api(about["namespace"]).ask_pod(
            about["name"], 8000, path, None if body is None else dict(body), timeout, token
        )

    def image(self, name: str) -> str:
        """What an image of ours is called here: `crew-runtime`, `concierge`, and `concierge:next`, the same again."""
        return f"{images()}/{name}" if ":" in name else f"{images()}/{name}:dev"

    def operator_log(self) -> str:
        """All that its present pods said."""
        label = f"app.kubernetes.io/name={RELEASE}"
        try:
            return str(self.kubectl(NAMESPACE)("logs", "-l", label, "--tail=-1", "--prefix"))
        except ProgramError as error:
            return str(error)

    def kill_operator(self) -> None:
        """Every pod of it, without a moment to end by itself; its Deployment makes the next."""
        label = f"app.kubernetes.io/name={RELEASE}"
        self.kubectl(NAMESPACE)("delete", "pods", "-l", label, "--grace-period=0", "--force", "--wait=false")

    def operator_metrics(self) -> str:
        """Fails: on a cluster that is not ours the operator's pods are out of reach."""
        raise AssertionError("asks the operator itself: mark the test local_cluster")

    def pids(self, namespace: str, pod: str, container: str) -> Sequence[int]:
        """The processes of a container, the main one first; skips the test where its node is not this machine."""
        found = self.api(namespace).get(f"/api/v1/namespaces/{namespace}/pods/{pod}") or {}
        status = found.get("status") or {}
        listed = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        ids = [str(one.get("containerID") or "").rpartition("/")[2] for one in listed if one["name"] == container]
        known = [pid for pid in _processes() if any(one and one in _read(f"/proc/{pid}/cgroup") for one in ids)]
        if not known:
            pytest.skip(f"needs a node on this machine, whose processes can be stopped: none of {pod} is here")
        return sorted(known)

    def stop(self) -> int:
        """Uninstall the operator. The cluster stays."""
        self.helm("uninstall", RELEASE, "--ignore-not-found", "--wait")
        return 0

    def helm(self, *arguments: str) -> str:
        """Run it. Raises AssertionError with what it said."""
        command = [helm.find(), *arguments, "--namespace", NAMESPACE, "--kubeconfig", str(self._kubeconfig)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, **values: Any) -> None:
        """Install the chart, or upgrade it, and wait until the operator is ready."""
        prefix = images()
        chosen = {
            "image": {"repository": f"{prefix}/crew-operator", "tag": "dev"},
            "runtimeImage": f"{prefix}/crew-runtime:dev",
            **values,
        }
        options = [f"--set-json={name}={json.dumps(value)}" for name, value in chosen.items()]
        self.helm("upgrade", "--install", RELEASE, str(helm.CHART), "--create-namespace", "--wait", *options)


def connect() -> RealCluster:
    """With the operator installed, in a namespace that enforces the strictest of the Pod Security Standards."""
    with _one_at_a_time():
        return _connected()


def disconnect() -> None:
    """Uninstall the operator, if it is installed."""
    RealCluster(Path(os.environ[KUBECONFIG])).stop()


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of the processes of a run on this machine: Helm refuses a release that somebody else is about to change."""
    with Path(tempfile.gettempdir(), f"crewops-e2e-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _connected() -> RealCluster:
    cluster = RealCluster(Path(os.environ[KUBECONFIG]))
    about = {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": about}
    cluster.kubectl("default")("apply", "-f", "-", stdin=json.dumps(made))
    cluster.install()
    return cluster


def _processes() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
