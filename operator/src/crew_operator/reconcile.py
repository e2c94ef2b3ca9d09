"""One pass for one key: parse -> children -> observe -> prove -> status -> heal. Level-triggered: it takes a key, never
an event, and comes to the same end whatever was missed.

A whole pass compares the children with the spec and is made when an event told of a change. The passes between look at
pods, Redis and replicas only. They are made when a replica signals a change (`doorbells`), each second while something
is wrong, and now and then by the clock, for what no replica would notice. Both take what the API server knows from the
cache, so a healthy crew costs it no request; every `resync` seconds, and after a gap in a watch, a pass reads for real,
and finds what events missed. A pass that is due for the user's Secrets and ConfigMaps alone reads these, and ends there
if they are as they were.
"""

import asyncio
import contextlib
import itertools
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from crew_operator import events, healing, observe, proof, redis_client, references, remount
from crew_operator.api import access, names, parse, quantities, restrictions
from crew_operator.api.names import ConditionType
from crew_operator.api.spec import MEMBERS, CrewDeployment, OnLoss
from crew_operator.children import Children, InUse, Outcome
from crew_operator.claim_events import ClaimEvents
from crew_operator.cluster_cache import CLAIM, POD, ClusterCache
from crew_operator.desired import environment, rotation
from crew_operator.doorbells import Doorbells
from crew_operator.errors import (
    ApiError,
    ConflictError,
    InvalidSpecError,
    LeadershipLostError,
    NotFoundError,
    OperatorError,
    PassTooLongError,
    RejectedError,
    UnreachableError,
)
from crew_operator.events import Note
from crew_operator.failover.controller import News
from crew_operator.failover.fleet import Failovers
from crew_operator.failover.record import ClusterBoard
from crew_operator.healing import History, ReplaceRedisPod
from crew_operator.kube_client import KubeClient
from crew_operator.logs import context
from crew_operator.metrics import Metrics
from crew_operator.observe import Eyes
from crew_operator.recorder import Recorder
from crew_operator.redis_client import Target
from crew_operator.remount import Asked
from crew_operator.replica_client import ReplicaClient
from crew_operator.settings import Settings
from crew_operator.status import chains, claims, conditions, durability, filling, identity, pacing, pods, summary
from crew_operator.status.durability import Ledger
from crew_operator.status.identity import Servers
from crew_operator.status.observed import Claim, Failure, Observed, Proof, RedisLook, RedisState, Workload, reports
from crew_operator.status.pacing import Pace
from crew_operator.words import quoted
from crew_operator.workqueue import Result, WorkQueue
from crew_runtime.contract.reasons import Reason
from crew_runtime.contract.report import Report
from crew_runtime.contract.resource import ACCEPT_LOSS_ANNOTATION

log = logging.getLogger(__name__)

REPLACE_GRACE = 5
"""Seconds for a wedged Redis to end by itself: it will not, but a merely slow one may."""
PASS_DEADLINE = 60.0
"""Seconds for a whole pass: the doors' own deadlines end it long before, unless there are very many replicas."""
TELL_DEADLINE = 20.0
"""Seconds for telling that passes fail."""
TOLD_AFTER = 3
"""Passes in a row that failed unforeseen."""
TOLD_AFTER_SECONDS = 60.0
"""Of passes that fail for an error of the API server, which may pass by itself."""
MISSING_AGAIN = 5.0
"""Seconds between two looks for what the spec names and is not there, or for what is in its way."""
_PASSWORD_STEPS = {
    Reason.REDIS_PASSWORD_CHANGED: "Redis takes a new password beside the old one, until all replicas use it",
    Reason.REDIS_PASSWORD_ROTATED: "all replicas use the new password, and Redis takes the old one no more",
}
_ABOUT = ("namespace", "name", "uid", "generation", "creationTimestamp")
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

    real_at: float
    """When the next pass is due that does not believe the cache."""
    pods_listed: bool = False
    """Once by this process: unlike a child, a pod is not asked for by its name when the cache does not have it."""
    dirty: bool = True
    read_at: float = 0.0
    """When the last whole pass was, or what no event tells of was looked for."""
    look_at: float = 0.0
    """When Redis and the replicas are looked at though nothing calls for it."""
    about: dict[str, Any] = field(default_factory=dict)
    """The CrewDeployment's metadata, as far as they are of use."""
    crew: CrewDeployment | None = None
    """Of the last spec that could be parsed: what runs."""
    has_files: bool = False
    """It has a volume for its files."""
    outcome: Outcome | None = None
    known: Observed = field(default_factory=lambda: Observed(generation=0))
    workload_version: str = ""
    """The Deployment's, as of the last pass that was not whole."""
    status: Mapping[str, Any] = field(default_factory=dict)
    proof: Proof | None = None
    proof_holds: float = 0.0
    """Unix time until which a proof that a former operator made is as good as new."""
    history: History = field(default_factory=History)
    changed_at: float = 0.0
    pace: Pace = field(default_factory=Pace)
    servers: Servers = field(default_factory=Servers)
    restarted: bool = False
    """Another Redis has answered, and the status does not say so yet."""
    nearly_full: bool = False
    """Redis is, or was a moment ago."""
    disk_nearly_full: bool = False
    in_use: InUse = field(default_factory=InUse)
    """Passwords of the managed Redis."""
    passwords: tuple[str, ...] = ()
    """SHA-256 of those that it took when it last answered, the current one first."""
    remounts: Mapping[str, Asked] = field(default_factory=dict)
    """uid of a pod -> when it was changed for its kubelet to bring it the newest password."""
    ledger: Ledger = field(default_factory=Ledger)
    """What the store has to have, and whether it has."""
    was_ready: bool = False
    hushed: bool = False
    """The crew starts, and what would be a warning later was not told."""
    held: bool = False
    """What was seen last is not in the status yet."""
    failures: int = 0
    """Passes in a row."""
    failing_since: float = 0.0


class Reconciler:
    """Passes for all CrewDeployments."""

    def __init__(
        self,
        kube: KubeClient,
        replicas: ReplicaClient,
        cache: ClusterCache,
        doorbells: "Doorbells[Key]",
        queue: "WorkQueue[Key]",
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._doorbells = doorbells
        self._queue = queue
        self._eyes = Eyes(kube, replicas, cache)
        self._settings = settings
        self._metrics = metrics
        self._children = Children(kube, cache, settings)
        self._recorder = Recorder(kube)
        self._claim_events: ClaimEvents[Key] = ClaimEvents(kube)
        self._failovers: Failovers[Key] = Failovers(self._tell_failover)
        self._memos: dict[Key, Memo] = {}
        self._restless: set[Key] = set()
        """Whose status does not say Ready."""
        self._fleet = healing.Fleet()
        self._passes = itertools.count(1)

    async def reconcile(self, key: Key) -> Result:
        """One pass. Raises what may pass by itself; the queue then comes back later."""
        context.set({"pass": next(self._passes), "namespace": key.namespace, "name": key.name})
        memo = self._memos.get(key)
        if memo is None:
            # spread: all crews of an operator that starts are new to it at once
            memo = self._memos[key] = Memo(
                real_at=time.monotonic() + self._settings.resync * (1 + pacing.share(str(key))) / 2
            )
        try:
            with self._metrics.seconds.time():
                async with _deadline():
                    result = await self._pass(key, memo)
        except Exception as error:
            memo.dirty = True  # wherever it ended: the next pass is a whole one
            await self._tell_failure(key, memo, error)
            raise
        memo.failures = 0
        return result

    async def _pass(self, key: Key, memo: Memo) -> Result:
        if self._cache.take_doubt(key):
            memo.real_at = 0.0
        real = not self._cache.synced or time.monotonic() >= memo.real_at
        if not real and (names.KIND, key.name) not in self._cache.snapshot(key, (names.KIND,)):
            return self._forget(key)
        memo.dirty |= self._cache.take_news(key)
        if real or memo.dirty or await self._is_due(key, memo):
            manifest = await self._read(key, memo, real=real)
            if manifest is None:
                return self._forget(key)
            await self._bring(memo, manifest, real=real)
        elif not self._queue.is_called(key) and (left := memo.look_at - time.monotonic()) > 0:
            # the user's Secrets are as they were, and that was all
            return Result(after=min(left, self._whole_in(memo)))
        self._queue.step_aside(key)
        seen = await self._look(key, memo, real=real or not memo.pods_listed)
        if not isinstance(seen.replicas, Failure):
            memo.pods_listed = True
            memo.real_at = time.monotonic() + self._settings.resync if real else memo.real_at
        self._follow(key, seen)
        await self._tell(key, memo, seen)
        await self._heal(key, memo, seen)
        await self._remount(key, memo, seen)
        pause = self._pause(key, memo, seen)
        if (again := remount.next_in(memo.remounts, time.monotonic())) is not None:
            pause = min(pause, again)
        memo.look_at = time.monotonic() + pause
        return Result(after=min(pause, self._whole_in(memo)))

    async def _is_due(self, key: Key, memo: Memo) -> bool:
        """Whether a whole pass is, for what no event tells of."""
        if time.monotonic() - memo.read_at < self._again(memo):
            return False
        if not memo.outcome or not memo.outcome.references or self._waits(memo):
            return True
        memo.read_at = time.monotonic()
        return await references.changed(self._kube, key.namespace, memo.outcome.references)

    async def _read(self, key: Key, memo: Memo, *, real: bool) -> dict[str, Any] | None:
        """The CrewDeployment as it is; None when there is none any more."""
        memo.dirty = False
        memo.read_at = time.monotonic()
        manifest = await self._manifest(key, real=real)
        if manifest is None or manifest["metadata"].get("deletionTimestamp"):
            return None
        known_as = _uid(memo)
        another = manifest["metadata"].get("uid") != known_as
        memo.about = {"metadata": {name: manifest["metadata"].get(name) for name in _ABOUT}}
        memo.status = manifest.get("status") or {}
        if another:
            self._children.forget(known_as)
            memo.crew, memo.proof, memo.history = None, summary.last_proof(memo.status), History()
            memo.proof_holds = time.time() + self._settings.proof_interval / 2 * pacing.share(str(key))
            memo.servers, memo.restarted = identity.known(_known_redis(memo.status)), False
            memo.was_ready, memo.hushed = _is_ready(memo.status), False
            memo.ledger = durability.recorded(memo.status)
        memo.ledger = durability.accepted(
            memo.ledger, (manifest["metadata"].get("annotations") or {}).get(ACCEPT_LOSS_ANNOTATION)
        )
        return manifest

    async def _manifest(self, key: Key, *, real: bool) -> dict[str, Any] | None:
        if not real:
            return self._cache.get(key, names.KIND, key.name)
        before = self._cache.snapshot(key, (names.KIND,))
        manifest = await self._kube.get(names.KIND, key.namespace, key.name)
        self._cache.read(key, (names.KIND,), [(names.KIND, manifest)] if manifest else [], before)
        return manifest

    async def _bring(self, memo: Memo, manifest: Mapping[str, Any], *, real: bool) -> None:
        """Parse, and bring the children to what the spec says; what cannot work leaves them as they were."""
        generation = int(manifest["metadata"].get("generation", 0))
        memo.workload_version = ""
        crew: CrewDeployment | None
        try:
            crew = self._understood(manifest)
        except InvalidSpecError as error:
            memo.known = Observed(generation=generation, problems=error.problems)
            crew = memo.crew  # its children are kept right as long as we know what they should be
        else:
            memo.known = Observed(
                generation=generation,
                ignored_env=environment.ignored(crew),
                durable_history=crew.spec.history.postgres is not None,
            )
        if crew is None:
            memo.known = replace(
                memo.known, workload=await self._workload(memo), api=access.of_no_spec(memo.status) or {}
            )
            return
        memo.has_files = crew.spec.crew.storage is not None
        allowed = access.of(crew.spec.crew, memo.status)
        memo.outcome = await self._children.bring(
            crew,
            allowed,
            memo.status,
            memo.crew,
            in_use=memo.in_use,
            stopped=_is_stopped(crew, memo.ledger),
            real=real,
        )
        drifted = [Note(Reason.DRIFT_CORRECTED.word, text) for text in memo.outcome.repaired]
        await self._recorder.say(memo.about, drifted, time.time())
        if memo.outcome.clean or memo.crew is None:
            memo.crew = crew
        self._choose_primary(crew, memo)
        memo.known = replace(
            memo.known,
            managed=crew.spec.redis.managed is not None,
            api=access.told(crew, allowed),
            open_as_before=allowed.open_as_before,
            missing=memo.outcome.missing,
            refused=memo.outcome.refused,
            taken=memo.outcome.taken,
            settled=memo.outcome.settled.shown() if memo.outcome.settled is not None else {},
            credentials=memo.outcome.credentials,
            rollout=memo.outcome.rollout.shown() if memo.outcome.rollout is not None else {},
            rejected=memo.outcome.rejected,
            not_resized="; ".join(filter(None, (memo.outcome.not_resized, memo.outcome.files_not_resized))),
            workload=memo.outcome.workload,
        )

    def _choose_primary(self, crew: CrewDeployment, memo: Memo) -> None:
        """From now on, of a Redis with more members than one."""
        key, managed = Key(crew.namespace, crew.name), crew.spec.redis.managed
        plan = memo.outcome.redis if memo.outcome is not None else None
        users = memo.outcome.target.users if memo.outcome is not None and memo.outcome.target is not None else None
        if managed is None or (managed.replicas == 1 and plan is not None and (plan.over or not plan.leaving)):
            self._failovers.forget(key)
            if plan is not None and plan.over:
                memo.dirty = True  # its StatefulSet replaces its pod by itself again, once the record is gone
                self._queue.add(key)
        elif users is not None and plan is not None:
            self._failovers.follow(
                key,
                crew.uid,
                lambda: ClusterBoard(self._kube, self._cache, crew.namespace, crew.name),
                crew.key_prefix,
                MEMBERS,
                users,
                crew_should_wait=plan.crew_should_wait,
                leaving=plan.leaving,
            )

    async def _tell_failover(self, key: Key, news: News | None) -> None:
        """An Event, and a pass: what is true of the primary before is not of the one that is."""
        memo = self._memos.get(key)
        if memo is not None:
            memo.dirty = True  # the Service and the number of members follow the record
        self._queue.add(key, urgent=True)
        if news is None or memo is None or not memo.about:
            return
        reason = Reason.REDIS_FAILED_OVER if news.failed_over else Reason.REDIS_HANDED_OVER
        self._metrics.acts.labels("failover" if news.failed_over else "handover").inc()
        await self._recorder.say(memo.about, [Note(reason.word, news.message, news.failed_over)], time.time())

    async def aclose(self) -> None:
        """End what goes on between passes."""
        await self._failovers.aclose()

    def _understood(self, manifest: Mapping[str, Any]) -> CrewDeployment:
        """Raises InvalidSpecError, also for what this operator's administrator does not allow."""
        crew = parse.crew_deployment(manifest)
        allowed = self._settings.restrictions
        if allowed is not None and (found := restrictions.problems(crew, allowed)):
            raise InvalidSpecError(found)
        return crew

    async def _workload(self, memo: Memo) -> Any:
        """Of a spec that was never understood: what runs from before this process was started."""
        about = memo.about["metadata"]
        return pods.workload(await self._kube.get("Deployment", about["namespace"], about["name"]))

    async def _look(self, key: Key, memo: Memo, *, real: bool) -> Observed:
        """What is, and a proof of what is shared if one is due."""
        seen = await self._see(key, memo, real=real)
        interval, now = self._settings.proof_interval, time.time()
        if self._memory_is_ready(seen) and proof.due(seen, memo.proof, now, interval, memo.proof_holds):
            begun = time.monotonic()
            made = await proof.prove(self._eyes.replicas, seen, secrets.token_hex(8), time.time())
            memo.proof = made or memo.proof
            if time.monotonic() - begun > self._settings.tick:
                seen = await self._see(key, memo, real=real)  # what was seen before a slow proof is old by now
        if memo.proof is not None and memo.proof.ok:
            self._metrics.proof_time.set(*key, memo.proof.time)
        return replace(seen, proof=memo.proof)

    async def _see(self, key: Key, memo: Memo, *, real: bool) -> Observed:
        target = memo.outcome.target if memo.outcome is not None else None
        self._follow_workload(key, memo)
        memo.known = replace(memo.known, members=self._failovers.state(key))
        seen = await observe.look(
            self._eyes,
            key.namespace,
            key.name,
            target,
            memo.known,
            next_canary=lambda found: durability.next_canary(
                memo.ledger, found, secrets.token_hex(8), self._settings.proof_interval, time.time()
            ),
            real=real,
        )
        if isinstance(seen.redis, RedisLook):
            self._metrics.redis_seconds.set(*key, seen.redis.latency)
            memo.servers, another = identity.follow(memo.servers, seen.redis)
            memo.restarted |= another
            memo.nearly_full = filling.nearly_full(memo.nearly_full, seen.redis)
            memo.disk_nearly_full = filling.disk_nearly_full(memo.disk_nearly_full, seen.redis, _volume(memo))
            self._follow_store(key, memo, seen.redis)
        await self._follow_password(key, memo, target, seen)
        return replace(
            seen,
            files=await self._files(key, memo, seen),
            proof=memo.proof,
            redis_restarted=memo.restarted,
            redis_several=memo.servers.several,
            redis_apart=memo.servers.apart,
            redis_nearly_full=memo.nearly_full,
            disk_nearly_full=memo.disk_nearly_full,
            canary=memo.ledger.kept,
            loss=memo.ledger.loss,
            stopped=memo.crew is not None and _is_stopped(memo.crew, memo.ledger),
        )

    async def _files(self, key: Key, memo: Memo, seen: Observed) -> Claim | None:
        """The claim of the crew's files, with what is said of it while replicas wait for it."""
        found = self._cache.get(key, CLAIM, names.files(key.name)) if memo.has_files else None
        if found is None:
            return None
        claim = claims.claim(found)
        if claim.phase == claims.BOUND or all(one.ready for one in seen.live_replicas):
            self._claim_events.forget(key)
            return claim
        return await self._claim_events.told(key, key.namespace, claim)

    def _follow_store(self, key: Key, memo: Memo, look: RedisLook) -> None:
        """Whether it has what it has to have. A crew stops for a loss, and comes back after it, by a whole pass."""
        known = memo.ledger.loss
        memo.ledger = durability.follow(memo.ledger, look, time.time())
        memo.dirty |= memo.ledger.loss != known
        if memo.ledger.loss is not None and known is None:
            self._metrics.memory_losses.labels(*key).inc()

    async def _follow_password(self, key: Key, memo: Memo, target: Target | None, seen: Observed) -> None:
        """Which passwords Redis takes and replicas use. The next step of a rotation is a whole pass' to take."""
        if target is None or target.users is None or memo.outcome is None:
            return
        known = memo.in_use
        if isinstance(seen.redis, RedisLook):
            answers = seen.redis.state is RedisState.OK
            known = replace(known, taken=target.users.accepted if answers else ())
            if answers:
                # A look that Redis answered has brought it to these.
                taken_before, memo.passwords = memo.passwords, target.users.accepted
                if (step := rotation.step(taken_before, memo.passwords)) is not None:
                    await self._recorder.say(memo.about, [Note(step.word, _PASSWORD_STEPS[step])], time.time())
        if not isinstance(seen.replicas, Failure):
            there = {one.name for one in seen.replicas}
            told = {one.name: one.report.backend.credentials for one in seen.replicas if isinstance(one.report, Report)}
            before = known.versions or {}
            known = replace(known, versions={name: before.get(name, "") for name in there} | told)
        if known == memo.in_use:
            return
        memo.in_use = known
        if memo.outcome.retiring:
            memo.dirty = True
            self._queue.add(key)

    async def _remount(self, key: Key, memo: Memo, seen: Observed) -> None:
        """Have the kubelets bring a new password to the replicas now, and not with their next sync of the pods."""
        target = memo.outcome.target if memo.outcome is not None and memo.outcome.retiring else None
        if target is None or target.users is None or isinstance(seen.replicas, Failure):
            memo.remounts = {}
            return
        version, reported = target.users.replica_version, memo.in_use.versions or {}
        outdated = {one.uid: one.name for one in seen.replicas if reported.get(one.name) != version}
        due, memo.remounts = remount.due(outdated, version, memo.remounts, time.monotonic())
        patch = {"metadata": {"annotations": {names.MOUNTED_ANNOTATION: version}}}
        for uid in due:
            # gone since, or somebody refuses what only hastens it
            with contextlib.suppress(NotFoundError, ConflictError, RejectedError):
                await self._kube.merge(POD, key.namespace, outdated[uid], patch, uid=uid)

    def _follow_workload(self, key: Key, memo: Memo) -> None:
        """The Deployment's newest status: an event that tells of no more makes no whole pass."""
        version = self._cache.version(key, "Deployment", key.name)
        if not isinstance(memo.known.workload, Workload) or version == memo.workload_version:
            return
        memo.workload_version = version
        found = pods.workload(self._cache.get(key, "Deployment", key.name))
        if found is not None and found.uid == memo.known.workload.uid:
            memo.known = replace(memo.known, workload=found)

    @staticmethod
    def _memory_is_ready(seen: Observed) -> bool:
        return chains.verdicts(seen)[ConditionType.MEMORY_READY].status == "True"

    async def _tell(self, key: Key, memo: Memo, seen: Observed) -> None:
        """Write the status if it says something new, and an Event for each transition."""
        now = time.time()
        status = summary.status(memo.status, seen, self._identity(key, memo), now)
        self._metrics.conditions.show(*key, status["conditions"])
        differs = summary.differs(memo.status, status)
        if differs:
            await self._write_status(key, memo, status, now)
        elif memo.hushed and not _starts(memo, now):
            memo.hushed = False
            await self._recorder.say(memo.about, events.overdue(status["conditions"]), now)
        memo.held = differs and memo.status is not status

    async def _write_status(self, key: Key, memo: Memo, status: Mapping[str, Any], now: float) -> None:
        """Unless this crew's status was written too often of late: a later pass will say how it is then. What comes and
        goes while a crew starts can wait for that."""
        changes = conditions.transitions(memo.status.get("conditions") or (), status["conditions"])
        starting = _starts(memo, now)
        notes = events.notes(changes, starting=starting, first=not memo.was_ready)
        if not pacing.may_write(memo.pace, time.monotonic(), news=bool(notes if starting else changes)):
            self._metrics.writes_held.inc()
            return
        memo.pace = pacing.written(memo.pace, time.monotonic())
        self._cache.written(names.KIND, await self._kube.apply_status(_manifest(key, status)))
        memo.status, memo.restarted = status, False
        if changes:
            memo.changed_at = time.monotonic()
        memo.was_ready |= _is_ready(status)
        memo.hushed |= _starts(memo, now)
        await self._recorder.say(memo.about, notes, now)

    async def _tell_failure(self, key: Key, memo: Memo, error: Exception) -> None:
        """A user sees no log: passes that fail again and again show in the status, which would stay as it was else."""
        if not memo.failures:
            memo.failing_since = time.monotonic()
        memo.failures += 1
        lasting = time.monotonic() - memo.failing_since >= TOLD_AFTER_SECONDS
        foreseen = isinstance(error, OperatorError)
        if memo.failures < TOLD_AFTER or not memo.about or isinstance(error, UnreachableError):
            return
        if foreseen and not lasting and not isinstance(error, PassTooLongError):
            return
        blind = Failure("the operator's pass failed")
        seen = Observed(
            generation=int(memo.about["metadata"].get("generation") or 0),
            broken=quoted(str(error)) if foreseen else type(error).__name__,
            managed=memo.known.managed,
            # Without it the status would be one from before there was spec.crew.api, and the crew be opened.
            api=access.of_no_spec(memo.status) or {},
            workload=blind,
            replicas=blind,
            redis=blind,
            canary=memo.ledger.kept,
            loss=memo.ledger.loss,
        )
        try:
            async with asyncio.timeout(TELL_DEADLINE):
                await self._tell(key, memo, seen)
        except Exception as failure:  # noqa: BLE001 - the pass' own error is what is raised
            log.warning("the failure of passes could not be shown", extra={"error": type(failure).__name__})
        memo.dirty = True

    @staticmethod
    def _identity(key: Key, memo: Memo) -> summary.Identity:
        target = memo.outcome.target if memo.outcome is not None else None
        store = redis_client.address(target.url) if target is not None and target.url else None
        return summary.Identity(key.namespace, key.name, store)

    async def _heal(self, key: Key, memo: Memo, seen: Observed) -> None:
        acts, memo.history = healing.acts(seen, memo.history, time.monotonic())
        for act in acts:
            now = time.monotonic()
            if self._fleet.takes(now):
                await self._replace_redis(key, memo, act, now)
            else:
                self._hold(act)

    def _hold(self, act: ReplaceRedisPod) -> None:
        self._metrics.heals_held.inc()
        if self._fleet.is_news(time.monotonic()):
            text = "Redis looks wedged and is not replaced: too many do at once; check this operator's network"
            log.warning(text, extra={"wedged_for": act.wedged_for})

    async def _replace_redis(self, key: Key, memo: Memo, act: ReplaceRedisPod, taken_at: float) -> None:
        name = names.redis_pod(key.name)
        try:
            done = await self._kube.delete("Pod", key.namespace, name, uid=act.uid, grace=REPLACE_GRACE)
        except (ApiError, LeadershipLostError):
            self._fleet.gives_back(taken_at)  # what had no answer may have been done, and counts
            raise
        if not done:  # it is another one already
            self._fleet.gives_back(taken_at)
            return
        memo.history = healing.replaced(memo.history, time.monotonic())
        self._metrics.acts.labels("replace-redis-pod").inc()
        message = f"Redis took connections but gave no answer for {act.wedged_for:.0f} s: its pod {name} was replaced"
        note = Note(Reason.REDIS_POD_REPLACED.word, message, warning=True)
        await self._recorder.say(memo.about, [note], time.time())

    def _follow(self, key: Key, seen: Observed) -> None:
        """Those that answered, ready or not: what makes one ready again is a change as well."""
        if not isinstance(seen.replicas, Failure):
            self._doorbells.follow(key, (one.ip for one, _ in reports(seen.live_replicas)))
        self._metrics.watched.set(*key, self._doorbells.is_watched(key))

    def _pause(self, key: Key, memo: Memo, seen: Observed) -> float:
        """Seconds until this crew is looked at though nothing calls for it."""
        now, settings = time.monotonic(), self._settings
        (self._restless.discard if _is_ready(memo.status) else self._restless.add)(key)
        if not _is_ready(memo.status):
            if not _may_be_asked(seen):
                return pacing.quiet(memo.pace, now) if memo.held else settings.waiting_tick
            if now - memo.changed_at < RESTLESS_FOR:
                return pacing.restless(settings.restless_tick, settings.tick, len(self._restless))
            return settings.tick
        if memo.held or not self._doorbells.is_watched(key):
            return settings.tick
        return max(settings.tick, pacing.turn(str(key), settings.watched_tick, now))

    @staticmethod
    def _waits(memo: Memo) -> bool:
        """For something that calls for no whole pass: the API server to take a child, a name to become free, or the
        last pod with an earlier password to be gone."""
        return memo.outcome is not None and (memo.outcome.retiring or not memo.outcome.clean)

    def _again(self, memo: Memo) -> float:
        """Seconds between two looks for what no event tells of; infinite when there is no such thing."""
        if memo.known.missing or memo.known.taken:
            return min(MISSING_AGAIN, self._settings.reread)
        told_by_events = memo.outcome is None or not (memo.outcome.references or self._waits(memo))
        return math.inf if told_by_events else self._settings.reread

    def _whole_in(self, memo: Memo) -> float:
        """Seconds until a look is due that is not for Redis and the replicas."""
        now = time.monotonic()
        return max(0.0, min(memo.real_at, memo.read_at + self._again(memo)) - now)

    def leave(self, is_left: Callable[[Key], bool]) -> None:
        """Another operator acts for these from now on."""
        for key in [one for one in self._memos if is_left(one)]:
            self._forget(key)

    def _forget(self, key: Key) -> Result:
        """It is gone; its children go by their owner references."""
        if (memo := self._memos.pop(key, None)) is not None:
            self._children.forget(_uid(memo))
        self._restless.discard(key)
        self._failovers.forget(key)
        self._claim_events.forget(key)
        self._doorbells.forget(key)
        self._metrics.forget(*key)
        return Result()


@contextlib.asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    """For what is done within; PassTooLongError when it is over."""
    try:
        async with asyncio.timeout(PASS_DEADLINE) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise PassTooLongError(f"a pass did not end within {PASS_DEADLINE:g} s") from error


def _is_ready(status: Mapping[str, Any]) -> bool:
    said = {one.get("type"): one.get("status") for one in status.get("conditions") or ()}
    return said.get(ConditionType.READY.value) == "True"


def _may_be_asked(seen: Observed) -> bool:
    """Whether Redis or a replica has an address, as far as one knows."""
    if seen.redis is not None or isinstance(seen.replicas, Failure):
        return True
    return any(one.ip for one in seen.live_replicas)


def _is_stopped(crew: CrewDeployment, ledger: Ledger) -> bool:
    return ledger.loss is not None and crew.spec.memory.on_loss is OnLoss.STOP


def _volume(memo: Memo) -> int:
    """Bytes of the volume of a managed Redis; 0: it has none, or that is not known yet."""
    told = memo.known.settled.get("storage") or (memo.status.get("memory") or {}).get("storage")
    try:
        return int(quantities.quantity(str(told))) if memo.known.managed and told else 0
    except ValueError:
        return 0


def _starts(memo: Memo, now: float) -> bool:
    """Made a moment ago, and never ready yet. `now` in Unix seconds."""
    try:
        made = conditions.seconds(str(memo.about["metadata"].get("creationTimestamp")))
    except ValueError:
        return False
    return not memo.was_ready and now - made < events.STARTING_FOR


def _uid(memo: Memo) -> str:
    return str(memo.about.get("metadata", {}).get("uid") or "")


def _known_redis(status: Mapping[str, Any]) -> str:
    return str((status.get("memory") or {}).get("redisRunID") or "")


def _manifest(key: Key, status: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": key.namespace, "name": key.name},
        "status": dict(status),
    }
