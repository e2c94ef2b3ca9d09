from copy import deepcopy
from dataclasses import replace

import pytest

from crew_operator import desired
from crew_operator.api import parse
from crew_operator.desired import drift
from support.crews import crew_manifest

INPUTS = desired.Inputs(runtime_image="runtime:1", redis_image="redis:8", redis_password="p")
CHILDREN = desired.children(parse.crew_deployment(crew_manifest(uid="u")), INPUTS)


def deployment():
    return drift.stamped(CHILDREN[-1])


@pytest.mark.parametrize("child", CHILDREN, ids=lambda child: f"{child['kind']}-{child['metadata']['name']}")
def test_what_was_applied_has_not_drifted(child):
    wanted = drift.stamped(child)
    live = deepcopy(wanted)
    live["metadata"] |= {"resourceVersion": "7", "uid": "x"}
    live["status"] = {"replicas": 1}
    assert not drift.drifted(wanted, live)


def test_item_of_a_list_without_kind_has_not_drifted():
    live = deepcopy(deployment())
    del live["kind"], live["apiVersion"]
    assert not drift.drifted(deployment(), live)


def test_missing_object_has_drifted():
    assert drift.drifted(deployment(), None)


def test_changed_field_has_drifted():
    live = deepcopy(deployment())
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    assert drift.drifted(deployment(), live)


def test_removed_variable_has_drifted():
    live = deepcopy(deployment())
    live["spec"]["template"]["spec"]["containers"][0]["env"].pop(0)
    assert drift.drifted(deployment(), live)


def test_what_others_added_is_theirs():
    live = deepcopy(deployment())
    live["metadata"]["annotations"]["other"] = "x"
    live["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "ADDED", "value": "1"})
    assert not drift.drifted(deployment(), live)


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy"])
def test_a_selector_with_one_label_more_selects_nothing_and_has_drifted(kind):
    peer = desired.Peer("crew-system", {"app.kubernetes.io/name": "crew-operator"})
    inputs = replace(INPUTS, operator=peer) if kind == "NetworkPolicy" else INPUTS
    found = desired.children(parse.crew_deployment(crew_manifest(uid="u")), inputs)
    (wanted, *_) = (drift.stamped(one) for one in found if one["kind"] == kind)
    live = deepcopy(wanted)
    field = "podSelector" if kind == "NetworkPolicy" else "selector"
    labels = live["spec"][field]
    labels.get("matchLabels", labels)["app"] = "nobody"
    assert drift.drifted(wanted, live)


def test_only_variables_that_the_runtime_obeys_are_taken_away():
    live = deepcopy(deployment())
    assert drift.foreign_settings(deployment(), live) is None
    (crew,) = live["spec"]["template"]["spec"]["containers"]
    crew["env"] += [{"name": "ADDED", "value": "1"}, {"name": "CREWOPS_SESSION_TTL", "value": "1s"}]
    live["spec"]["template"]["spec"]["containers"].append({"name": "mesh", "env": [{"name": "CREWOPS_X"}]})
    pruned = {"name": "crew", "env": [{"name": "CREWOPS_SESSION_TTL", "$patch": "delete"}]}
    assert drift.foreign_settings(deployment(), live) == {"spec": {"template": {"spec": {"containers": [pruned]}}}}


def test_port_that_is_not_ours_is_foreign():
    service = next(one for one in CHILDREN if one["kind"] == "Service")
    live = deepcopy(service)
    assert not drift.foreign_ports(service, live)
    live["spec"]["ports"][0]["port"] += 1
    assert drift.foreign_ports(service, live)
    assert not drift.foreign_ports(deployment(), deployment())


def test_rewritten_quantity_is_the_same():
    wanted = {"kind": "X", "metadata": {}, "spec": {"memory": "1024Mi", "cpu": "0.5"}}
    assert not drift.drifted(wanted, {"kind": "X", "metadata": {}, "spec": {"memory": "1Gi", "cpu": "500m"}})
    assert drift.drifted(wanted, {"kind": "X", "metadata": {}, "spec": {"memory": "2Gi", "cpu": "500m"}})


def test_field_that_we_dropped_is_noticed_by_the_stamp():
    before = drift.stamped({"kind": "X", "metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}})
    after = drift.stamped({"kind": "X", "metadata": {"name": "x"}, "spec": {"a": 1}})
    assert drift.drifted(after, before)


def test_stamp_of_a_secret_tells_nothing_of_its_values():
    one, other = (
        drift.stamped({"kind": "Secret", "metadata": {}, "data": {"password": value}}) for value in ("YQ==", "Yg==")
    )
    assert one["metadata"] == other["metadata"]
    assert drift.drifted(one, other)


def test_an_item_whose_name_is_no_text_is_compared_and_no_crash():
    odd = {"spec": {"sysctls": [{"name": {}}]}}
    assert drift.holds(odd, odd)
    assert not drift.holds(odd, {"spec": {}})
    assert not drift.holds({"spec": {"sysctls": [{"name": "x"}]}}, odd)


def test_another_update_strategy_takes_the_settings_of_the_one_before_away():
    wanted = {"kind": "StatefulSet", "spec": {"updateStrategy": {"type": "OnDelete"}}}
    live = {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}}}
    assert drift.other_strategy(wanted, live) == {
        "spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
    }
    assert drift.other_strategy(wanted, {"spec": {"updateStrategy": {"type": "OnDelete"}}}) is None
    assert drift.other_strategy({"kind": "StatefulSet", "spec": {}}, live) is None
    assert drift.other_strategy({"kind": "Deployment", "spec": {}}, live) is None


def test_a_field_that_somebody_changed_is_named_by_its_path():
    live = deepcopy(deployment())
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    name = live["spec"]["template"]["spec"]["containers"][0]["name"]
    assert drift.changed_by_others(deployment(), live) == f".spec.template.spec.containers[{name}].image"
    live = deepcopy(deployment())
    live["spec"]["replicas"] = 7
    assert drift.changed_by_others(deployment(), live) == ".spec.replicas"
    del live["spec"]
    assert drift.changed_by_others(deployment(), live).startswith(".spec.")


def test_a_variable_that_somebody_added_is_named():
    live = deepcopy(deployment())
    live["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "CREWOPS_SESSION_TTL", "value": "1"})
    assert drift.changed_by_others(deployment(), live) == ".spec.template.spec.containers.env CREWOPS_*"


def test_what_nobody_else_changed_is_not_named():
    changed = deepcopy(CHILDREN[-1])
    changed["spec"]["replicas"] = 7
    assert drift.changed_by_others(drift.stamped(changed), deployment()) == "", "the spec is another one now"
    assert drift.changed_by_others(deployment(), deepcopy(deployment())) == ""
    one, other = (
        drift.stamped({"kind": "Secret", "metadata": {}, "data": {"password": value}}) for value in ("YQ==", "Yg==")
    )
    assert drift.changed_by_others(one, other) == "", "its values are for others to change"
