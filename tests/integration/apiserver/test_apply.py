"""Server-side apply: owners, conflicts, pruning."""

import re

import pytest

from support.kube_api import KubeApi, RefusedError
from support.kube_objects import config_map, deployment, gizmo


def owners(manifest: dict) -> dict[str, dict]:
    return {entry["manager"]: entry["fieldsV1"] for entry in manifest["metadata"]["managedFields"]}


def test_applying_the_same_again_changes_nothing(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    body = deployment(replicas=0)
    api_server.apply(path, body)
    first = api_server.get(path)
    again = api_server.apply(path, body)
    assert again["metadata"]["generation"] == first["metadata"]["generation"]
    assert owners(again)["tester"] == owners(first)["tester"]


def test_field_no_longer_applied_is_removed(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    api_server.apply(path, config_map(a="1", b="2", labels={"x": "y"}))
    left = api_server.apply(path, config_map(a="1"))
    assert left["data"] == {"a": "1"}
    assert "labels" not in left["metadata"]


def test_field_that_another_applied_too_stays(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    api_server.apply(path, config_map(a="1", b="2"), "first")
    api_server.apply(path, config_map(b="2"), "second")
    left = api_server.apply(path, config_map(a="1"), "first")
    assert left["data"] == {"a": "1", "b": "2"}


def test_value_of_another_is_a_conflict_that_names_him(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    api_server.apply(path, config_map(a="1"), "first")
    with pytest.raises(RefusedError) as refused:
        api_server.apply(path, config_map(a="2"), "second")
    assert refused.value.code == 409
    assert str(refused.value) == 'Apply failed with 1 conflict: conflict with "first": .data.a'
    assert [(c["reason"], c["field"]) for c in refused.value.causes] == [("FieldManagerConflict", ".data.a")]


def test_force_takes_the_field_over(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    api_server.apply(path, config_map(a="1", b="1"), "first")
    taken = api_server.apply(path, config_map(a="2"), "second", force="true")
    assert taken["data"] == {"a": "2", "b": "1"}
    assert owners(taken)["first"] == {"f:data": {"f:b": {}}}
    assert owners(taken)["second"] == {"f:data": {"f:a": {}}}


def test_update_of_a_field_takes_it_from_who_applied_it(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    live = api_server.apply(path, config_map(a="1", b="1"), "first")
    live["data"]["a"] = "2"
    changed = api_server.ask("PUT", path, live, fieldManager="editor")
    assert owners(changed)["first"] == {"f:data": {"f:b": {}}}
    with pytest.raises(RefusedError, match=re.escape('conflict with "editor" using v1: .data.a')):
        api_server.apply(path, config_map(a="1", b="1"), "first")


def test_containers_and_their_variables_merge_by_name(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    api_server.apply(path, deployment(replicas=0), "first")
    mine = deployment(replicas=0)
    mine["spec"]["template"]["spec"]["containers"] = [
        {"name": "web", "env": [{"name": "B", "value": "2"}]},
        {"name": "side", "image": "side:1"},
    ]
    merged = api_server.apply(path, mine, "second")["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in merged] == ["web", "side"]
    assert [(one["name"], one["value"]) for one in merged[0]["env"]] == [("A", "1"), ("B", "2")]
    assert merged[0]["image"] == "web:1"


def test_item_no_longer_applied_leaves_the_list(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    both = deployment(replicas=0)
    both["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    api_server.apply(path, both)
    left = api_server.apply(path, deployment(replicas=0))
    assert [one["name"] for one in left["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_conflict_within_a_list_is_named_by_its_key(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    api_server.apply(path, deployment(replicas=0), "first")
    other = deployment(replicas=0)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
    with pytest.raises(RefusedError) as refused:
        api_server.apply(path, other, "second")
    assert refused.value.causes[0]["field"] == '.spec.template.spec.containers[name="web"].image'


def test_custom_resource_merges_by_its_schemas_keys(api_server: KubeApi, gizmos: str) -> None:
    path = f"{gizmos}/one"
    api_server.apply(path, gizmo(env=[{"name": "A", "value": "1"}]), "first")
    merged = api_server.apply(path, gizmo(env=[{"name": "B", "value": "2"}]), "second")
    assert merged["spec"]["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    left = api_server.apply(path, gizmo(), "first")
    assert left["spec"]["env"] == [{"name": "B", "value": "2"}]


def test_status_is_applied_through_its_own_door(api_server: KubeApi, gizmos: str) -> None:
    api_server.apply(f"{gizmos}/one", gizmo())
    condition = {"type": "Ready", "status": "True"}
    body = {**gizmo(), "status": {"replicas": 2, "conditions": [condition]}}
    told = api_server.apply(f"{gizmos}/one/status", body, "operator")
    assert told["status"]["conditions"] == [condition]
    assert told["metadata"]["generation"] == 1
    entry = next(one for one in told["metadata"]["managedFields"] if one["manager"] == "operator")
    assert entry["subresource"] == "status"
    assert list(entry["fieldsV1"]) == ["f:status"]
    left = api_server.apply(f"{gizmos}/one/status", {**gizmo(), "status": {"replicas": 2}}, "operator")
    assert left["status"] == {"replicas": 2}


def test_status_in_an_apply_of_the_object_is_ignored(api_server: KubeApi, gizmos: str) -> None:
    made = api_server.apply(f"{gizmos}/one", {**gizmo(), "status": {"replicas": 9}})
    assert "status" not in made


def test_apply_to_the_status_of_nothing_is_not_found(api_server: KubeApi, gizmos: str) -> None:
    with pytest.raises(RefusedError) as refused:
        api_server.apply(f"{gizmos}/none/status", {**gizmo("none"), "status": {"replicas": 1}})
    assert refused.value.code == 404


def test_field_that_the_schema_does_not_know_is_refused(api_server: KubeApi, gizmos: str) -> None:
    with pytest.raises(RefusedError, match="field not declared in schema"):
        api_server.apply(f"{gizmos}/one", gizmo(colour="red"))


def test_a_patch_that_is_meant_for_another_object_is_refused(api_server: KubeApi) -> None:
    """By 422, where a replacement is refused by 409."""
    path = api_server.at("v1", "configmaps", "one")
    made = api_server.apply(path, config_map())
    other = {**config_map(), "metadata": {"name": "one", "uid": "another"}}
    for patch in (
        lambda: api_server.apply(path, other),
        lambda: api_server.ask("PATCH", path, other, "application/merge-patch+json"),
    ):
        with pytest.raises(RefusedError, match=r"metadata\.uid: Invalid value: .*: field is immutable") as refused:
            patch()
        assert refused.value.code == 422
    assert api_server.ask("GET", path)["metadata"]["uid"] == made["metadata"]["uid"]


def test_apply_needs_a_manager(api_server: KubeApi) -> None:
    with pytest.raises(RefusedError, match="fieldManager: Required value"):
        api_server.ask("PATCH", api_server.at("v1", "configmaps", "one"), config_map(), "application/apply-patch+yaml")


def test_set_by_somebody_else_is_left_alone_when_not_applied(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    api_server.apply(path, deployment())
    api_server.ask("PATCH", path, {"spec": {"replicas": 4}}, "application/merge-patch+json", fieldManager="scaler")
    assert api_server.apply(path, deployment())["spec"]["replicas"] == 4


def test_deployment_written_by_update_keeps_defaults(api_server: KubeApi) -> None:
    made = api_server.create(api_server.at("apps/v1", "deployments"), deployment(replicas=0))
    spec = made["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert pod["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert pod["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
