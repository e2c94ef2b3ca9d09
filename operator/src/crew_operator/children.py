"""Brings the children of a CrewDeployment to what they should be: reads what lives, applies what differs, no more."""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crew_operator import desired, references
from crew_operator.api import names, quantities
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import Peer, drift, refusals, runtime_image, secret
from crew_operator.desired.refusals import Running
from crew_operator.errors import ConflictError, Problem, RejectedError
from crew_operator.kube_client import KubeClient
from crew_operator.redis_client import Target
from crew_operator.references import References
from crew_operator.settings import Settings

Object = dict[str, Any]
log = logging.getLogger(__name__)

KINDS = ("ConfigMap", "Service", "StatefulSet", "Deployment", "NetworkPolicy")
"""Listed by label; the Secret is read by its name: a label taken off by hand must not cost the password."""


@dataclass
class Live:
    """What exists of a CrewDeployment."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    claim: Object | None = None

    def get(self, kind: str, name: str) -> Object | None:
        """The object, or None."""
        return self.objects.get((kind, name))

    def put(self, found: Object, kind: str) -> None:
        """Keep the newest state of an object."""
        self.objects[kind, found["metadata"]["name"]] = found


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    deployment: Object | None
    target: Target | None
    missing: tuple[Problem, ...] = ()
    refused: tuple[Problem, ...] = ()
    rejected: str = ""
    not_resized: str = ""

    @property
    def clean(self) -> bool:
        """Everything is as the spec says."""
        return not (self.missing or self.refused or self.rejected or self.not_resized)


class Children:
    """Reads and writes the children of all CrewDeployments."""

    def __init__(self, kube: KubeClient, settings: Settings, password: Callable[[], str] = secrets.token_hex) -> None:
        self._kube = kube
        self._settings = settings
        self._password = password
        self._applied: dict[str, tuple[str, Object]] = {}
        """uid of an object -> its resourceVersion after our last apply, and what that was."""

    async def bring(self, crew: CrewDeployment) -> Outcome:
        """Apply what differs. Raises ApiError and UnreachableError for what may pass by itself."""
        live = await self._read(crew)
        found = await references.read(self._kube, crew)
        deployment = live.get("Deployment", crew.name)
        running = Running(deployment, live.get("StatefulSet", names.redis(crew.name)), live.claim)
        refused = refusals.problems(crew, running)
        if refused or found.problems:
            target = _target(crew, found, references.decode(_password_of(live, crew) or ""))
            return Outcome(deployment, target, missing=tuple(found.problems), refused=refused)
        return await self._apply(crew, live, found)

    async def _read(self, crew: CrewDeployment) -> Live:
        live = Live()
        for kind in KINDS:
            for one in await self._kube.list(kind, crew.namespace, {names.OWNER_LABEL: crew.name}):
                live.put(one, kind)
        if crew.spec.redis.managed is not None:
            auth = await self._kube.get("Secret", crew.namespace, names.redis_auth(crew.name))
            if auth is not None:
                live.put(auth, "Secret")
            live.claim = await self._kube.get("PersistentVolumeClaim", crew.namespace, names.redis_claim(crew.name))
        return live

    async def _apply(self, crew: CrewDeployment, live: Live, found: References) -> Outcome:
        managed = crew.spec.redis.managed is not None
        rejected = not_resized = password = auth_id = ""
        try:
            if managed:
                password, auth_id = await self._auth(crew, live)
            inputs = desired.Inputs(
                runtime_image=self._settings.runtime_image,
                redis_image=self._settings.redis_image,
                redis_password=password,
                auth_id=auth_id,
                claim_size=_claim_size(live.get("StatefulSet", names.redis(crew.name))),
                files_checksum=found.checksum,
                operator=Peer(*self._settings.own_pods) if self._settings.own_pods else None,
            )
            wanted = desired.children(crew, runtime_image.chosen(crew, inputs, live.get("Deployment", crew.name)))
            for child in wanted:
                await self._put_right(child, live)
            await self._drop_policy(crew, wanted, live)
            not_resized = await self._grow(crew, live.claim)
        except RejectedError as error:
            rejected = error.message
        return Outcome(
            deployment=live.get("Deployment", crew.name),
            target=_target(crew, found, password),
            rejected=rejected,
            not_resized=not_resized,
        )

    async def _drop_policy(self, crew: CrewDeployment, wanted: Sequence[Object], live: Live) -> None:
        """What an operator made that had NetworkPolicies on shuts out who may come in now."""
        there = live.get("NetworkPolicy", names.redis(crew.name))
        if there is not None and not any(one["kind"] == "NetworkPolicy" for one in wanted):
            about = there["metadata"]
            log.info("deleting", extra={"kind": "NetworkPolicy", "object": about["name"]})
            await self._kube.delete("NetworkPolicy", crew.namespace, about["name"], uid=about["uid"], grace=0)

    async def _auth(self, crew: CrewDeployment, live: Live) -> tuple[str, str]:
        """The password and the uid of its Secret. Made once; a Secret that has one keeps it."""
        name = names.redis_auth(crew.name)
        known = references.decode(_password_of(live, crew) or "")
        if not known and live.get("Secret", name) is None:
            known = await self._make_password(crew, live)
        password = known or self._password()
        await self._put_right(secret.auth(crew, password), live)
        auth = live.get("Secret", name) or {}
        return password, str(auth.get("metadata", {}).get("uid", ""))

    async def _make_password(self, crew: CrewDeployment, live: Live) -> str:
        """By create and not by apply: if another was faster, its password holds."""
        made = self._password()
        try:
            live.put(await self._kube.create(drift.stamped(secret.auth(crew, made))), "Secret")
        except ConflictError:
            there = await self._kube.get("Secret", crew.namespace, names.redis_auth(crew.name))
            if there is None:
                raise
            live.put(there, "Secret")
            return references.decode(_password_of(live, crew) or "")
        return made

    async def _put_right(self, child: Object, live: Live) -> None:
        wanted = drift.stamped(child)
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        there = live.get(kind, name) or await self._unlabelled(wanted)
        if there is not None and not self._differs(wanted, there):
            live.put(there, kind)
            return
        log.info("applying", extra={"kind": kind, "object": name, "exists": there is not None})
        try:
            if there is not None and drift.foreign_ports(wanted, there):
                await self._kube.merge(kind, wanted["metadata"]["namespace"], name, _ports_of(wanted))
            now = await self._kube.apply(wanted)
        except RejectedError as error:
            raise RejectedError(error.status, f"the {kind} {name} was refused: {error.message}") from error
        self._applied[now["metadata"]["uid"]] = (str(now["metadata"]["resourceVersion"]), wanted)
        live.put(now, kind)

    async def _unlabelled(self, wanted: Object) -> Object | None:
        """An object of ours that lost its label by hand is not listed; one that is not there costs a second look."""
        return await self._kube.get(wanted["kind"], wanted["metadata"]["namespace"], wanted["metadata"]["name"])

    def _differs(self, wanted: Object, there: Object) -> bool:
        """The comparison knows the API server's usual rewriting; what it does not know is settled by having applied
        the same to the same state before.
        """
        if not drift.drifted(wanted, there):
            return False
        version, applied = self._applied.get(str(there["metadata"].get("uid")), ("", {}))
        return not (version == there["metadata"].get("resourceVersion") and applied == wanted)

    async def _grow(self, crew: CrewDeployment, claim: Object | None) -> str:
        """Ask for a larger claim; why it was refused, or nothing."""
        managed = crew.spec.redis.managed
        if managed is None or claim is None:
            return ""
        size = managed.storage.size
        if quantities.quantity(size) <= quantities.quantity(refusals.claim_size(claim)):
            return ""
        name = names.redis_claim(crew.name)
        log.info("growing the claim", extra={"object": name, "size": size})
        try:
            await self._kube.merge(
                "PersistentVolumeClaim",
                crew.namespace,
                name,
                {"spec": {"resources": {"requests": {"storage": size}}}},
            )
        except RejectedError as error:
            return error.message
        return ""


def _ports_of(service: Object) -> Object:
    return {"spec": {"ports": service["spec"]["ports"]}}


def _password_of(live: Live, crew: CrewDeployment) -> str | None:
    auth = live.get("Secret", names.redis_auth(crew.name)) or {}
    value = (auth.get("data") or {}).get(names.PASSWORD_KEY)
    return str(value) if value else None


def _claim_size(stateful_set: Object | None) -> str | None:
    templates = ((stateful_set or {}).get("spec") or {}).get("volumeClaimTemplates") or ()
    return next((refusals.claim_size(one) for one in templates), None)


def _target(crew: CrewDeployment, found: References, password: str) -> Target | None:
    if crew.spec.redis.external is not None:
        return Target(crew.key_prefix, url=found.redis_url, ca=found.ca) if found.redis_url else None
    return Target(crew.key_prefix, password=password) if password else None
