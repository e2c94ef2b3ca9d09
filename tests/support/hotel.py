"""One concierge CrewDeployment, as a test sees it: through the API server, HTTP and processes."""

import base64
import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from crew_programs.errors import ProgramError
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "concierge" / "crewdeployment.yaml"
FACT = "I am allergic to peanuts."
QUESTION = "What should the kitchen avoid?"
WORD = "peanuts"
PATIENT_MEMORY = {"memory": {"timeout": "10s"}}
"""In a spec: a machine that runs all tests at once may take longer for a call of Redis than memory waits by default."""

READY = 120.0
"""Seconds from nothing to Ready: every replica imports CrewAI."""
NOTICED = 10.0
"""Seconds in which a dead memory has to show."""
PUT_RIGHT = 30.0
"""Seconds in which drift has to be gone."""


def manifest(name: str, **spec: Any) -> dict[str, Any]:
    """The example's CrewDeployment; `spec` is laid over its spec, mappings merged, None removes."""
    made: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    made["metadata"]["name"] = name
    made["spec"] = merged(made["spec"], spec)
    return made


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`, as a JSON merge patch."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return copy.deepcopy(over)
    result = {**copy.deepcopy(dict(base)), **{key: merged(base.get(key), value) for key, value in over.items()}}
    return {key: value for key, value in result.items() if value is not None}


class Hotel:
    """A CrewDeployment and what belongs to it."""

    def __init__(self, cluster: Any, namespace: str, name: str = "concierge") -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = name
        self.api = cluster.api(namespace)
        self.kubectl = cluster.kubectl(namespace)

    # The resource

    def apply(self, **spec: Any) -> None:
        """kubectl apply the example with these changes."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest(self.name, **spec)))

    def patch(self, spec: Mapping[str, Any]) -> str:
        """kubectl patch the CrewDeployment's spec."""
        body = json.dumps({"spec": spec})
        return str(self.kubectl("patch", "crewdeployment", self.name, "--type=merge", "-p", body))

    def crew(self) -> dict[str, Any]:
        """The CrewDeployment now."""
        found = self.api.crew(self.name)
        assert found is not None, f"there is no CrewDeployment {self.namespace}/{self.name}"
        return dict(found)

    def condition(self, type_: str) -> dict[str, Any]:
        """The condition now; empty while there is none."""
        conditions = (self.crew().get("status") or {}).get("conditions") or []
        return next((dict(one) for one in conditions if one["type"] == type_), {})

    def wait_condition(
        self, type_: str, status: str, *reasons: str, timeout: float = READY, current: bool = True
    ) -> dict[str, Any]:
        """The condition as soon as it has that status and one of the reasons, for the newest generation."""

        def look() -> dict[str, Any]:
            crew = self.crew()
            self.seen = (crew.get("status") or {}).get("conditions")
            found = self.condition(type_)
            fresh = not current or found.get("observedGeneration") == crew["metadata"]["generation"]
            fits = found.get("status") == status and (not reasons or found.get("reason") in reasons)
            return found if fresh and fits else {}

        wanted = f"{type_}={status}" + (f" ({' or '.join(reasons)})" if reasons else "")
        try:
            return wait_until(look, f"{self.namespace}/{self.name} has {wanted}", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\nconditions: {json.dumps(self.seen, indent=1)}\n{self.findings()}") from None

    def wait_ready(self, timeout: float = READY) -> None:
        """Until Ready is True for the newest generation."""
        self.wait_condition("Ready", "True", timeout=timeout)

    def wait_watched(self) -> None:
        """Until it is Ready and the operator relies on each replica to signal what changes, and asks no more."""
        self.wait_ready()
        line = f'crew_operator_watched{{name="{self.name}",namespace="{self.namespace}"}} 1.0'
        wait_until(lambda: line in self.cluster.operator_metrics().splitlines(), f"{self.name} is watched", 60)

    # Its children

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """A child as kubectl would get it, None when it is not there."""
        text = str(self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found"))
        return dict(json.loads(text)) if text.strip() else None

    def secret(self, name: str, key: str) -> str:
        """A Secret's value, decoded."""
        found = self.get("secret", name)
        assert found is not None
        return base64.b64decode(found["data"][key]).decode()

    def replicas(self) -> list[dict[str, Any]]:
        """The crew's pods that are ready, by name."""
        pods = self.api.pods({"crewops.dev/crewdeployment": self.name, "app.kubernetes.io/component": "crew"})
        return [dict(pod) for pod in pods if ready(pod)]

    def wait_replicas(self, count: int, but: set[str] = frozenset()) -> list[dict[str, Any]]:  # type: ignore[assignment]
        """Until exactly `count` replicas are ready, none of them named in `but`."""

        def look() -> list[dict[str, Any]]:
            pods = self.replicas()
            return pods if len(pods) == count and not but & names(pods) else []

        return wait_until(look, f"{count} replicas besides {sorted(but)} are ready", READY)

    def pod(self, name: str) -> dict[str, Any] | None:
        """A pod, or None."""
        found = self.api.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}")
        return dict(found) if found is not None else None

    def redis_pid(self) -> int:
        """The process of Redis."""
        return int(self.pids(f"{self.name}-redis-0", "redis")[0])

    def pids(self, pod: str, container: str) -> list[int]:
        """The processes of a container, the main one first."""
        return list(self.cluster.pids(self.namespace, pod, container))

    # Its guests

    def token(self) -> str | None:
        """What its API asks for; None: nothing, or it does not say yet."""
        crew = self.crew()
        return self.api.api_token(crew) if (crew.get("status") or {}).get("api") else None

    def kickoff(self, pod: Mapping[str, Any], message: str, session: str, wait: float = 60) -> httpx.Response:
        """POST /kickoff to that pod's own address."""
        body = {"inputs": {"message": message}, "session_id": session}
        response: httpx.Response = self.cluster.ask(pod, f"kickoff?wait={wait:g}", body, wait + 10, self.token())
        return response

    def accepted(self, pod: Mapping[str, Any], message: str, session: str, wait: float = 60) -> httpx.Response:
        """The answer to a kickoff, tried again as Retry-After says while the replica takes none."""

        def attempt() -> httpx.Response | None:
            response = self.kickoff(pod, message, session, wait)
            return response if response.status_code != httpx.codes.SERVICE_UNAVAILABLE else None

        return wait_until(attempt, f"{pod['metadata']['name']} takes a kickoff", 60)

    def say(self, pod: Mapping[str, Any], message: str, session: str) -> str:
        """The reply to a message; the kickoff has to complete."""
        response = self.accepted(pod, message, session)
        assert response.status_code == httpx.codes.OK, response.text
        seen = response.json()
        assert seen["status"] == "completed", seen
        assert seen["memory"] == "ok", seen
        return str(seen["result"]["output"])

    def status(self, pod: Mapping[str, Any], kickoff_id: str) -> dict[str, Any]:
        """GET /status of a kickoff, from that pod."""
        response = self.cluster.ask(pod, f"status/{kickoff_id}", token=self.token())
        return dict(response.json()) if response.status_code == httpx.codes.OK else {"status": response.text}

    def crewctl(self, *arguments: str, timeout: float = 200) -> "subprocess.CompletedProcess[str]":
        """A verb of crewctl in the namespace, as somebody with a kubeconfig runs it."""
        environ = {**os.environ, "KUBECONFIG": str(self.api.kubeconfig)}
        argv = [sys.executable, "-m", "crewctl", *arguments, "-n", self.namespace]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=timeout, check=False)

    def log(self, pod: str, container: str, lines: int = 15) -> str:
        """The end of a container's log, under a headline."""
        try:
            text = str(self.kubectl("logs", pod, "-c", container, f"--tail={lines}"))
        except ProgramError as error:
            text = str(error)
        return f"--- {pod} {container}\n{text}"

    def findings(self) -> str:
        """What a failure should show: pods, and the end of their logs."""
        parts = [str(self.kubectl("get", "pods", "-o", "wide"))]
        for pod in self.api.pods({"crewops.dev/crewdeployment": self.name}):
            containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
            parts += [self.log(pod["metadata"]["name"], one["name"]) for one in containers]
        return "\n".join(parts)


def names(pods: list[dict[str, Any]]) -> set[str]:
    """The pods' names."""
    return {str(pod["metadata"]["name"]) for pod in pods}


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
