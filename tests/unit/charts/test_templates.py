"""What the chart's templates make of values, by a real helm."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from crew_operator.metrics import Metrics

CHART = Path(__file__).parents[3] / "charts" / "crew-operator"
ALL = {
    "replicaCount": 2,
    "metrics": {
        "service": True,
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "grafanaDashboard": {"enabled": True},
    },
}

if shutil.which("helm") is None:
    pytest.skip("helm is not on the PATH: https://helm.sh/docs/intro/install", allow_module_level=True)


def _helm(*arguments, **values):
    options = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    done = subprocess.run(["helm", *arguments, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _made(**values):
    text = _helm("template", "crews", str(CHART), "--namespace", "crew-system", **values)
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}


def _kinds(made):
    return {kind for kind, _ in made}


@pytest.mark.parametrize("values", [{}, ALL, {"watchNamespaces": ["a", "b"]}])
def test_the_chart_is_clean(values):
    _helm("lint", "--strict", str(CHART), **values)


def test_one_operator_needs_no_lease():
    made = _made()
    (env,) = (one["spec"]["template"]["spec"]["containers"][0].get("env") for key, one in made.items()
              if key[0] == "Deployment")  # fmt: skip
    assert not any(one["name"] == "CREW_OPERATOR_LEASE" for one in env or ())
    assert "PodDisruptionBudget" not in _kinds(made)
    assert ("Role", "crews-crew-operator-lease") not in made


def test_two_share_a_lease_that_they_may_write():
    made = _made(replicaCount=2)
    (pod,) = (one["spec"]["template"]["spec"] for key, one in made.items() if key[0] == "Deployment")
    env = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    namespace, name = env["CREW_OPERATOR_LEASE"].split("/")
    role = made["Role", "crews-crew-operator-lease"]
    assert role["metadata"]["namespace"] == namespace == "crew-system"
    granted = {verb: rule.get("resourceNames") for rule in role["rules"] for verb in rule["verbs"]}
    assert granted == {"create": None, "get": [name], "update": [name]}
    assert made["PodDisruptionBudget", "crews-crew-operator"]["spec"]["minAvailable"] == 1


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
