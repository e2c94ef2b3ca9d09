"""What `--restrict-templates` refuses, and that it refuses no more."""

import pytest

from crew_operator.api import fields, parse, restrictions
from crew_operator.api.spec import Template
from crew_operator.settings import Restrictions
from support.crews import crew_manifest

NOTHING = Restrictions()


def paths(allowed=NOTHING, **changes):
    crew = parse.crew_deployment(crew_manifest(**changes))
    return [problem.path for problem in restrictions.problems(crew, allowed)]


def template(**fields):
    return {f"template__{name}": value for name, value in fields.items()}


HARMLESS = {
    "volumes": [
        {"name": "a", "configMap": {"name": "x"}},
        {"name": "b", "secret": {"secretName": "x"}},
        {"name": "c", "emptyDir": {}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "x"}},
        {"name": "e", "projected": {"sources": [{"configMap": {"name": "x"}}]}},
        {"name": "f", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "g", "downwardAPI": {"items": []}},
        {"name": "h"},
    ],
    "securityContext": {
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "runAsNonRoot": True,
        "fsGroup": 2000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "supplementalGroups": [3000],
        "seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"},
        "appArmorProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"level": "s0:c1,c2"},
    },
    "tolerations": [{"key": "gpu", "operator": "Exists"}, {"key": "node.kubernetes.io/not-ready"}],
    "nodeSelector": {"disk": "ssd"},
    "affinity": {"nodeAffinity": {}},
    "resources": {"limits": {"memory": "1Gi"}},
    "imagePullSecrets": [{"name": "registry"}],
}


def test_what_tenants_need_is_allowed():
    assert paths(**template(**HARMLESS), memory__keyPrefix="lobby/other") == []


@pytest.mark.parametrize(
    "kind",
    ["hostPath", "csi", "nfs", "iscsi", "cephfs", "rbd", "fc", "flexVolume", "gitRepo", "portworxVolume", "image"],
)
def test_volume_that_may_reach_beyond_the_namespace_is_refused(kind):
    volumes = [{"name": "fine", "emptyDir": {}}, {"name": "host", kind: {"path": "/"}}]
    assert paths(**template(volumes=volumes)) == [f"spec.template.volumes[1].{kind}"]


def test_account_is_refused_unless_it_is_on_the_list():
    wanted = template(serviceAccountName="cluster-admin-sa")
    assert paths(**wanted) == ["spec.template.serviceAccountName"]
    assert paths(Restrictions(service_accounts=("crew",)), **wanted) == ["spec.template.serviceAccountName"]
    assert paths(Restrictions(service_accounts=("crew", "cluster-admin-sa")), **wanted) == []


def test_token_of_the_default_account_cannot_be_mounted_by_hand():
    volumes = [{"name": "token", "projected": {"sources": [{"secret": {}}, {"serviceAccountToken": {"path": "t"}}]}}]
    path = "spec.template.volumes[0].projected.sources[1].serviceAccountToken"
    assert paths(**template(volumes=volumes)) == [path]
    allowed = Restrictions(service_accounts=("crew",))
    assert paths(allowed, **template(volumes=volumes)) == [path]
    assert paths(allowed, **template(volumes=volumes, serviceAccountName="crew")) == []


@pytest.mark.parametrize(
    ("context", "path"),
    [
        ({"runAsUser": 0}, "runAsUser"),
        ({"runAsUser": -1}, "runAsUser"),
        ({"runAsUser": False}, "runAsUser"),
        ({"runAsUser": "0"}, "runAsUser"),
        ({"runAsNonRoot": False}, "runAsNonRoot"),
        ({"runAsNonRoot": None}, "runAsNonRoot"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile.type"),
        ({"seccompProfile": None}, "seccompProfile.type"),
        ({"seccompProfile": "Unconfined"}, "seccompProfile.type"),
        ({"appArmorProfile": {"type": "Unconfined"}}, "appArmorProfile.type"),
        ({"seLinuxOptions": {"type": "spc_t", "level": "s0"}}, "seLinuxOptions.type"),
        ({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "sysctls"),
        ({"windowsOptions": {"hostProcess": True}}, "windowsOptions"),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, "capabilities"),
        ({"privileged": True}, "privileged"),
        ({"of a later Kubernetes": True}, "of a later Kubernetes"),
    ],
)
def test_loosened_security_context_is_refused(context, path):
    assert paths(**template(securityContext=context)) == [f"spec.template.securityContext.{path}"]


@pytest.mark.parametrize(
    ("toleration", "path"),
    [
        ({"operator": "Exists"}, ""),
        ({"operator": "Exists", "key": ""}, ""),
        ({"operator": "Exists", "key": None}, ""),
        ({"key": "node-role.kubernetes.io/control-plane"}, ".key"),
        ({"key": "node-role.kubernetes.io/master"}, ".key"),
    ],
)
def test_toleration_of_every_taint_and_of_the_control_plane_is_refused(toleration, path):
    assert paths(**template(tolerations=[toleration])) == [f"spec.template.tolerations[0]{path}"]


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_metadata_is_refused_unless_it_is_on_the_list(field):
    told = {"app": "payments", "acme.com/team": "a", "acme.com.evil/x": "b"}
    where = f"spec.template.{field}"
    assert paths(**template(**{field: told})) == [f"{where}.acme.com.evil/x", f"{where}.acme.com/team", f"{where}.app"]
    allowed = Restrictions(metadata=("acme.com/*", "app"))
    assert paths(allowed, **template(**{field: told})) == [f"{where}.acme.com.evil/x"]


@pytest.mark.parametrize("prefix", ["other/crew", "lobby2/crew", "lobby", "concierge"])
def test_prefix_of_another_namespace_is_refused(prefix):
    assert paths(memory__keyPrefix=prefix) == ["spec.memory.keyPrefix"]


def test_messages_say_what_to_write_and_who_asks_for_it():
    crew = parse.crew_deployment(crew_manifest(**template(serviceAccountName="x"), memory__keyPrefix="other/x"))
    said = [str(one) for one in restrictions.problems(crew, Restrictions(service_accounts=("crew",)))]
    assert said == [
        "take crew, or none: this operator restricts templates @ spec.template.serviceAccountName",
        "begin it with lobby/: this operator restricts templates @ spec.memory.keyPrefix",
    ]


def test_every_field_of_a_template_is_judged_or_known_to_be_harmless():
    """A field that is added to the template later has to be thought about here."""
    judged = {"labels", "annotations", "serviceAccountName", "securityContext", "volumes", "tolerations"}
    harmless = {
        "resources",
        "nodeSelector",
        "affinity",
        "topologySpreadConstraints",
        "imagePullSecrets",
        "volumeMounts",
    }
    assert {info.name for info in fields.of(Template)} == judged | harmless
