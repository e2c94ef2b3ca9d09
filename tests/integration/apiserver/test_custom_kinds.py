"""CustomResourceDefinitions: defaults, pruning, validation, CEL, subresources."""

import pytest

from support.kube_api import MERGE, KubeApi, RefusedError
from support.kube_objects import gizmo


def test_defaults_are_filled_in_at_every_depth(api_server: KubeApi, gizmos: str) -> None:
    made = api_server.create(gizmos, gizmo())
    assert made["spec"] == {"image": "wood", "size": "1Gi", "replicas": 1, "nested": {"depth": 3}}


def test_unknown_fields_are_pruned_but_where_they_are_wanted(api_server: KubeApi, gizmos: str) -> None:
    made = api_server.create(gizmos, gizmo(colour="red", free={"any": {"thing": 1}}), fieldValidation="Ignore")
    assert "colour" not in made["spec"]
    assert made["spec"]["free"] == {"any": {"thing": 1}}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"replicas": "two"}, "spec.replicas", 'spec.replicas in body must be of type integer: "string"'),
        ({"replicas": -1}, "spec.replicas", "should be greater than or equal to 0"),
        ({"mode": "Warp"}, "spec.mode", 'supported values: "Fast", "Slow"'),
        ({"image": ""}, "spec.image", "spec.image in body should be at least 1 chars long"),
        ({"image": None}, "spec.image", "Required value"),
        ({"size": "1" * 21}, "spec.size", "Too long: may not be more than 20"),
        ({"env": [{"value": "1"}]}, "spec.env[0].name", "Required value"),
        ({"left": "a", "right": "b"}, "spec", "left or right, not both"),
    ],
)
def test_invalid_object_is_refused_by_field(
    api_server: KubeApi, gizmos: str, spec: dict, field: str, message: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        api_server.create(gizmos, gizmo(**spec))
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert any(cause["field"] == field and message in cause["message"] for cause in refused.value.causes), (
        refused.value.causes
    )


def test_all_faults_are_told_at_once(api_server: KubeApi, gizmos: str) -> None:
    with pytest.raises(RefusedError) as refused:
        api_server.create(gizmos, gizmo(replicas=-1, mode="Warp"))
    assert {cause["field"] for cause in refused.value.causes} == {
        "spec.replicas",
        "spec.mode",
        ".spec.replicas",  # the scale subresource's own
        "<nil>",  # rules were not checked
    }


def test_rule_on_the_old_object_speaks_on_update_only(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo(key="a", size="2Gi"))
    with pytest.raises(RefusedError, match="key is immutable"):
        api_server.ask("PATCH", f"{gizmos}/one", {"spec": {"key": "b"}}, MERGE)
    with pytest.raises(RefusedError, match="size cannot shrink"):
        api_server.ask("PATCH", f"{gizmos}/one", {"spec": {"size": "1500Mi"}}, MERGE)
    assert api_server.ask("PATCH", f"{gizmos}/one", {"spec": {"size": "3000Mi"}}, MERGE)["spec"]["size"] == "3000Mi"


def test_duplicate_key_in_a_list_is_refused(api_server: KubeApi, gizmos: str) -> None:
    with pytest.raises(RefusedError, match="Duplicate value"):
        api_server.create(gizmos, gizmo(env=[{"name": "A"}, {"name": "A"}]))


def test_status_and_wish_have_a_door_each(api_server: KubeApi, gizmos: str) -> None:
    made = api_server.create(gizmos, {**gizmo(), "status": {"replicas": 9}})
    assert "status" not in made
    told = api_server.ask("PATCH", f"{gizmos}/one/status", {"spec": {"replicas": 7}, "status": {"replicas": 2}}, MERGE)
    assert (told["status"], told["spec"]["replicas"]) == ({"replicas": 2}, 1)
    kept = api_server.ask("PATCH", f"{gizmos}/one", {"status": {"replicas": 5}}, MERGE)
    assert kept["status"] == {"replicas": 2}


def test_scale_reads_and_writes_replicas(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo(replicas=2))
    api_server.ask("PATCH", f"{gizmos}/one/status", {"status": {"replicas": 1, "selector": "app=x"}}, MERGE)
    scale = api_server.get(f"{gizmos}/one/scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 2},
        {"replicas": 1, "selector": "app=x"},
    )
    api_server.ask("PATCH", f"{gizmos}/one/scale", {"spec": {"replicas": 5}}, MERGE)
    grown = api_server.get(f"{gizmos}/one")
    assert (grown["spec"]["replicas"], grown["metadata"]["generation"]) == (5, 2)


def test_definition_says_that_it_is_served(api_server: KubeApi, gizmos: str) -> None:
    crd = api_server.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gizmos.suite.crewops.dev")
    held = {one["type"]: one["status"] for one in crd["status"]["conditions"]}
    assert (held["Established"], held["NamesAccepted"]) == ("True", "True")
    assert crd["status"]["storedVersions"] == ["v1"]
