"""What the script can ask for, done on a cluster. Each act says what it does through `tell` and returns what it saw."""

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from crew_programs.kubectl import Kubectl
from crew_runtime.contract import pods, resource
from crewctl import kube
from crewctl.demo import guest, waiting

Tell = Callable[[str], None]
"""Says a line to whoever watches."""
Pids = Callable[[str, str, str], Sequence[int]]
"""(namespace, pod, container) -> the processes of that container, the main one first."""


class Hope(Enum):
    """What a reply should show."""

    NOTED = "noted"
    """The fact was told; nothing is asked."""
    KNOWN = "known"
    """The fact."""
    UNKNOWN = "unknown"
    """That nobody told it."""


@dataclass(frozen=True)
class Asked:
    """What was said to a replica, and whether its reply was as hoped."""

    message: str
    answer: guest.Answer
    hope: Hope
    known: bool
    """The reply holds the fact."""

    @property
    def fulfilled(self) -> bool:
        """The reply is as hoped."""
        return self.hope is Hope.NOTED or self.known == (self.hope is Hope.KNOWN)


@dataclass
class Stage:
    """One CrewDeployment on one cluster."""

    api: kube.Kube
    kubectl: Kubectl
    pids: Pids
    manifest: Path
    tell: Tell
    with_memory: bool = True
    name: str = "concierge"
    seen: list[Asked] = field(default_factory=list)
    """What was asked since the step began."""

    def apply(self) -> None:
        """kubectl apply the example; without memory, with the crew's own switch for it."""
        if self.with_memory:
            self._run("apply", "-f", _shown(self.manifest))
            return
        self._run("apply", "-f", "-", stdin=without_memory(self.manifest.read_text()))

    def wait_ready(self, deadline: waiting.Deadline = waiting.READY) -> None:
        """Until the CrewDeployment says Ready for its newest generation; a crew without memory need only be there."""
        type_ = resource.ConditionType.READY if self.with_memory else resource.ConditionType.CREW_AVAILABLE

        def look() -> tuple[kube.Manifest | None, object]:
            crew = self.api.crew(self.name)
            found = kube.condition(crew, type_)
            current = crew is not None and found.get("observedGeneration") == crew["metadata"]["generation"]
            return (crew if current and found["status"] == "True" else None), _one_line(found)

        waiting.wait_for(deadline, look)

    def show(self) -> None:
        """kubectl get."""
        self.tell(self._run("get", "crewdeployments", self.name).rstrip())

    def replicas(self) -> list[kube.Manifest]:
        """The pods of the crew that are ready, by name."""
        return [pod for pod in self.api.pods(resource.selector(self.name, resource.CREW)) if pods.is_ready(pod)]

    def wait_replicas(self, count: int, deadline: waiting.Deadline, but: Iterable[str] = ()) -> list[kube.Manifest]:
        """Until `count` replicas are ready, none of them of a name in `but`."""
        old = frozenset(but)

        def look() -> tuple[list[kube.Manifest] | None, object]:
            found = self.replicas()
            fitting = len(found) == count and not old & {_name(pod) for pod in found}
            return (found if fitting else None), f"ready: {', '.join(map(_name, found)) or 'none'}"

        return waiting.wait_for(deadline, look)

    def ask(self, pod: kube.Manifest, message: str, session: str, fact: str, hope: Hope) -> Asked:
        """Say it to that replica, and see whether the word `fact` is in the reply."""
        answer = guest.ask(pod, message, session, self._token())
        asked = Asked(message, answer, hope, fact.lower() in answer.text.lower())
        self.tell(f'  to {answer.replica}: "{message}"\n  reply: "{answer.text}"')
        self.seen.append(asked)
        return asked

    def delete_replicas(self) -> list[kube.Manifest]:
        """Delete every pod of the crew; returns the new ones."""
        old = self.replicas()
        selector = ",".join(f"{key}={value}" for key, value in resource.selector(self.name, resource.CREW).items())
        self._run("delete", "pods", "-l", selector, "--wait=false")
        new = self.wait_replicas(len(old), waiting.REPLACED, map(_name, old))
        self.tell(f"  gone: {', '.join(map(_name, old))}\n  new:  {', '.join(map(_name, new))}")
        return new

    def kill_redis(self) -> kube.Manifest:
        """SIGKILL to the process of Redis; returns the condition that says so."""
        pod = resource.redis_pod(self.name)
        pid = self.pids(self.api.namespace, pod, resource.REDIS_CONTAINER)[0]
        self.tell(f"  $ kill -9 {pid}    # {_command(pid)}, pod {pod}")
        os.kill(pid, signal.SIGKILL)

        def look() -> tuple[kube.Manifest | None, object]:
            found = kube.condition(self.api.crew(self.name), resource.ConditionType.MEMORY_READY)
            return (found if found["status"] == "False" else None), _one_line(found)

        noticed = waiting.wait_for(waiting.NOTICED, look)
        self.tell(f"  {_one_line(noticed)}")
        return noticed

    def scale(self, replicas: int) -> list[kube.Manifest]:
        """kubectl scale; returns the replicas."""
        self._run("scale", f"crewdeployment/{self.name}", f"--replicas={replicas}")
        return self.wait_replicas(replicas, waiting.SCALED)

    def _token(self) -> str | None:
        """What the crew's API asks for."""
        crew = self.api.crew(self.name)
        return self.api.api_token(crew) if crew is not None else None

    def _run(self, *args: str, stdin: str | None = None) -> str:
        self.tell(f"  $ kubectl {' '.join(args)}")
        return self.kubectl(*args, stdin=stdin)


def _name(pod: kube.Manifest) -> str:
    return str(pod["metadata"]["name"])


def _one_line(found: kube.Manifest) -> str:
    return f"{found['type']}={found['status']} {found.get('reason', '')}: {found.get('message', '')}"


def _shown(path: Path) -> str:
    """Relative where that is shorter: it stands in a command that the user may repeat."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _command(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return Path(words[0].decode(errors="replace")).name or f"process {pid}"


def without_memory(text: str) -> str:
    """The manifests in `text` with the crew's memory switched off."""
    manifests: list[Any] = list(yaml.safe_load_all(text))
    for one in manifests:
        if one["kind"] == resource.KIND:
            one["spec"]["crew"].setdefault("env", []).append({"name": "CONCIERGE_MEMORY", "value": "off"})
    return yaml.safe_dump_all(manifests)
