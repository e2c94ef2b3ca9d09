"""The fixtures of tests/e2e and tests/faults: one local cluster for the whole run, one crew for each module."""

import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import cluster as clusters
from support import openai_server
from support.hotel import ROOT, Hotel
from support.pods import restricted_pod


@pytest.fixture(scope="session")
def cluster() -> clusters.Cluster:
    """The local cluster; both folders' conftests share it, and `stop_cluster` ends it."""
    return clusters.shared()


def stop_cluster() -> None:
    """At the session's end."""
    clusters.stop_shared()


@pytest.fixture(scope="module")
def namespace(cluster: clusters.Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the module's own, emptied after it so that its processes do not slow the next one down."""
    words = re.sub(r"[^a-z0-9]+", "-", request.module.__name__.rpartition(".")[2].removeprefix("test_"))
    # never one of an earlier run, which a cluster that is not ours may still be about to remove
    name = f"{words[:40].strip('-')}-{secrets.token_hex(3)}"
    # All that the operator makes has to be allowed under the strictest of Kubernetes' Pod Security Standards.
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("default")("apply", "-f", "-", stdin=json.dumps(made))
    yield name
    # Gone before its operator is: without one, nobody would take the finalizers away.
    cluster.kubectl(name)("delete", "crewdeployments", "--all", "--timeout=60s")
    cluster.kubectl("default")("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    """What a module's crew has different from the example's; a module may have its own."""
    return {}


@pytest.fixture(scope="module")
def hotel(cluster: clusters.Cluster, namespace: str, spec: dict[str, Any]) -> Hotel:
    """The module's crew, Ready."""
    made = Hotel(cluster, namespace)
    made.apply(**spec)
    made.wait_ready()
    return made


@pytest.fixture(scope="module")
def slow_hotel(cluster: clusters.Cluster, namespace: str, spec: dict[str, Any]) -> Hotel:
    """One replica of a crew that thinks for seconds about a message that begins with "slowly"."""
    made = Hotel(cluster, namespace, "slow")
    path = os.pathsep.join([str(ROOT / "tests" / "faults" / "crews"), str(ROOT / "examples" / "concierge")])
    crew = {"entrypoint": "slow_concierge:crew", "env": [{"name": "PYTHONPATH", "value": path}]}
    made.apply(replicas=1, crew=crew, **spec)
    made.wait_ready()
    return made


@pytest.fixture(scope="module")
def model(cluster: clusters.Cluster, namespace: str) -> list[dict[str, str]]:
    """A model behind OpenAI's API, in a pod of its own; the variables by which a crew finds it."""
    kubectl = cluster.kubectl(namespace)
    command = ["python", "-c", Path(openai_server.__file__).read_text(), "$(POD_IP)", "8000"]
    kubectl("apply", "-f", "-", stdin=json.dumps(restricted_pod("model", cluster.image("crew-runtime"), command)))
    kubectl("expose", "pod", "model", "--port=8000")
    url = f"http://model.{namespace}.svc:8000/v1"
    return [{"name": "OPENAI_BASE_URL", "value": url}, {"name": "OPENAI_API_KEY", "value": "none"}]
