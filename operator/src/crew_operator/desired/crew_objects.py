"""The crew: its Deployment, the Service in front of it, and what a drain of nodes has to leave."""

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import files, metadata, pod_template
from crew_operator.desired.metadata import Inputs, Manifest
from crew_runtime import contract


def service(crew: CrewDeployment) -> Manifest:
    """The crew's HTTP API; the health port is for the kubelet and the operator only."""
    port = {"name": "http", "port": contract.HTTP_PORT, "targetPort": contract.HTTP_PORT, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.of(crew, crew.name, names.CREW),
        "spec": {"selector": names.selector(crew.name, names.CREW), "ports": [port]},
    }


def disruption_budget(crew: CrewDeployment) -> Manifest:
    """Drains of nodes take one replica after the other. It never blocks one: a single replica may go, as one has to."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata.of(crew, crew.name, names.CREW),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": names.selector(crew.name, names.CREW)}},
    }


def deployment(crew: CrewDeployment, inputs: Inputs) -> Manifest:
    """The replicas."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata.of(crew, crew.name, names.CREW),
        "spec": {
            "replicas": 0 if inputs.stopped else crew.spec.replicas,
            "paused": False,  # whoever pauses it would keep every later change of the spec from the crew, in silence
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": names.selector(crew.name, names.CREW)},
            "strategy": files.strategy(crew),
            "template": pod_template.of(crew, inputs),
        },
    }
