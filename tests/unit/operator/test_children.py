"""Golden manifests: one file a crew, in tests/unit/operator/golden. UPDATE_GOLDEN=1 writes them anew."""

import dataclasses
import os
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from crew_operator import desired
from crew_operator.api import parse
from crew_operator.desired import environment
from support.crews import crew_manifest

GOLDEN = Path(__file__).parent / "golden"
INPUTS = desired.Inputs(
    runtime_image="ghcr.io/crewops/crew-runtime:0.1.0", redis_image="redis:8", redis_password="s3cret-for-tests"
)

CREWS = {
    "minimal": {},
    "everything": {
        "replicas": 5,
        "crew__env": [
            {"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "llm", "key": "key"}}},
            {"name": "CREWOPS_REDIS_URL", "value": "redis://elsewhere"},
            {"name": "HOME", "value": "/home/me"},
        ],
        "crew__envFrom": [{"secretRef": {"name": "more"}}],
        "crew__concurrency": 8,
        "crew__onReplicaLoss": "Fail",
        "crew__kickoffTimeout": "1h30m",
        "crew__apiTokenFrom": {"secretKeyRef": {"name": "api", "key": "token"}},
        "redis__managed": {
            "image": "redis:8.2",
            "storage": {"size": "20Gi", "storageClassName": "fast", "whenDeleted": "Delete"},
            "appendFsync": "always",
            "maxMemory": "50%",
            "resources": {"limits": {"memory": "2Gi"}},
        },
        "memory": {
            "keyPrefix": "hotel",
            "isolation": "Crew",
            "sessionTTL": "720h",
            "onFailure": "Degrade",
            "embedder": {"provider": "openai", "model": "text-embedding-3-small", "dimension": 1536},
        },
        "template": {
            "labels": {"team": "lobby", "app.kubernetes.io/component": "mine"},
            "annotations": {"note": "hello"},
            "resources": {"limits": {"memory": "4Gi"}},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
            ],
            "serviceAccountName": "concierge",
            "securityContext": {"runAsUser": 1000},
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [{"name": "cache", "emptyDir": {}}],
            "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        },
    },
    "declared": {
        "crew": {
            "definition": {
                "inline": {
                    "name": "librarians",
                    "agents": {"librarian": {"role": "Librarian", "goal": "Advise", "backstory": "Well-read"}},
                    "tasks": [{"name": "advise", "agent": "librarian", "description": "{message}"}],
                    "memory": True,
                }
            }
        },
    },
    "definition-external": {
        "crew": {"definition": {"configMapRef": {"name": "concierge"}}},
        "redis": {
            "external": {
                "urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}},
                "caFrom": {"configMapKeyRef": {"name": "ca", "key": "ca.pem"}},
            }
        },
    },
}


class PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def crew(**changes):
    return parse.crew_deployment(crew_manifest(uid="11111111-2222", generation=3, **changes))


@pytest.mark.parametrize("name", CREWS)
def test_children_are_the_golden_ones(name):
    text = yaml.dump_all(desired.children(crew(**CREWS[name]), INPUTS), Dumper=PlainDumper, sort_keys=False, width=120)
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), "run with UPDATE_GOLDEN=1 when the change is meant, and read the difference"


def test_building_children_changes_no_input():
    one = crew(**CREWS["everything"])
    before = deepcopy(one)
    children = desired.children(one, INPUTS)
    children[-1]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "changed"
    assert one == before
    assert desired.children(one, INPUTS) == desired.children(before, INPUTS)


def test_every_child_is_owned_and_found_by_label():
    for child in desired.children(crew(), INPUTS):
        assert child["metadata"]["ownerReferences"][0]["uid"] == "11111111-2222"
        assert child["metadata"]["labels"]["crewops.dev/crewdeployment"] == "concierge"


def test_password_is_in_the_secret_and_nowhere_else():
    secret, *others = desired.children(crew(), INPUTS)
    assert secret["kind"] == "Secret"
    assert INPUTS.redis_password not in yaml.safe_dump_all(others)


def test_user_cannot_override_what_the_operator_sets():
    one = crew(**CREWS["everything"])
    worker = {entry["name"]: entry for entry in environment.worker(one)}
    assert worker["CREWOPS_REDIS_URL"]["value"] == "redis://concierge-redis.lobby.svc:6379/0"
    assert worker["HOME"]["value"] == "/home/me"
    assert environment.ignored(one) == ("CREWOPS_REDIS_URL",)


def test_redis_without_memory_limit_gets_no_maxmemory():
    children = desired.children(crew(redis__managed={"resources": {"requests": {"memory": "1Gi"}}}), INPUTS)
    assert "maxmemory 0\n" in children[1]["data"]["redis.conf"]


def test_redis_lets_in_its_crew_and_the_operator_alone():
    inputs = dataclasses.replace(
        INPUTS, operator=desired.Peer("crew-system", {"app.kubernetes.io/name": "crew-operator"})
    )
    (policy,) = (one for one in desired.children(crew(), inputs) if one["kind"] == "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "redis"
    (rule,) = policy["spec"]["ingress"]
    of_crew, of_operator = rule["from"]
    assert of_crew == {
        "podSelector": {
            "matchLabels": {"crewops.dev/crewdeployment": "concierge", "app.kubernetes.io/component": "crew"}
        }
    }
    assert of_operator["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "crew-system"}
    assert rule["ports"] == [{"port": 6379, "protocol": "TCP"}]


def test_an_operator_that_does_not_know_its_own_pods_makes_no_policy_that_would_shut_it_out():
    assert "NetworkPolicy" not in {one["kind"] for one in desired.children(crew(), INPUTS)}


def test_claim_template_stays_as_it_lives_because_it_is_immutable():
    inputs = desired.Inputs(runtime_image="r", redis_image="redis:8", redis_password="p", claim_size="1Gi")
    children = desired.children(crew(redis__managed={"storage": {"size": "9Gi"}}), inputs)
    stateful_set = next(child for child in children if child["kind"] == "StatefulSet")
    (template,) = stateful_set["spec"]["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_new_secret_changes_both_pod_templates():
    inputs = desired.Inputs(runtime_image="r", redis_image="redis:8", redis_password="p", auth_id="uid-2")
    children = {child["kind"]: child for child in desired.children(crew(), inputs)}
    for kind in ("StatefulSet", "Deployment"):
        template = children[kind]["spec"]["template"]
        assert template["metadata"]["annotations"]["crewops.dev/auth"] == "uid-2"
