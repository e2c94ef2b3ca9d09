"""Seconds from `kubectl apply` to Ready with the images present, and where they go."""

import json
import os
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, median
from crew_programs.errors import ProgramError
from support import real_cluster
from support.hotel import Hotel, ready

RUNS = 3
NAMESPACE = "bench-ready"
STEPS = (
    "pod scheduled",
    "Redis ready",
    "sidecar started",
    "crew's container started",
    "CrewAI imported",
    "crew loaded",
    "pod ready",
    "memory proven",
    "Ready",
)


def run(_: Path, kubeconfig: str) -> list[Figure]:
    """With the operator as a Helm release on the cluster of that kubeconfig, which has the images of `make e2e`."""
    os.environ[real_cluster.KUBECONFIG] = kubeconfig
    cluster = real_cluster.connect()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.kubectl("default")("apply", "-f", "-", stdin=json.dumps(namespace))
    try:
        runs = [_once(Hotel(cluster, NAMESPACE, f"run-{number}")) for number in range(RUNS)]
    finally:
        cluster.kubectl("default")("delete", "namespace", NAMESPACE, "--wait=false")
        cluster.stop()
    return [Figure(f"after apply: {step}", median([one[step] for one in runs]), "s") for step in STEPS]


def _once(hotel: Hotel) -> dict[str, float]:
    """Each step, in seconds after the apply, as it was first seen."""
    begun, found = time.monotonic(), dict[str, float]()
    hotel.apply(replicas=1)
    while "Ready" not in found:
        for step in _seen(hotel):
            found.setdefault(step, time.monotonic() - begun)
        time.sleep(0.05)
        assert time.monotonic() - begun < 180, f"not Ready: {hotel.crew()}"
    hotel.kubectl("delete", "crewdeployment", hotel.name)
    return {step: found.get(step, found["Ready"]) for step in STEPS}  # what nobody saw was over by then


def _seen(hotel: Hotel) -> list[str]:
    """The steps that are taken by now."""
    pods = hotel.api.pods({"crewops.dev/crewdeployment": hotel.name})
    seen = ["Redis ready"] if any(ready(one) for one in pods if one["metadata"]["name"].endswith("-redis-0")) else []
    for one in pods:
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "crew":
            seen += _of_replica(hotel, one)
    seen += [step for step, type_ in (("memory proven", "MemoryShared"), ("Ready", "Ready")) if _true(hotel, type_)]
    return seen


def _of_replica(hotel: Hotel, pod: dict[str, Any]) -> list[str]:
    status = pod.get("status", {})
    running = {
        one["name"]
        for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        if "running" in one["state"]
    }
    phase = _phase(hotel, pod["metadata"]["name"]) if "crew" in running else ""
    taken = {
        "pod scheduled": bool(pod["spec"].get("nodeName")),
        "sidecar started": "server" in running,
        "crew's container started": "crew" in running,
        "CrewAI imported": phase in ("loading", "ready"),
        "crew loaded": phase == "ready",
        "pod ready": ready(pod),
    }
    return [step for step, is_so in taken.items() if is_so]


def _phase(hotel: Hotel, pod: str) -> str:
    try:
        answer = hotel.api.ask_pod(pod, 8081, "report", timeout=2)
    except ProgramError:
        return ""
    return str(answer.json().get("phase", "")) if answer.is_success else ""


def _true(hotel: Hotel, type_: str) -> bool:
    return hotel.condition(type_).get("status") == "True"
