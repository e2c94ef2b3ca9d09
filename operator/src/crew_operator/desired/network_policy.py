"""Who reaches the managed Redis and the replicas, whatever runs beside them.

Probes are the kubelet's, and no cluster keeps a node from its own pods.
"""

from copy import deepcopy
from typing import Any

from crew_operator.api import access, names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Inputs, Manifest, Peer
from crew_runtime import contract

_NAMESPACE = "kubernetes.io/metadata.name"
"""A label that Kubernetes gives to every namespace."""
_LAST_PORT = 65535


def redis(crew: CrewDeployment, operator: Peer, *, several: bool = False) -> Manifest:
    """Lets in the crew's replicas and the operator, to Redis' port only. What Redis itself calls is not limited.

    Args:
        several: members replicate from each other.
    """
    peers = [{"podSelector": {"matchLabels": names.selector(crew.name, names.CREW)}}, _pods(operator)]
    if several:
        peers.append({"podSelector": {"matchLabels": names.selector(crew.name, names.REDIS)}})
    return _policy(crew, names.redis(crew.name), names.REDIS, [_rule(peers, _tcp(contract.REDIS_PORT))])


def replicas(crew: CrewDeployment, inputs: Inputs, operator: Peer) -> Manifest:
    """Lets in to the API whom the spec names, and to the health port the operator and monitoring."""
    health = _rule([_pods(operator), *inputs.monitoring], _tcp(contract.HEALTH_PORT))
    allowed = crew.spec.crew.api.allow_from
    api = []
    if access.ALLOW_FROM in inputs.access.as_before:
        api = [_all_but_health()]
    elif allowed is None:
        api = [_rule([{"podSelector": {}}], _tcp(contract.HTTP_PORT))]
    elif allowed:  # a rule with no peers would let in everybody
        api = [_rule(deepcopy([dict(one) for one in allowed]), _tcp(contract.HTTP_PORT))]
    return _policy(crew, crew.name, names.CREW, [*api, health])


def _all_but_health() -> dict[str, Any]:
    """From everywhere, to every port that a crew from before may have opened, but for the one that is ours."""
    before, behind = _tcp(1, contract.HEALTH_PORT - 1), _tcp(contract.HEALTH_PORT + 1, _LAST_PORT)
    return {"ports": [before, behind, {**_tcp(1, _LAST_PORT), "protocol": "UDP"}]}


def _policy(crew: CrewDeployment, name: str, component: str, rules: list[dict[str, Any]]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of(crew, name, component),
        "spec": {
            "podSelector": {"matchLabels": names.selector(crew.name, component)},
            "policyTypes": ["Ingress"],
            "ingress": rules,
        },
    }


def _pods(peer: Peer) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {_NAMESPACE: peer.namespace}},
        "podSelector": {"matchLabels": dict(peer.labels)},
    }


def _rule(peers: list[Any], port: dict[str, Any]) -> dict[str, Any]:
    return {"from": peers, "ports": [port]}


def _tcp(port: int, last: int | None = None) -> dict[str, Any]:
    return {"port": port, "protocol": "TCP", **({"endPort": last} if last else {})}
