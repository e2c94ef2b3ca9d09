"""Who reaches the managed Redis: its crew and the operator, whatever runs beside them."""

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest, Peer
from crew_runtime import contract

_NAMESPACE = "kubernetes.io/metadata.name"
"""A label that Kubernetes gives to every namespace."""


def redis(crew: CrewDeployment, operator: Peer) -> Manifest:
    """Lets in the crew's replicas and the operator, to Redis' port only. What Redis itself calls is not limited."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of(crew, names.redis(crew.name), names.REDIS),
        "spec": {
            "podSelector": {"matchLabels": names.selector(crew.name, names.REDIS)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [
                        {"podSelector": {"matchLabels": names.selector(crew.name, names.CREW)}},
                        {
                            "namespaceSelector": {"matchLabels": {_NAMESPACE: operator.namespace}},
                            "podSelector": {"matchLabels": dict(operator.labels)},
                        },
                    ],
                    "ports": [{"port": contract.REDIS_PORT, "protocol": "TCP"}],
                }
            ],
        },
    }
