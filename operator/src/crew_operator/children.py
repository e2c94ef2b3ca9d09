"""Brings the children of a CrewDeployment to what they should be: reads what lives, applies what differs, no more.

Nothing is written before all that bears a child's name is known to be this CrewDeployment's.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crew_operator import desired, references
from crew_operator import live as live_objects
from crew_operator.api import access as accesses
from crew_operator.api import names, quantities
from crew_operator.api.access import Access
from crew_operator.api.spec import CrewDeployment
from crew_operator.cluster_cache import CLAIM, POD, ClusterCache
from crew_operator.desired import (
    Inputs,
    Peer,
    RedisUsers,
    credentials,
    drift,
    environment,
    files,
    refusals,
    rotation,
    runtime_image,
    secret,
)
from crew_operator.desired.credentials import Credentials
from crew_operator.desired.redis_users import CREW
from crew_operator.desired.refusals import Settled
from crew_operator.desired.runtime_image import Rollout
from crew_operator.errors import Problem, RejectedError
from crew_operator.failover.plan import Plan
from crew_operator.failover.plan import plan as plan_of
from crew_operator.kube_client import KubeClient
from crew_operator.live import Live, Which
from crew_operator.redis_client import Target
from crew_operator.references import References
from crew_operator.rolls import Digests, Generated, Roll, Rolls
from crew_operator.settings import Settings
from crew_operator.status import conditions, pods
from crew_operator.status.observed import Workload
from crew_operator.words import quoted
from crew_runtime.contract import resource, tokens

Object = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    workload: Workload | None
    """The Deployment."""
    target: Target | None
    missing: tuple[Problem, ...] = ()
    refused: tuple[Problem, ...] = ()
    taken: tuple[Problem, ...] = ()
    """Names that somebody else has."""
    rejected: str = ""
    not_resized: str = ""
    """Why a claim of Redis could not be grown."""
    files_not_resized: str = ""
    """The same of the claim of the crew's files."""
    settled: Settled | None = None
    """What may not change any more; None when this pass decided nothing."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Workload -> digest of the versions of the Secrets that its pods were made with."""
    rollout: Rollout | None = None
    """What the crew's pods are made of; None when this pass did not come to them."""
    references: Mapping[Which, str] = field(default_factory=dict)
    """Secrets and ConfigMaps of the user -> their versions."""
    redis: Plan | None = None
    """How many members a managed Redis should have for now; None when this pass did not come to it."""
    retiring: bool = False
    """Redis still takes an earlier password of the crew's."""
    repaired: tuple[str, ...] = ()
    """What others had changed or deleted and is as it was, in sentences."""

    @property
    def clean(self) -> bool:
        """Everything is as the spec says."""
        return not (
            self.missing or self.refused or self.taken or self.rejected or self.not_resized or self.files_not_resized
        )


@dataclass(frozen=True)
class _Applied:
    """Our last apply of an object: which one, its resourceVersion after it, and the digest of what was sent."""

    uid: str
    version: str
    digest: str


@dataclass(frozen=True)
class InUse:
    """What was seen of the crew's password of the managed Redis."""

    taken: Collection[str] = ()
    """SHA-256 of the passwords that Redis takes."""
    versions: Mapping[str, str] | None = None
    """Name of a pod -> version of the password that it connects with, empty where it does not say; None: the pods were
    not listed yet."""


NOTHING_SEEN = InUse()


@dataclass(frozen=True)
class _Job:
    """One pass over one CrewDeployment."""

    crew: CrewDeployment
    access: Access
    live: Live
    plan: Plan
    found: References
    recorded: Mapping[str, str]
    """Credentials in the status."""
    rolled_out: Rollout
    """In the status as well."""
    skip: Collection[Which]
    """Children that are left as they are."""
    in_use: InUse
    stopped: bool = False
    repaired: list[str] = field(default_factory=list)
    """Filled by this pass, see `Outcome.repaired`."""


class Children:
    """Reads and writes the children of all CrewDeployments."""

    def __init__(
        self,
        kube: KubeClient,
        cache: ClusterCache,
        settings: Settings,
        password: Callable[[], str] = secrets.token_hex,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._settings = settings
        self._password = password
        self._clock = clock
        self._digests = Digests()
        self._rolls = Rolls(self._digests)
        self._applied: dict[str, dict[Which, _Applied]] = {}
        """By the uid of the CrewDeployment."""
        self._users: dict[str, RedisUsers] = {}
        """By the uid of the CrewDeployment, as they were last."""
        self._claims: dict[str, str] = {}
        """uid -> what the claim asks for, or will when its StatefulSet has made it."""

    async def bring(
        self,
        asked: CrewDeployment,
        access: Access,
        status: Mapping[str, Any],
        last: CrewDeployment | None = None,
        *,
        in_use: InUse = NOTHING_SEEN,
        stopped: bool = False,
        real: bool = True,
    ) -> Outcome:
        """Apply what differs. Raises ApiError and UnreachableError for what may pass by itself.

        Args:
            access: who may use the crew's API.
            status: as it was read: what was decided before.
            last: the last spec that nothing was refused of, if one is known.
            in_use: passwords.
            stopped: the crew has no replica, whatever the spec says.
            real: read what lives from the API server, and not from the cache.
        """
        before = refusals.settled(status)
        refused = refusals.problems(asked, before)
        crew = refusals.allowed(asked, before, last)
        if crew is None:
            live = await self._read(asked, access, real=real)
            return Outcome(_deployment(live, asked), None, refused=refused)
        live = await self._read(crew, access, real=real)
        refused = (*refused, *files.problems(crew, _files_claim(live, crew)))
        found = await references.read(self._kube, crew)
        taken = live.taken(crew)
        if not self._may_go_on(crew, live, found):
            target = _target(crew, found, _users_of(live, crew))
            missing = tuple(found.problems)
            return Outcome(
                _deployment(live, crew), target, missing, refused=refused, taken=taken, references=found.versions
            )
        recorded, rolled_out = status.get("credentials") or {}, runtime_image.recorded(status)
        plan = self._plan(crew, live)
        job = _Job(crew, access, live, plan, found, recorded, rolled_out, _skipped(crew, live, found), in_use, stopped)
        outcome = await self._apply(job)
        settled = refusals.decide(crew, before)
        if outcome.not_resized:
            settled = replace(settled, storage=before.storage)
        return replace(
            outcome,
            missing=tuple(found.problems),
            refused=refused,
            taken=taken,
            settled=settled,
            references=found.versions,
        )

    def forget(self, uid: str) -> None:
        """The CrewDeployment with this uid is gone."""
        self._applied.pop(uid, None)
        self._claims.pop(uid, None)
        self._users.pop(uid, None)
        self._rolls.forget(uid)

    @staticmethod
    def _may_go_on(crew: CrewDeployment, live: Live, found: References) -> bool:
        """A crew is begun when nothing is in its way; one that runs is kept right but for what is."""
        if live.foreign and not live.objects:
            return False
        if any(("Secret", name) in live.foreign for name in (names.redis_auth(crew.name), names.api_token(crew.name))):
            return False  # whoever made it knows the password, or the token
        begun = live.get("Deployment", crew.name) or live.get("StatefulSet", names.redis(crew.name))
        return not found.problems or begun is not None

    async def _read(self, crew: CrewDeployment, access: Access, *, real: bool) -> Live:
        expected = desired.children(crew, self._inputs(access))
        live = await live_objects.read(self._kube, self._cache, crew, expected, real=real)
        if real or self._wants_claim(crew, live):
            if (managed := crew.spec.redis.managed) is not None:
                await live_objects.read_claims(self._kube, crew, live, managed.replicas)
            if live.claims:
                self._claims[crew.uid] = min((_requested(one) for one in live.claims), key=quantities.quantity)
        return live

    def _wants_claim(self, crew: CrewDeployment, live: Live) -> bool:
        """Before there is a StatefulSet somebody else's may be in its way, and one that is left over may be small."""
        managed = crew.spec.redis.managed
        if managed is None:
            return False
        known = self._claims.get(crew.uid)
        begun = live.get("StatefulSet", names.redis(crew.name)) is not None
        return not begun or known is None or _is_more(managed.storage.size, known)

    def _inputs(self, access: Access) -> Inputs:
        """What is known without a look."""
        return Inputs(
            runtime_image=self._settings.runtime_image,
            redis_image=self._settings.redis_image,
            operator=Peer(*self._settings.own_pods) if self._settings.own_pods else None,
            monitoring=self._settings.monitoring,
            access=access,
        )

    async def _apply(self, job: _Job) -> Outcome:
        crew, live, plan = job.crew, job.live, job.plan
        users, password, token = None, Generated(), Generated()
        try:
            if crew.spec.redis.managed is not None:
                users, password = await self._auth(job)
            if accesses.is_generated(crew, job.access):
                token = await self._api_token(job)
        except RejectedError as error:
            return Outcome(_deployment(live, crew), None, rejected=error.message)
        rolls, inputs = self._inputs_of(job, users, password, token, password_file=_has_password_file(crew, live))
        if not inputs.redis_password_file and not self._is_as_wanted(job, inputs):
            # Its pods are made anew anyway.
            rolls, inputs = self._inputs_of(job, users, password, token, password_file=environment.reads_password(crew))
        wanted = desired.children(plan.crew, inputs)
        rejected = await self._put_all_right(job, wanted)
        if plan.over:
            await self._forget_primary(crew, live)
        not_resized = await self._grow_redis(crew, live.claims)
        if (size := _claim_size(live.get("StatefulSet", names.redis(crew.name)))) is not None:
            self._claims.setdefault(crew.uid, size)  # there was none: its controller makes one
        return Outcome(
            workload=_deployment(live, crew),
            target=_target(crew, job.found, users),
            rejected="; ".join(rejected.values()),
            not_resized=not_resized,
            files_not_resized=await self._grow_files(crew, live),
            credentials=self._remember(job, rolls, rejected),
            rollout=_rollout(job, wanted, rejected),
            retiring=bool(users and users.retiring),
            repaired=tuple(job.repaired),
            redis=plan,
        )

    def _plan(self, crew: CrewDeployment, live: Live) -> Plan:
        """How many members of Redis there should be for now, and what the crew asks of them."""
        redis = names.redis(crew.name)
        there = live.get("StatefulSet", redis)
        listed = list(self._cache.list((crew.namespace, crew.name), (POD,)).values())
        made_by = str(there["metadata"].get("uid", "")) if there is not None else ""
        members = [one.name for one in pods.redis_members(listed, crew.name, made_by, updated="")]
        return plan_of(crew, there, live.get("Service", redis), live.get("Deployment", crew.name), members)

    async def _forget_primary(self, crew: CrewDeployment, live: Live) -> None:
        """Of a Redis that runs alone again: with others it begins anew."""
        there = live.get("StatefulSet", names.redis(crew.name))
        if there is None:
            return
        patch = {"metadata": {"annotations": {names.PRIMARY_ANNOTATION: None}}}
        now = await self._kube.merge(
            "StatefulSet", crew.namespace, names.redis(crew.name), patch, uid=str(there["metadata"]["uid"])
        )
        self._cache.written("StatefulSet", now)

    def _inputs_of(
        self, job: _Job, users: RedisUsers | None, password: Generated, token: Generated, *, password_file: bool
    ) -> tuple[dict[str, Roll], Inputs]:
        """What the manifests are made of, and whether credentials make pods anew."""
        crew, live, plan = job.crew, job.live, job.plan
        of_crew = _read_from_file(password) if password_file else password
        rolls = {
            # A new password of the crew's is added to a server that runs; the operator's it has to be started with.
            credentials.REDIS: self._judge(
                job, credentials.REDIS, replace(password, value=users.operator_password if users else ""), Generated()
            ),
            credentials.CREW: self._judge(job, credentials.CREW, of_crew, token),
        }
        inputs = replace(
            self._inputs(job.access),
            api_token=token.value,
            redis_password=users.crew_password if users else "",
            redis_operator_password=users.operator_password if users else "",
            redis_retiring=users.retiring if users else (),
            redis_replica_password=users.replica_password if users else "",
            redis_replica_version=users.replica_version if users else "",
            redis_password_time=_password_time(live, crew),
            redis_password_file=password_file,
            redis_credentials=rolls[credentials.REDIS].annotation,
            crew_credentials=rolls[credentials.CREW].annotation,
            claim_size=_claim_size(live.get("StatefulSet", names.redis(crew.name))),
            files_claim=_files_claim(live, crew),
            redis_by_role=plan.by_role,
            redis_members=plan.members,
            redis_pod_management=plan.pod_management,
            files_checksum=job.found.checksum,
            stopped=job.stopped,
        )
        return rolls, runtime_image.chosen(plan.crew, inputs, job.rolled_out, live.get("Deployment", crew.name))

    @staticmethod
    def _is_as_wanted(job: _Job, inputs: Inputs) -> bool:
        """Whether its pods are those of what it asks of Redis for now, which is what is applied."""
        there = job.live.get("Deployment", job.crew.name)
        return runtime_image.is_rolled_out(job.plan.crew, inputs, job.rolled_out, there)

    async def _put_all_right(self, job: _Job, wanted: Sequence[Object]) -> dict[Which, str]:
        """What the API server refuses of one child keeps no other from being put right."""
        rejected: dict[Which, str] = {}
        for child in wanted:
            which = child["kind"], child["metadata"]["name"]
            if which in job.skip:
                continue
            try:
                job.repaired.extend(await self._put_right(job.crew, child, job.live))
            except RejectedError as error:
                rejected[which] = error.message
        named = {one["metadata"]["name"] for one in wanted if one["kind"] == "NetworkPolicy"}
        for name in {names.redis(job.crew.name), job.crew.name} - named:
            try:
                await self._drop_policy(job.crew, name, job.live)
            except RejectedError as error:
                rejected["NetworkPolicy", name] = error.message
        return rejected

    async def _drop_policy(self, crew: CrewDeployment, name: str, live: Live) -> None:
        """What an operator made that had NetworkPolicies on shuts out who may come in now."""
        if (there := live.get("NetworkPolicy", name)) is not None:
            log.info("deleting", extra={"kind": "NetworkPolicy", "object": name})
            await self._kube.delete("NetworkPolicy", crew.namespace, name, uid=there["metadata"]["uid"], grace=0)
            self._applied.get(crew.uid, {}).pop(("NetworkPolicy", name), None)

    # Credentials

    async def _auth(self, job: _Job) -> tuple[RedisUsers, Generated]:
        crew, live = job.crew, job.live
        users = rotation.decide(
            crew.key_prefix,
            _found_users(live, crew),
            self._users.get(crew.uid),
            rolled_out=self._is_rolled_out(job),
            make=self._password,
            taken=job.in_use.taken,
            due=self._is_due(crew, live),
        )
        changed = self._password_time(crew, live, users)
        password = await self._kept(job, users.crew_password, secret.auth(crew, users, changed))
        self._users[crew.uid] = users
        return users, password

    def _is_due(self, crew: CrewDeployment, live: Live) -> bool:
        """Whether the spec wants another password by now."""
        managed, there = crew.spec.redis.managed, live.get("Secret", names.redis_auth(crew.name))
        if managed is None or managed.password_rotation is None or there is None:
            return False
        told = _password_time(live, crew) or str(there["metadata"].get("creationTimestamp"))
        try:
            changed = conditions.seconds(told)
        except ValueError:
            return False
        return rotation.is_due(quantities.seconds(managed.password_rotation.every), changed, self._clock())

    def _password_time(self, crew: CrewDeployment, live: Live, users: RedisUsers) -> str:
        """When the crew's password was changed; empty: its Secret was made with it."""
        held = resource.accepted(_found_users(live, crew).configuration).get(CREW, ())
        if held and held[0] != users.accepted[0]:
            return conditions.timestamp(self._clock())
        return _password_time(live, crew)

    def _is_rolled_out(self, job: _Job) -> bool:
        """Whether every pod of the crew, also one that is on its way out, uses the credentials of now: as it reports,
        or because it was made with them."""
        crew, live = job.crew, job.live
        listed = list(self._cache.list((crew.namespace, crew.name), (POD,)).values())
        if _has_password_file(crew, live):
            version = _found_users(live, crew).replica_version
            reported = job.in_use.versions
            return bool(version) and reported is not None and pods.all_use(listed, version, reported)
        workload = _deployment(live, crew)
        if workload is None or not workload.is_rolled_out:
            return False
        versions = {what: one.version for what, one in job.found.credentials.items()}
        versions["password"] = credentials.version(live.get("Secret", names.redis_auth(crew.name)))
        if accesses.is_generated(crew, job.access):
            versions[credentials.API_TOKEN] = credentials.version(live.get("Secret", names.api_token(crew.name)))
        if job.recorded.get(credentials.CREW) != Credentials(versions).seen:
            return False
        return pods.are_of_one_template(listed, workload.wanted)

    async def _api_token(self, job: _Job) -> Generated:
        token = _token_of(job.live, job.crew) or self._password()
        return await self._kept(job, token, secret.api_token(job.crew, token))

    async def _kept(self, job: _Job, value: str, wanted: Object) -> Generated:
        """Made once; a Secret that has its values keeps them. By create and not by apply: if another was faster, this
        pass ends, and the next one asks whose it is.
        """
        live, name = job.live, wanted["metadata"]["name"]
        before = live.get("Secret", name)
        if before is None:
            made = await self._kube.create(stamped := drift.stamped(wanted))
            if self._note(job.crew, stamped, made):
                job.repaired.append(f"the Secret {name} was deleted, and is made again")
            live.put(made, "Secret")
        await self._put_right(job.crew, wanted, live)
        now = live.get("Secret", name)
        return Generated(value, _uid(now), credentials.version(before) if before else "", credentials.version(now))

    def _judge(self, job: _Job, workload: str, password: Generated, token: Generated) -> Roll:
        there = job.live.get(*_workload(job.crew, workload))
        own = job.found.credentials if workload == credentials.CREW else {}
        return self._rolls.judge(job.crew, workload, there, str(job.recorded.get(workload) or ""), password, token, own)

    def _remember(self, job: _Job, rolls: Mapping[str, Roll], rejected: Collection[Which]) -> dict[str, str]:
        """What goes into the status: of workloads that could not be brought to it nothing new."""
        found = {}
        for workload, roll in rolls.items():
            which = _workload(job.crew, workload)
            if which not in rejected and which not in job.skip:
                self._rolls.made(job.crew, workload, roll)
                found[workload] = roll.now.seen
        return {workload: seen for workload, seen in found.items() if seen}

    # One child

    async def _put_right(self, crew: CrewDeployment, child: Object, live: Live) -> list[str]:
        """What others had done to it, if anything: a sentence."""
        wanted = drift.stamped(child)
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        there = live.get(kind, name)
        if there is not None and not self._differs(crew, wanted, there):
            return []
        log.info("applying", extra={"kind": kind, "object": name, "exists": there is not None})
        try:
            now = await self._kube.apply_new(wanted) if there is None else await self._over(wanted, there)
        except RejectedError as error:
            raise RejectedError(error.status, f"the {kind} {name} was refused: {error.message}") from error
        known = self._note(crew, wanted, now)
        live.put(now, kind)
        if there is None:
            return [f"the {kind} {name} was deleted, and is made again"] if known else []
        field = drift.changed_by_others(wanted, there)
        return [f"the {kind} {name} was changed at {quoted(field)}, and is as the spec says again"] if field else []

    def _note(self, crew: CrewDeployment, wanted: Object, now: Object) -> bool:
        """That it was made like this, or changed to it. Whether this operator had done so before."""
        kind, about = wanted["kind"], now["metadata"]
        applied = self._applied.setdefault(crew.uid, {})
        known = (kind, about["name"]) in applied
        applied[kind, about["name"]] = _Applied(
            str(about["uid"]), str(about["resourceVersion"]), self._digests.of(wanted)
        )
        self._cache.written(kind, now)
        return known

    async def _over(self, wanted: Object, there: Object) -> Object:
        """Exactly the object that was found to be ours is changed."""
        uid = str(there["metadata"]["uid"])
        if drift.foreign_ports(wanted, there):
            about = wanted["metadata"]
            await self._kube.merge(wanted["kind"], about["namespace"], about["name"], _ports_of(wanted), uid=uid)
        if (patch := drift.other_strategy(wanted, there)) is not None:
            about = wanted["metadata"]
            await self._kube.merge(wanted["kind"], about["namespace"], about["name"], patch, uid=uid)
        if (patch := drift.foreign_settings(wanted, there)) is not None:
            about = wanted["metadata"]
            await self._kube.merge(wanted["kind"], about["namespace"], about["name"], patch, uid=uid, strategic=True)
        return await self._kube.apply(wanted, uid=uid)

    def _differs(self, crew: CrewDeployment, wanted: Object, there: Object) -> bool:
        """The comparison knows the API server's usual rewriting; what it does not know is settled by having applied
        the same to the same state before.
        """
        if drift.foreign_settings(wanted, there) is not None:
            return True
        if not drift.drifted(wanted, there):
            return False
        about = there["metadata"]
        now = _Applied(str(about.get("uid")), str(about.get("resourceVersion")), self._digests.of(wanted))
        return self._applied.get(crew.uid, {}).get((wanted["kind"], wanted["metadata"]["name"])) != now

    async def _grow_redis(self, crew: CrewDeployment, claims: Sequence[Object]) -> str:
        """Ask for larger claims of Redis; why one was refused, or nothing."""
        managed = crew.spec.redis.managed
        if managed is None:
            return ""
        size = managed.storage.size
        small = [one for one in claims if _is_more(size, _requested(one))]
        for claim in small:
            if refusal := await self._grow(crew, claim, size):
                return refusal
        if small:
            self._claims[crew.uid] = size
        return ""

    async def _grow_files(self, crew: CrewDeployment, live: Live) -> str:
        """The same of the claim of the crew's files."""
        storage, claim = crew.spec.crew.storage, live.get(CLAIM, names.files(crew.name))
        if storage is None or claim is None or not _is_more(storage.size, _requested(claim)):
            return ""
        return await self._grow(crew, claim, storage.size)

    async def _grow(self, crew: CrewDeployment, claim: Object, size: str) -> str:
        """Ask for a larger claim; why that was refused, or nothing. One that is larger already is left alone."""
        name = str(claim["metadata"]["name"])
        log.info("growing the claim", extra={"object": name, "size": size})
        patch = {"spec": {"resources": {"requests": {"storage": size}}}}
        try:
            await self._kube.merge(CLAIM, crew.namespace, name, patch, uid=str(claim["metadata"]["uid"]))
        except RejectedError as error:
            return error.message
        return ""


def _deployment(live: Live, crew: CrewDeployment) -> Workload | None:
    return pods.workload(live.get("Deployment", crew.name))


def _requested(claim: Object) -> str:
    return files.requested(claim["spec"])


def _files_claim(live: Live, crew: CrewDeployment) -> Object | None:
    """The spec of the claim of the crew's files; None: there is none."""
    claim = live.get(CLAIM, names.files(crew.name))
    return claim["spec"] if claim is not None else None


def _is_more(size: Any, than: Any) -> bool:
    return quantities.quantity(size) > quantities.quantity(than)


def _skipped(crew: CrewDeployment, live: Live, found: References) -> set[Which]:
    """Other people's objects, and what would be made out of something that is not there or not ours."""
    skip = set(live.foreign)
    files_claim = CLAIM, names.files(crew.name)
    if any(kind == CLAIM for kind, _ in live.foreign.keys() - {files_claim}):
        skip.add(("StatefulSet", names.redis(crew.name)))
    if found.problems or files_claim in live.foreign:
        skip.add(("Deployment", crew.name))
    return skip


def _workload(crew: CrewDeployment, workload: str) -> Which:
    if workload == credentials.REDIS:
        return "StatefulSet", names.redis(crew.name)
    return "Deployment", crew.name


def _rollout(job: _Job, wanted: Sequence[Object], rejected: Collection[Which]) -> Rollout | None:
    which = "Deployment", job.crew.name
    if which in rejected or which in job.skip:
        return None
    return runtime_image.rollout(next(one for one in wanted if (one["kind"], one["metadata"]["name"]) == which))


def _uid(found: Object | None) -> str:
    return str(((found or {}).get("metadata") or {}).get("uid") or "")


def _ports_of(service: Object) -> Object:
    return {"spec": {"ports": service["spec"]["ports"]}}


def _found_users(live: Live, crew: CrewDeployment) -> rotation.Found:
    """Without the newline that `echo` puts behind a password."""
    keys = (
        *(names.PASSWORD_KEY, names.OPERATOR_PASSWORD_KEY, names.AUTH_FILE),
        *(names.REPLICA_PASSWORD_KEY, names.REPLICA_PASSWORD_VERSION_KEY),
    )
    return rotation.Found(*(_value_of(live, names.redis_auth(crew.name), key).strip() for key in keys))


def _users_of(live: Live, crew: CrewDeployment) -> RedisUsers:
    """As the Secret has them; with empty passwords if it has none."""
    return rotation.decide(crew.key_prefix, _found_users(live, crew), None, rolled_out=False, make=str)


def _password_time(live: Live, crew: CrewDeployment) -> str:
    """As the Secret says it; empty also where that is no time."""
    about = (live.get("Secret", names.redis_auth(crew.name)) or {}).get("metadata") or {}
    told = str((about.get("annotations") or {}).get(names.PASSWORD_TIME_ANNOTATION) or "")
    try:
        conditions.seconds(told)
    except ValueError:
        return ""
    return told


def _has_password_file(crew: CrewDeployment, live: Live) -> bool:
    """Whether the crew's pods read the password out of a file. Those that an older operator made do not, and are made
    anew for nothing but what the crew itself asks for."""
    there = live.get("Deployment", crew.name)
    return environment.reads_password(crew) and (there is None or environment.has_password_file(there))


def _read_from_file(password: Generated) -> Generated:
    """The password of Redis: another one is no reason to roll pods that take it up by themselves; another Secret is."""
    found, version = (f"file of {one.partition('.')[0]}" if one else "" for one in (password.found, password.version))
    return Generated(version, password.secret_id, found, version)


def _token_of(live: Live, crew: CrewDeployment) -> str:
    """Empty also when somebody wrote into our Secret what the server would refuse."""
    try:
        return tokens.read(_value_of(live, names.api_token(crew.name), names.API_TOKEN_KEY))
    except ValueError:
        return ""


def _value_of(live: Live, name: str, key: str) -> str:
    """Of a Secret that was read; empty when there is none."""
    return references.decode(str(((live.get("Secret", name) or {}).get("data") or {}).get(key) or ""))


def _claim_size(stateful_set: Object | None) -> str | None:
    templates = ((stateful_set or {}).get("spec") or {}).get("volumeClaimTemplates") or ()
    return next((str(one["spec"]["resources"]["requests"]["storage"]) for one in templates), None)


def _target(crew: CrewDeployment, found: References, users: RedisUsers | None) -> Target | None:
    if crew.spec.redis.external is not None:
        return Target(crew.key_prefix, url=found.redis_url, ca=found.ca) if found.redis_url else None
    return Target(crew.key_prefix, users=users) if users is not None and users.crew_password else None
