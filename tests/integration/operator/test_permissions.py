"""The chart grants what the operator uses, and nothing else: both are compared, after a crew's whole life."""

import dataclasses
import signal

import pytest

from crew_operator import app
from crew_operator.api import names
from support.eavesdrop import eavesdropping
from support.helm import template
from support.waiting import eventually

ON_PURPOSE = {
    ("update", "crewops.dev", "crewdeployments/finalizers"): "no request: it admits children with blockOwnerDeletion",
    ("patch", "", "pods"): "labels the primary of a replicated Redis; its pods need a node: e2e/test_failover.py",
    ("patch", "", "events"): "an Event that comes again is counted up; whether one does here is chance",
}
"""Granted though no request of its shows, and why."""


def granted(**values):
    """Of all roles that the chart binds to the operator."""
    made = template(**values)
    bound = {one["roleRef"]["name"] for one in made if one and one["kind"] in ("RoleBinding", "ClusterRoleBinding")}
    return {
        (verb, group, resource)
        for one in made
        if one and one["kind"] in ("Role", "ClusterRole") and one["metadata"]["name"] in bound
        for rule in one["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


async def live(cluster, node, settings):
    """Everything that the operator does to a crew: made, served, changed, put right, healed, guarded and bared."""
    # reads for real, as after hours it would
    guarded = dataclasses.replace(settings, own_pods=("crew-system", {"app": "crew-operator"}), resync=5.0)
    async with app.running(guarded):
        await cluster.make()
        await cluster.exists("Deployment", "concierge")
        await cluster.exists("NetworkPolicy", "concierge-redis")
        await cluster.exists("NetworkPolicy", "concierge")
        await node.start_redis()
        await node.start_replica("crew-1")
        await cluster.change({"replicas": 1})
        await cluster.condition("Ready", "True", seconds=20)
        for kind, name in (
            ("Secret", "concierge-redis-auth"),
            ("Secret", "concierge-api-token"),
            ("ConfigMap", "concierge-redis-config"),
            ("Service", "concierge"),
            ("StatefulSet", "concierge-redis"),
            ("Deployment", "concierge"),
            ("NetworkPolicy", "concierge-redis"),
            ("NetworkPolicy", "concierge"),
            ("PodDisruptionBudget", "concierge"),
        ):
            await cluster.delete(kind, name)
            await cluster.exists(kind, name, 30)
        await eventually(lambda: no_redis_pod(cluster), "the pod went with the StatefulSet that made it", 30)
        await node.redis_restarts()
        await lose_its_label(cluster)
        await grow(cluster)
        await with_files(cluster, node)
        node.signal_redis(signal.SIGSTOP)
        await eventually(lambda: replaced(cluster), "the wedged Redis is replaced", 60)
    async with app.running(settings):
        await eventually(lambda: no_policy(cluster), "the policy is gone", 30)


async def lose_its_label(cluster):
    name = "concierge-redis-auth"
    labels = {"crewops.dev/crewdeployment": None}
    await cluster.kube.merge("Secret", cluster.namespace, name, {"metadata": {"labels": labels}})
    await cluster.change({"crew": {"concurrency": 3}})

    async def labelled():
        return "crewops.dev/crewdeployment" in (await cluster.get("Secret", name))["metadata"]["labels"]

    await eventually(labelled, "the Secret has its label again", 60)


async def grow(cluster):
    """A claim as the StatefulSet's controller makes it, and then a larger one is asked for."""
    labels = names.selector("concierge", names.REDIS)
    about = {"namespace": cluster.namespace, "name": "data-concierge-redis-0", "labels": labels}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await cluster.kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": spec})
    await cluster.change({"redis": {"managed": {"storage": {"size": "2Gi"}}}})

    async def grown():
        claim = await cluster.get("PersistentVolumeClaim", "data-concierge-redis-0")
        return claim["spec"]["resources"]["requests"]["storage"] == "2Gi"

    await eventually(grown, "the claim asks for more", 30)


async def with_files(cluster, node):
    """A volume for the crew's files, which has to be waited for."""
    await cluster.change({"crew": {"storage": {"size": "1Gi"}}})
    await cluster.exists("PersistentVolumeClaim", "concierge-files")
    await node.tell_not_ready("crew-1")
    await cluster.condition("Ready", "False", "ReplicasNotReady", seconds=30)


def said(permissions):
    """In a line."""
    return ", ".join(f"{verb} {resource}.{group}".rstrip(".") for verb, group, resource in sorted(permissions))


async def replaced(cluster):
    pod = await cluster.get("Pod", "concierge-redis-0")
    return pod is None or pod["metadata"].get("deletionTimestamp")


async def no_redis_pod(cluster):
    return await cluster.get("Pod", "concierge-redis-0") is None


async def no_policy(cluster):
    return await cluster.get("NetworkPolicy", "concierge-redis") is None


@pytest.mark.local_cluster
@pytest.mark.parametrize("everywhere", [True, False], ids=["cluster-wide", "namespaces"])
async def test_every_permission_is_used_and_every_used_one_is_granted(cluster, node, settings, tmp_path, everywhere):
    if cluster.server is None:
        pytest.skip("reads what passes, which is encrypted here; tests/e2e run with these very roles")
    async with eavesdropping(cluster.kubeconfig, tmp_path) as (one, kubeconfig):
        watched = () if everywhere else (cluster.namespace,)
        await live(cluster, node, dataclasses.replace(settings, kubeconfig=kubeconfig, namespaces=watched))
    allowed = granted(replicaCount=1, **({} if everywhere else {"watchNamespaces": [cluster.namespace]}))
    assert said(one.used - allowed) == "", "used, and not granted"
    assert said(allowed - one.used - set(ON_PURPOSE)) == "", "granted, and not used"
