"""Golden manifests: one file a crew, in tests/unit/operator/golden. UPDATE_GOLDEN=1 writes them anew."""

import dataclasses
import os
from base64 import b64decode
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from crew_operator import desired
from crew_operator.api import parse
from crew_operator.api.access import ALLOW_FROM, AUTH, Access
from crew_operator.api.spec import ApiAuth
from crew_operator.desired import environment
from support.crews import crew_manifest

GOLDEN = Path(__file__).parent / "golden"
INPUTS = desired.Inputs(
    runtime_image="ghcr.io/crewops/crew-runtime:0.1.0",
    redis_image="redis:8",
    redis_password="s3cret-for-tests",
    redis_operator_password="0perator-for-tests",
    redis_replica_password="s3cret-for-tests",
    redis_replica_version="1",
)
GUARDED = dataclasses.replace(
    INPUTS,
    operator=desired.Peer("crew-system", {"app.kubernetes.io/name": "crew-operator"}),
    monitoring=({"podSelector": {"matchLabels": {"app": "prometheus"}}},),
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
        "crew__processes": "PerSession",
        "crew__warmUp": "concierge.models:load",
        "crew__inputs": ["message", "room-number"],
        "crew__onReplicaLoss": "Fail",
        "crew__kickoffTimeout": "1h30m",
        "crew__gracePeriod": "20m",
        "crew__storage": {"size": "5Gi", "storageClassName": "nfs", "mountPath": "/srv/files", "whenDeleted": "Delete"},
        "kickoffs": {
            "retention": "72h",
            "maxBytes": "512Mi",
            "maxWaiting": 50,
            "humanInputTimeout": "24h",
            "memory": "2Gi",
        },
        "crew__apiTokenFrom": {"secretKeyRef": {"name": "api", "key": "token"}},
        "redis__managed": {
            "image": "redis:8.2",
            "storage": {"size": "20Gi", "storageClassName": "fast", "whenDeleted": "Delete"},
            "appendFsync": "always",
            "maxMemory": "50%",
            "passwordRotation": {"every": "720h"},
            "resources": {"limits": {"memory": "2Gi"}},
        },
        "memory": {
            "keyPrefix": "hotel",
            "isolation": "Crew",
            "sessionTTL": "720h",
            "onFailure": "Degrade",
            "timeout": "500ms",
            "embedder": {"provider": "openai", "model": "text-embedding-3-small", "dimension": 1536},
        },
        "history": {
            "messages": {
                "enabled": True,
                "format": "LangChain",
                "input": "message",
                "maxMessages": 50,
                "turns": 5,
            },
            "postgres": {
                "urlFrom": {"secretKeyRef": {"name": "audit", "key": "url"}},
                "caFrom": {"secretKeyRef": {"name": "audit", "key": "ca.pem"}},
                "retention": "8760h",
                "maxBytes": "256Mi",
            },
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
    one = crew(**CREWS[name])
    token = {"api_token": "t0ken-for-tests"} if one.spec.crew.token_from is None else {}
    text = yaml.dump_all(
        desired.children(one, dataclasses.replace(INPUTS, **token)), Dumper=PlainDumper, sort_keys=False, width=120
    )
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


@pytest.mark.parametrize("name", CREWS)
def test_the_two_halves_share_the_socket_and_nothing_else_that_can_be_written(name):
    (pod,) = (one["spec"]["template"]["spec"] for one in desired.children(crew(**CREWS[name]), INPUTS)
              if one["kind"] == "Deployment")  # fmt: skip
    containers = {one["name"]: one for one in (*pod["initContainers"], *pod["containers"])}
    written = {
        name: {mount["name"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
        for name, one in containers.items()
    }
    assert written["server"] & written["crew"] == {"run"}
    assert {mount["mountPath"] for mount in containers["server"]["volumeMounts"]} >= {"/tmp", "/crewops/run"}


@pytest.mark.parametrize("name", CREWS)
def test_no_volume_of_ours_can_fill_a_node(name):
    (pod,) = (one["spec"]["template"]["spec"] for one in desired.children(crew(**CREWS[name]), INPUTS)
              if one["kind"] == "Deployment")  # fmt: skip
    users = {one["name"] for one in CREWS[name].get("template__volumes", ())} | {
        one["name"] for one in CREWS[name].get("template", {}).get("volumes", ())
    }
    empty = [one for one in pod["volumes"] if "emptyDir" in one and one["name"] not in users]
    assert len(empty) >= 4
    assert [one["name"] for one in empty if not one["emptyDir"].get("sizeLimit")] == []


def test_every_child_is_owned_and_found_by_label():
    for child in desired.children(crew(), INPUTS):
        assert child["metadata"]["ownerReferences"][0]["uid"] == "11111111-2222"
        assert child["metadata"]["labels"]["crewops.dev/crewdeployment"] == "concierge"


def test_password_is_in_the_secret_and_nowhere_else():
    secret, *others = desired.children(crew(), INPUTS)
    assert secret["kind"] == "Secret"
    text = yaml.safe_dump_all(others)
    assert INPUTS.redis_password not in text
    assert INPUTS.redis_operator_password not in text


def test_token_is_in_its_secret_and_nowhere_else():
    made = desired.children(crew(), dataclasses.replace(INPUTS, api_token="t0ken-for-tests"))
    (secret,) = (one for one in made if one["metadata"]["name"] == "concierge-api-token")
    assert b64decode(secret["data"]["token"]) == b"t0ken-for-tests"
    rest = yaml.safe_dump_all([one for one in made if one is not secret])
    assert "t0ken-for-tests" not in rest
    assert secret["data"]["token"] not in rest


def server_token(access, **changes):
    """The reference by which the server gets its token; None: it gets none."""
    found = {one["name"]: one for one in environment.server(crew(**changes), access)}
    return found.get("CREWOPS_API_TOKEN", {}).get("valueFrom", {}).get("secretKeyRef")


def test_the_server_gets_the_token_that_is_meant():
    ref = {"name": "api", "key": "token"}
    assert server_token(Access()) == {"name": "concierge-api-token", "key": "token"}
    assert server_token(Access(), crew__api={"tokenFrom": {"secretKeyRef": ref}}) == ref
    assert server_token(Access(), crew__apiTokenFrom={"secretKeyRef": ref}) == ref
    assert server_token(Access(ApiAuth.NONE)) is None


def test_user_cannot_override_what_the_operator_sets():
    one = crew(**CREWS["everything"])
    worker = {entry["name"]: entry for entry in environment.worker(one)}
    assert worker["CREWOPS_REDIS_URL"]["value"] == "redis://concierge-redis.lobby.svc:6379/0"
    assert worker["HOME"]["value"] == "/home/me"
    assert environment.ignored(one) == ("CREWOPS_REDIS_URL",)


def test_a_crew_that_requires_no_input_is_not_one_that_says_nothing_of_inputs():
    def variables(**changes):
        return {one["name"]: one.get("value") for one in environment.worker(crew(**changes))}

    assert variables(crew__inputs=[])["CREWOPS_INPUTS"] == ""
    assert "CREWOPS_INPUTS" not in variables()


def test_an_operator_that_knows_more_settings_rolls_no_crew_that_has_none_of_them():
    open_as_before = Access(ApiAuth.NONE, frozenset({AUTH, ALLOW_FROM}))
    names = {one["name"] for one in (*environment.worker(crew()), *environment.server(crew(), open_as_before))}
    assert not names & {"CREWOPS_PROCESSES", "CREWOPS_WARM_UP", "CREWOPS_INPUTS", "CREWOPS_VECTOR_TYPE"}
    assert "CREWOPS_API_TOKEN" not in names


def test_redis_without_memory_limit_gets_no_maxmemory():
    children = desired.children(crew(redis__managed={"resources": {"requests": {"memory": "1Gi"}}}), INPUTS)
    assert "maxmemory 0\n" in children[1]["data"]["redis.conf"]


def policies(inputs, **changes):
    made = desired.children(crew(**changes), inputs)
    return {one["metadata"]["name"]: one for one in made if one["kind"] == "NetworkPolicy"}


def rules(inputs, **changes):
    """Port of the crew's replicas -> who is let in to it; None: everybody."""
    policy = policies(inputs, **changes)["concierge"]
    assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "crew"
    return {
        (port["port"], port.get("endPort", port["port"]), port["protocol"]): rule.get("from")
        for rule in policy["spec"]["ingress"]
        for port in rule["ports"]
    }


HTTP, HEALTH = (8000, 8000, "TCP"), (8081, 8081, "TCP")


def test_the_api_is_reached_from_the_crews_own_namespace_unless_the_spec_names_others():
    assert rules(GUARDED)[HTTP] == [{"podSelector": {}}]
    ingress = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    assert rules(GUARDED, crew__api={"allowFrom": [ingress]})[HTTP] == [ingress]
    # To Kubernetes a rule without peers means everybody.
    assert set(rules(GUARDED, crew__api={"allowFrom": []})) == {HEALTH}


def test_the_health_port_is_for_the_operator_and_monitoring():
    operator, monitoring = rules(GUARDED)[HEALTH]
    assert operator["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "crew-system"}
    assert operator["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "crew-operator"}
    assert monitoring == {"podSelector": {"matchLabels": {"app": "prometheus"}}}


def test_a_crew_from_before_is_reached_at_every_port_but_the_health_port():
    before = dataclasses.replace(GUARDED, access=Access(ApiAuth.NONE, frozenset({AUTH, ALLOW_FROM})))
    found = rules(before)
    everybody = {ports for ports, peers in found.items() if peers is None}
    assert everybody == {(1, 8080, "TCP"), (8082, 65535, "TCP"), (1, 65535, "UDP")}
    assert found[HEALTH] == rules(GUARDED)[HEALTH]


def test_redis_lets_in_its_crew_and_the_operator_alone():
    policy = policies(GUARDED)["concierge-redis"]
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


def test_what_stands_for_the_credentials_is_in_each_pod_template():
    inputs = desired.Inputs(
        runtime_image="r", redis_image="redis:8", redis_credentials="of-redis", crew_credentials="of-crew"
    )
    children = {child["kind"]: child for child in desired.children(crew(), inputs)}
    for kind, value in (("StatefulSet", "of-redis"), ("Deployment", "of-crew")):
        template = children[kind]["spec"]["template"]
        assert template["metadata"]["annotations"]["crewops.dev/auth"] == value


def test_a_managed_redis_syncs_what_is_waited_for_at_once_whatever_the_spec_says_besides():
    for asked, written in (({}, "everysec"), ({"memory__durability": "Fsync"}, "always")):
        crew = parse.crew_deployment(crew_manifest(redis__managed={"appendFsync": "everysec"}, **asked))
        config = next(one for one in desired.children(crew, INPUTS) if one["kind"] == "ConfigMap")
        assert f"appendfsync {written}\n" in config["data"]["redis.conf"]
        both = (*environment.server(crew, Access()), *environment.worker(crew))
        told = [one["value"] for one in both if one["name"] == "CREWOPS_DURABILITY"]
        assert told == (["Fsync"] * 2 if asked else []), "a crew that does not ask for it is not rolled"


def test_pods_of_a_crew_that_waits_for_failovers_can_be_told_from_those_that_do_not():
    def labels(**spec):
        crew = parse.crew_deployment(crew_manifest(redis__managed={"replicas": 3}, **spec))
        deployment = next(one for one in desired.children(crew, INPUTS) if one["kind"] == "Deployment")
        assert "crewops.dev/waits-for-failover" not in deployment["spec"]["selector"]["matchLabels"]
        return deployment["spec"]["template"]["metadata"]["labels"]

    assert labels()["crewops.dev/waits-for-failover"] == "true"
    assert "crewops.dev/waits-for-failover" not in labels(memory__durability="Buffered")


SECRET = "concierge-redis-auth"


@pytest.mark.parametrize(
    "spec",
    [
        {"redis": {"external": {"urlFrom": {"secretKeyRef": {"name": "own", "key": "url"}}}}},
        {"crew__runtime": {"image": "runtime:of-last-year"}},
        {"crew__runtime": {"injection": "None"}},
        {"crew__env": [{"name": "URL", "value": "redis://:$(CREWOPS_REDIS_PASSWORD)@here"}]},
        {"crew__env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "password"}}}]},
        {"crew__envFrom": [{"secretRef": {"name": SECRET}}]},
    ],
    ids=["external", "runtime of their own", "image with a runtime", "variable", "key", "whole Secret"],
)
def test_a_crew_that_may_not_take_up_a_password_by_itself_has_it_as_before(spec):
    assert environment.reads_password(crew())
    other = crew(**spec)
    assert not environment.reads_password(other)
    text = yaml.safe_dump([one for one in desired.children(other, INPUTS) if one["kind"] == "Deployment"])
    assert "CREWOPS_REDIS_CREDENTIALS" not in text
    assert "replica-password" not in text


def test_replicas_have_of_the_secret_what_is_the_crews_and_as_a_folder():
    (deployment,) = (one for one in desired.children(crew(), INPUTS) if one["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "redis-password")
    assert {one["key"] for one in volume["secret"]["items"]} == {"replica-password", "replica-password-version"}
    server = next(one for one in pod["initContainers"] if one["name"] == "server")
    for container in (server, *pod["containers"]):
        (mount,) = (one for one in container["volumeMounts"] if one["name"] == "redis-password")
        assert "subPath" not in mount, "the kubelet would not write it anew"
        assert {"name": "CREWOPS_REDIS_CREDENTIALS", "value": mount["mountPath"]} in container["env"]
