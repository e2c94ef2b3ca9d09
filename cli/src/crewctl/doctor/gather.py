"""Asks a cluster about one CrewDeployment -> facts. What cannot be had of a replica is a fact too."""

import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from crew_operator.api import names
from crew_operator.status import pods as observed
from crew_operator.status.observed import Replica as Seen
from crew_runtime.contract import env
from crewctl.doctor.facts import Facts, Manifest, Proof, Replica
from crewctl.doctor.reach import Pod, Reach
from crewctl.errors import CrewctlError
from crewctl.kube import Kube

AT_ONCE = 8


def gather(kube: Kube, crew: Manifest) -> Facts:
    """All facts. Raises ClusterError when the API server itself does not answer."""
    name = str(crew["metadata"]["name"])
    listed = kube.pods({names.OWNER_LABEL: name})
    reach = Reach(kube)
    seen = [one for one in observed.replicas(listed) if not one.terminating]
    specs = {str(pod["metadata"]["name"]): pod for pod in listed}
    with ThreadPoolExecutor(AT_ONCE) as several:
        replicas = tuple(several.map(lambda one: _replica(reach, one, specs[one.name]), seen))
        able = [Pod(one.name, one.ip) for one, asked in zip(seen, replicas, strict=True) if asked.report is not None]
        proof = _prove(reach, able, several)
    redis = observed.redis_pod(listed, name)
    managed = "external" not in (crew.get("spec") or {}).get("redis", {})
    missing = "its pod does not exist" if managed and redis is None else ""
    return Facts(
        crew=crew,
        now=time.time(),
        replicas=replicas,
        proof=proof,
        redis_trouble=redis.trouble if redis is not None else missing,
        directly=reach.directly,
    )


def _replica(reach: Reach, one: Seen, pod: Manifest) -> Replica:
    known = Replica(
        name=one.name,
        pod_ready=one.ready,
        restarts=one.restarts,
        trouble=one.trouble.message if one.trouble is not None else "",
        settings=settings(pod),
    )
    if not one.ip:
        return replace(known, unreachable="its pod has no address yet")
    where = Pod(one.name, one.ip)
    try:
        return replace(known, report=reach.report(where), readiness=reach.readiness(where))
    except CrewctlError as error:
        return replace(known, unreachable=str(error))


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


def settings(pod: Manifest) -> Mapping[str, Mapping[str, str]]:
    """The CREWOPS_* variables of each container of a replica's pod."""
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    wanted = (names.SERVER_CONTAINER, names.CREW_CONTAINER)
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
