"""Asks a cluster about one CrewDeployment -> facts. What cannot be had of a replica is a fact too."""

import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from crew_runtime.contract import env, pods, resource
from crew_runtime.contract.report import Failure
from crewctl.doctor.facts import Facts, Manifest, Proof, Replica
from crewctl.doctor.reach import Pod, Reach
from crewctl.errors import CrewctlError, UnreadableError
from crewctl.kube import Kube

AT_ONCE = 8


def gather(kube: Kube, crew: Manifest) -> Facts:
    """All facts. Raises ClusterError when the API server itself does not answer."""
    name = str(crew["metadata"]["name"])
    listed = kube.pods({resource.OWNER_LABEL: name})
    reach = Reach(kube)
    seen = pods.replicas(listed)
    token = Token(kube, crew)
    with ThreadPoolExecutor(AT_ONCE) as several:
        replicas = tuple(several.map(lambda one: _replica(reach, one, token), seen))
        able = [_where(one) for one, asked in zip(seen, replicas, strict=True) if asked.report is not None]
        proof = _prove(reach, able, several)
    redis = pods.redis(listed, name)
    managed = "external" not in (crew.get("spec") or {}).get("redis", {})
    missing = ""
    if managed and redis is None:
        taken = pods.in_place_of_redis(listed, name) is not None
        missing = "somebody else's pod has its name" if taken else "its pod does not exist"
    return Facts(
        crew=crew,
        now=time.time(),
        replicas=replicas,
        proof=proof,
        redis_trouble=_trouble(redis) if redis is not None else missing,
        directly=reach.directly,
    )


class Token:
    """The token of the crew's API, or why it cannot be had."""

    def __init__(self, kube: Kube, crew: Manifest) -> None:
        self.value: str | None = None
        self.trouble = ""
        try:
            self.value = kube.api_token(crew)
        except CrewctlError as error:
            self.trouble = f"the token of the API: {error}"


def _trouble(pod: pods.Object) -> str:
    found = pods.trouble(pod)
    return found.message if found is not None else ""


def _where(pod: pods.Object) -> Pod:
    return Pod(str(pod["metadata"]["name"]), pods.address(pod))


def _replica(reach: Reach, pod: pods.Object, token: Token) -> Replica:
    where = _where(pod)
    known = Replica(
        name=where.name,
        pod_ready=pods.is_ready(pod),
        restarts=pods.restarts(pod),
        trouble=_trouble(pod),
        settings=settings(pod),
    )
    if not where.ip:
        return replace(known, unreachable="its pod has no address yet")
    try:
        report = reach.report(where)
        known = replace(known, report=report, readiness=reach.readiness(where))
    except UnreadableError as error:
        return replace(known, unreadable=str(error))
    except CrewctlError as error:
        return replace(known, unreachable=str(error))
    return _with_texts(reach, where, known, report.failures, token)


def _with_texts(reach: Reach, pod: Pod, known: Replica, told: tuple[Failure, ...], token: Token) -> Replica:
    """The report has no texts, but for one of a runtime from before."""
    if not told or told[-1].message:
        return replace(known, failures=told)
    if token.trouble:
        return replace(known, failures=told, texts_missing=token.trouble)
    try:
        return replace(known, failures=reach.failures(pod, token.value) or told)
    except CrewctlError as error:
        return replace(known, failures=told, texts_missing=str(error))


def _prove(reach: Reach, able: list[Pod], several: ThreadPoolExecutor) -> Proof | None:
    """Write through the first, read through all others; the only one reads back what it wrote."""
    if not able:
        return None
    nonce = f"doctor-{secrets.token_hex(8)}"
    writer, *others = able
    written = reach.proof(writer, "write", nonce)
    try:
        if not written.done:
            return Proof(written)
        read = tuple(several.map(lambda one: reach.proof(one, "read", nonce), others or [writer]))
        return Proof(written, read)
    finally:
        reach.proof(writer, "forget", nonce)


def settings(pod: pods.Object) -> Mapping[str, Mapping[str, str]]:
    """The CREWOPS_* variables of each container of a replica's pod."""
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    wanted = (resource.SERVER_CONTAINER, resource.CREW_CONTAINER)
    return {one["name"]: _variables(one) for one in containers if one["name"] in wanted}


def _variables(container: Mapping[str, Any]) -> dict[str, str]:
    given = [one for one in container.get("env") or () if one["name"].startswith(env.PREFIX)]
    return {one["name"]: _value(one) for one in given}


def _value(variable: Mapping[str, Any]) -> str:
    if "value" in variable:
        return str(variable["value"])
    source = variable.get("valueFrom") or {}
    if ref := source.get("secretKeyRef"):
        return f"secret {ref.get('name')}/{ref.get('key')}"
    return str(source)
