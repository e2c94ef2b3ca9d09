"""What the chart's templates make of values, by a real helm."""

import json
import re

import pytest

from crew_operator import settings
from crew_operator.api.names import ConditionType
from crew_operator.metrics import Metrics
from crew_operator.settings import Restrictions
from crew_runtime.contract.reasons import BY_WORD, Reason
from support.helm import CHART, helm, template

MAJORS = (3, 4)
ALL = {
    "replicaCount": 2,
    "metrics": {
        "service": True,
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "grafanaDashboard": {"enabled": True},
    },
}


def _made(**values):
    return {(one["kind"], one["metadata"]["name"]): one for one in template(**values)}


def _pod(made):
    """The operator's."""
    (pod,) = (one["spec"]["template"]["spec"] for key, one in made.items() if key[0] == "Deployment")
    return pod


def _env(made):
    (container,) = _pod(made)["containers"]
    return {one["name"]: one.get("value") for one in container.get("env") or ()}


def _kinds(made):
    return {kind for kind, _ in made}


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("values", [{}, ALL, {"watchNamespaces": ["a", "b"]}])
def test_the_chart_is_clean(values, major):
    helm("lint", "--strict", str(CHART), major=major, **values)


@pytest.mark.parametrize("values", [{}, ALL, {"watchNamespaces": ["a", "b"]}])
def test_helm_3_and_4_make_the_same_of_it(values):
    assert template(3, **values) == template(4, **values)


def test_what_is_wrong_with_a_value_is_said():
    with pytest.raises(AssertionError, match="leaderElection"):
        _made(replicaCount=2, leaderElection={"enabled": False})
    with pytest.raises(AssertionError, match="replicas"):
        _made(replicas=2)


def test_two_operators_are_the_default_on_different_nodes_where_there_are_some():
    made = _made()
    (deployment,) = (one for key, one in made.items() if key[0] == "Deployment")
    assert deployment["spec"]["replicas"] == 2
    (spread,) = _pod(made)["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"] == deployment["spec"]["selector"]
    asked = [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
    assert _pod(_made(topologySpreadConstraints=asked))["topologySpreadConstraints"] == asked
    assert "topologySpreadConstraints" not in _pod(_made(replicaCount=1))


def test_one_operator_needs_no_lease():
    made = _made(replicaCount=1)
    assert "CREW_OPERATOR_LEASE" not in _env(made)
    assert "PodDisruptionBudget" not in _kinds(made)
    assert ("Role", "crews-crew-operator-lease") not in made


def test_two_share_a_lease_that_they_may_write():
    made = _made(replicaCount=2)
    namespace, name = _env(made)["CREW_OPERATOR_LEASE"].split("/")
    role = made["Role", "crews-crew-operator-lease"]
    assert role["metadata"]["namespace"] == namespace == "crew-system"
    granted = {verb: rule.get("resourceNames") for rule in role["rules"] for verb in rule["verbs"]}
    assert granted == {"create": None, "get": [name], "update": [name]}
    assert made["PodDisruptionBudget", "crews-crew-operator"]["spec"]["minAvailable"] == 1


def test_several_that_act_share_as_many_leases_as_there_are_shards():
    made = _made(replicaCount=2, leaderElection={"shards": 3})
    read = settings.parse([], {name: value for name, value in _env(made).items() if value is not None})
    assert read.shards == 3
    rules = made["Role", "crews-crew-operator-lease"]["rules"]
    namespace, name = read.lease.split("/")
    assert rules[1]["resourceNames"] == [f"{name}-{number}" for number in range(3)]
    assert namespace == "crew-system"
    with pytest.raises(AssertionError, match="replicaCount"):
        _made(replicaCount=1, leaderElection={"shards": 3})
    assert "CREW_OPERATOR_SHARDS" not in _env(_made(replicaCount=2))


def test_one_alone_may_hold_a_lease_too():
    made = _made(replicaCount=1, leaderElection={"enabled": True})
    assert _env(made)["CREW_OPERATOR_LEASE"] == "crew-system/crews-crew-operator"
    assert ("Role", "crews-crew-operator-lease") in made


@pytest.mark.parametrize("values", [{}, {"replicaCount": 1}, {"replicaCount": 1, "leaderElection": {"enabled": True}}])
def test_an_upgrade_ends_the_old_operator_before_the_new_one_begins(values):
    (deployment,) = (one for key, one in _made(**values).items() if key[0] == "Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_templates_are_restricted_when_asked_for():
    assert not any("RESTRICT" in name or "ALLOW" in name for name in _env(_made()))
    only_lists = _made(restrictTemplates={"serviceAccounts": ["crew"]})
    assert not any("ALLOW" in name for name in _env(only_lists)), "the operator would refuse these without the switch"
    asked = {"enabled": True, "serviceAccounts": ["crew", "other"], "metadata": ["acme.com/*"]}
    environ = {name: value for name, value in _env(_made(restrictTemplates=asked)).items() if value is not None}
    assert settings.parse([], environ).restrictions == Restrictions(("crew", "other"), ("acme.com/*",))


def test_its_log_is_as_asked_for():
    assert {key: value for key, value in _env(_made()).items() if "_LOG_" in key} == {
        "CREW_OPERATOR_LOG_LEVEL": "INFO",
        "CREW_OPERATOR_LOG_FORMAT": "json",
    }
    assert _env(_made(logging={"level": "DEBUG"}))["CREW_OPERATOR_LOG_LEVEL"] == "DEBUG"


def test_more_objects_come_with_the_release():
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}
    assert ("ConfigMap", "crews-more") in _made(extraObjects=[extra])


def test_the_operator_runs_under_the_restricted_standard():
    pod = _pod(_made())
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_only_monitoring_reaches_the_operator_and_the_crews_health_port():
    made = _made()
    peers = [
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}},
    ]
    policy = made["NetworkPolicy", "crews-crew-operator"]["spec"]
    (deployment,) = (one for key, one in made.items() if key[0] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["ingress"] == [{"from": peers, "ports": [{"port": 8080, "protocol": "TCP"}]}]
    assert settings.parse([], _env(made)).monitoring == tuple(peers)


def test_nobody_reaches_the_operator_where_nobody_is_named():
    made = _made(networkPolicy={"monitoringFrom": []})
    policy = made["NetworkPolicy", "crews-crew-operator"]["spec"]
    # To Kubernetes a rule without peers means everybody.
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress"], [])
    assert settings.parse([], _env(made)).monitoring == ()


def test_without_policies_the_operator_makes_none_either():
    made = _made(networkPolicy={"enabled": False})
    assert "NetworkPolicy" not in _kinds(made)
    assert not {"CREW_OPERATOR_OWN_PODS", "CREW_OPERATOR_MONITORING"} & set(_env(made))


def test_the_usual_roles_may_see_and_change_crews():
    made = _made()
    view, edit = (made["ClusterRole", f"crews-crew-operator-{one}"] for one in ("view", "edit"))
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    assert {key.removeprefix(aggregated) for key in view["metadata"]["labels"] if key.startswith(aggregated)} == {
        "view", "edit", "admin",
    }  # fmt: skip
    assert {key.removeprefix(aggregated) for key in edit["metadata"]["labels"] if key.startswith(aggregated)} == {
        "edit", "admin",
    }  # fmt: skip
    assert set(view["rules"][0]["verbs"]) == {"get", "list", "watch"}
    assert "crewdeployments/scale" in edit["rules"][0]["resources"]


def test_monitoring_is_off_until_it_is_asked_for():
    assert _kinds(_made()).isdisjoint({"ServiceMonitor", "PodMonitor", "PrometheusRule"})
    assert _kinds(_made(**ALL)) >= {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


def test_alerts_speak_of_figures_that_there_are():
    rule = next(one for key, one in _made(**ALL).items() if key[0] == "PrometheusRule")
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert _known(alert["expr"]) is True


def test_every_condition_has_an_alert_and_a_lost_memory_its_own():
    """Ready is the others together: each of those says more."""
    rule = next(one for key, one in _made(**ALL).items() if key[0] == "PrometheusRule")
    alerts = {one["alert"]: one for one in rule["spec"]["groups"][0]["rules"]}
    expressions = "\n".join(one["expr"] for one in alerts.values())
    unwatched = [one.value for one in ConditionType if f'type="{one.value}"' not in expressions]
    assert unwatched == [ConditionType.READY.value]
    lost = alerts["CrewMemoryLost"]
    assert f'reason="{Reason.MEMORY_LOST.word}"' in lost["expr"]
    assert (lost["labels"]["severity"], lost.get("for")) == ("critical", None), "at once: nothing heals it"
    nearly = alerts["CrewMemoryNearlyFull"]["expr"]
    assert {Reason.REDIS_NEARLY_FULL.word, Reason.REDIS_DISK_NEARLY_FULL.word} == set(
        re.search(r'reason=~"([^"]*)"', nearly)[1].split("|")
    )


def test_alerts_and_dashboard_name_conditions_and_reasons_that_there_are():
    texts = [(CHART / "templates" / "metrics.yaml").read_text()]
    texts += [target["expr"] for one in _panels() for target in one.get("targets", [])]
    for text in texts:
        for type_ in re.findall(r'crew_operator_condition\w*{[^}]*type!?="(\w+)"', text):
            assert type_ in {one.value for one in ConditionType}
        for reasons in re.findall(r'crew_operator_condition_reason{[^}]*reason(?:=|!=|=~)"([^"]+)"', text):
            assert set(reasons.split("|")) <= set(BY_WORD)


def test_the_dashboard_shows_whose_memory_is_lost_and_why_a_condition_does_not_hold():
    drawn = [target["expr"] for one in _panels() for target in one.get("targets", [])]
    assert any('type="MemoryDurable"' in one for one in drawn)
    assert any("crew_operator_condition_reason" in one for one in drawn)


def _panels():
    found = _made(**ALL)["ConfigMap", "crews-crew-operator-dashboard"]
    return json.loads(found["data"]["crewops.json"])["panels"]


def test_dashboard_speaks_of_figures_that_there_are():
    found = _made(**ALL)["ConfigMap", "crews-crew-operator-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    dashboard = json.loads(found["data"]["crewops.json"])
    drawn = [target["expr"] for one in dashboard["panels"] for target in one.get("targets", [])]
    assert len(drawn) > 15
    for expression in drawn:
        assert _known(expression) is True
    boxes = [tuple(one["gridPos"].values()) for one in dashboard["panels"]]
    assert len({(x, y) for x, y, _, _ in boxes}) == len(boxes)
    assert all(x + width <= 24 for x, _, width, _ in boxes)


def _known(expression):
    """True, or the first figure in it that neither the operator nor a replica's server shows."""
    names = {word for word in _words(expression) if word.startswith(("crew_operator_", "crewops_"))}
    names -= {"crewops_dev_crewdeployment"}
    assert names, expression
    shown = {one.name for one in Metrics().registry.collect()}
    server = (CHART.parents[1] / "runtime/server/src/crew_server/metrics.py").read_text()
    for name in names:
        plain = name.removesuffix("_total").removesuffix("_bucket")
        if plain not in shown and f'"{plain}"' not in server:
            return name
    return True


def _words(expression):
    return "".join(one if one.isalnum() or one == "_" else " " for one in expression).split()
