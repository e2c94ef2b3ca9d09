"""One pass for one key: parse -> children -> observe -> prove -> status -> heal. Level-triggered: it takes a key, never
an event, and comes to the same end whatever was missed.

A whole pass reads the CrewDeployment and its children and is made when an event told of a change, and every `resync`
seconds. The passes between look at pods, Redis and replicas only, so that a healthy crew costs one request a look.
"""

import itertools
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from crew_operator import healing, observe, proof, redis_client
from crew_operator.api import names, parse
from crew_operator.api.names import ConditionType
from crew_operator.api.reasons import Reason
from crew_operator.api.spec import CrewDeployment
from crew_operator.children import Children, Outcome
from crew_operator.desired import environment
from crew_operator.errors import InvalidSpecError
from crew_operator.events import Note, notes
from crew_operator.healing import History, ReplaceRedisPod
from crew_operator.kube_client import KubeClient
from crew_operator.logs import context
from crew_operator.metrics import Metrics
from crew_operator.observe import Eyes
from crew_operator.recorder import Recorder
from crew_operator.replica_client import ReplicaClient
from crew_operator.settings import Settings
from crew_operator.status import chains, conditions, pods, summary
from crew_operator.status.observed import Observed, Proof, RedisLook
from crew_operator.workqueue import Result

log = logging.getLogger(__name__)

REPLACE_GRACE = 5
"""Seconds for a wedged Redis to end by itself: it will not, but a merely slow one may."""
RESTLESS_FOR = 120.0
"""Seconds after the last change during which a crew that is not ready is looked at more often."""


class Key(NamedTuple):
    """Which CrewDeployment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Memo:
    """What is kept of one CrewDeployment between passes. Losing it costs a pass, nothing else."""

    dirty: bool = True
    read_at: float = 0.0
    manifest: dict[str, Any] = field(default_factory=dict)
    crew: CrewDeployment | None = None
    """Of the last spec that could be parsed: what runs."""
    outcome: Outcome | None = None
    known: Observed = field(default_factory=lambda: Observed(generation=0))
    status: Mapping[str, Any] = field(default_factory=dict)
    proof: Proof | None = None
    history: History = field(default_factory=History)
    changed_at: float = 0.0


class Reconciler:
    """Passes for all CrewDeployments."""

    def __init__(self, kube: KubeClient, replicas: ReplicaClient, settings: Settings, metrics: Metrics) -> None:
        self._kube = kube
        self._eyes = Eyes(kube, replicas)
        self._settings = settings
        self._metrics = metrics
        self._children = Children(kube, settings)
        self._recorder = Recorder(kube)
        self._memos: dict[Key, Memo] = {}
        self._passes = itertools.count(1)

    def touch(self, key: Key) -> None:
        """Something of it changed: the next pass is a whole one."""
        if key in self._memos:
            self._memos[key].dirty = True

    async def reconcile(self, key: Key) -> Result:
        """One pass. Raises what may pass by itself; the queue then comes back later."""
        context.set({"pass": next(self._passes), "namespace": key.namespace, "name": key.name})
        memo = self._memos.setdefault(key, Memo())
        with self._metrics.seconds.time():
            if memo.dirty or time.monotonic() - memo.read_at >= self._settings.resync:
                if not await self._read(key, memo):
                    return self._forget(key)
                await self._bring(memo)
            seen = await self._look(key, memo)
            await self._tell(key, memo, seen)
            await self._heal(key, memo, seen)
        return Result(after=self._pause(memo))

    async def _read(self, key: Key, memo: Memo) -> bool:
        """The CrewDeployment as it is; False when there is none any more."""
        memo.dirty = False
        memo.read_at = time.monotonic()
        manifest = await self._kube.get(names.KIND, key.namespace, key.name)
        if manifest is None or manifest["metadata"].get("deletionTimestamp"):
            return False
        another = manifest["metadata"].get("uid") != memo.manifest.get("metadata", {}).get("uid")
        memo.manifest = manifest
        memo.status = manifest.get("status") or {}
        if another:
            memo.crew, memo.proof, memo.history = None, summary.last_proof(memo.status), History()
        return True

    async def _bring(self, memo: Memo) -> None:
        """Parse, and bring the children to what the spec says; what cannot work leaves them as they were."""
        generation = int(memo.manifest["metadata"].get("generation", 0))
        crew: CrewDeployment | None
        try:
            crew = parse.crew_deployment(memo.manifest)
        except InvalidSpecError as error:
            memo.known = Observed(generation=generation, problems=error.problems)
            crew = memo.crew  # its children are kept right as long as we know what they should be
        else:
            memo.known = Observed(generation=generation, ignored_env=environment.ignored(crew))
        if crew is None:
            memo.known = replace(memo.known, workload=await self._workload(memo))
            return
        try:
            memo.outcome = await self._children.bring(crew)
        except Exception:
            memo.dirty = True  # not finished: the next pass is a whole one again
            raise
        if memo.outcome.clean or memo.crew is None:
            memo.crew = crew
        memo.known = replace(
            memo.known,
            managed=crew.spec.redis.managed is not None,
            missing=memo.outcome.missing,
            refused=memo.outcome.refused,
            rejected=memo.outcome.rejected,
            not_resized=memo.outcome.not_resized,
            workload=pods.workload(memo.outcome.deployment),
        )

    async def _workload(self, memo: Memo) -> Any:
        """Of a spec that was never understood: what runs from before this process was started."""
        about = memo.manifest["metadata"]
        return pods.workload(await self._kube.get("Deployment", about["namespace"], about["name"]))

    async def _look(self, key: Key, memo: Memo) -> Observed:
        """What is, and a proof of what is shared if one is due."""
        target = memo.outcome.target if memo.outcome is not None else None
        seen = await observe.look(self._eyes, key.namespace, key.name, target, memo.known)
        seen = replace(seen, proof=memo.proof, redis_known=_known_redis(memo.status))
        if isinstance(seen.redis, RedisLook):
            self._metrics.redis_seconds.labels(*key).set(seen.redis.latency)
        if self._memory_is_ready(seen) and proof.due(seen, memo.proof, time.time(), self._settings.proof_interval):
            made = await proof.prove(self._eyes.replicas, seen, secrets.token_hex(8), time.time())
            memo.proof = made or memo.proof
        return replace(seen, proof=memo.proof)

    @staticmethod
    def _memory_is_ready(seen: Observed) -> bool:
        return chains.verdicts(seen)[ConditionType.MEMORY_READY].status == "True"

    async def _tell(self, key: Key, memo: Memo, seen: Observed) -> None:
        """Write the status if it says something new, and an Event for each transition."""
        now = time.time()
        status = summary.status(memo.status, seen, self._identity(key, memo), now)
        self._metrics.show(*key, status["conditions"])
        if not summary.differs(memo.status, status):
            return
        before, memo.status = memo.status, status
        changes = conditions.transitions(before.get("conditions") or (), status["conditions"])
        if changes:
            memo.changed_at = time.monotonic()
        try:
            await self._kube.apply_status(_manifest(key, status))
        except Exception:
            memo.dirty = True  # what the status says now is not known
            raise
        await self._recorder.say(memo.manifest, notes(changes), now)

    @staticmethod
    def _identity(key: Key, memo: Memo) -> summary.Identity:
        target = memo.outcome.target if memo.outcome is not None else None
        store = redis_client.address(target.url) if target is not None and target.url else None
        return summary.Identity(key.namespace, key.name, store)

    async def _heal(self, key: Key, memo: Memo, seen: Observed) -> None:
        acts, memo.history = healing.acts(seen, memo.history, time.monotonic())
        for act in acts:
            await self._replace_redis(key, memo, act)

    async def _replace_redis(self, key: Key, memo: Memo, act: ReplaceRedisPod) -> None:
        name = names.redis_pod(key.name)
        message = f"Redis took connections but gave no answer for {act.wedged_for:.0f} s: replacing the pod {name}"
        self._metrics.acts.labels("replace-redis-pod").inc()
        note = Note(Reason.REDIS_POD_REPLACED.word, message, warning=True)
        await self._recorder.say(memo.manifest, [note], time.time())
        await self._kube.delete("Pod", key.namespace, name, uid=act.uid, grace=REPLACE_GRACE)

    def _pause(self, memo: Memo) -> float:
        said = {one["type"]: one["status"] for one in memo.status.get("conditions") or ()}
        restless = said.get(ConditionType.READY) != "True" and time.monotonic() - memo.changed_at < RESTLESS_FOR
        return self._settings.restless_tick if restless else self._settings.tick

    def _forget(self, key: Key) -> Result:
        """It is gone; its children go by their owner references."""
        self._memos.pop(key, None)
        self._metrics.forget(*key, [one.value for one in ConditionType])
        return Result()


def _known_redis(status: Mapping[str, Any]) -> str:
    return str((status.get("memory") or {}).get("redisRunID") or "")


def _manifest(key: Key, status: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": key.namespace, "name": key.name},
        "status": dict(status),
    }
