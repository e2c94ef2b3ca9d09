"""Create, update, patch, select, delete: what every client relies on."""

import re
from typing import Any

import pytest

from support.kube_api import JSON_PATCH, MERGE, STRATEGIC, KubeApi, RefusedError, eventually, gone
from support.kube_objects import config_map, deployment, gizmo

COLLECTED = 90
"""Seconds: a real garbage collector looks for new kinds every 30 s, and may then need another round."""


def test_created_object_has_identity(api_server: KubeApi, gizmos: str) -> None:
    made = api_server.create(gizmos, gizmo())["metadata"]
    assert made["generation"] == 1
    assert made["namespace"] == api_server.namespace
    assert made["uid"]
    assert made["resourceVersion"]
    assert made["creationTimestamp"].endswith("Z")


def test_generated_name_ends_in_five_characters(api_server: KubeApi) -> None:
    body = config_map()
    body["metadata"] = {"generateName": "box-"}
    assert len(api_server.create(api_server.at("v1", "configmaps"), body)["metadata"]["name"]) == len("box-") + 5


def test_second_create_is_refused(api_server: KubeApi) -> None:
    api_server.create(api_server.at("v1", "configmaps"), config_map())
    with pytest.raises(RefusedError) as refused:
        api_server.create(api_server.at("v1", "configmaps"), config_map())
    assert (refused.value.code, refused.value.reason) == (409, "AlreadyExists")
    assert str(refused.value) == 'configmaps "one" already exists'


def test_create_in_a_namespace_that_is_not_there_is_refused(api_server: KubeApi) -> None:
    with pytest.raises(RefusedError, match='namespaces "nowhere" not found'):
        api_server.create("/api/v1/namespaces/nowhere/configmaps", config_map())


def test_missing_object_is_named(api_server: KubeApi, gizmos: str) -> None:
    with pytest.raises(RefusedError, match=re.escape('gizmos.suite.crewops.dev "none" not found')):
        api_server.get(f"{gizmos}/none")


def test_update_from_an_old_revision_is_refused(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    old = api_server.create(api_server.at("v1", "configmaps"), config_map(a="1"))
    api_server.ask("PATCH", path, {"data": {"a": "2"}}, MERGE)
    with pytest.raises(
        RefusedError, match="the object has been modified; please apply your changes to the latest version"
    ):
        api_server.ask("PUT", path, {**old, "data": {"a": "3"}})


def test_generation_counts_wishes_only(api_server: KubeApi, gizmos: str) -> None:
    path = f"{gizmos}/one"
    api_server.create(gizmos, gizmo())
    labelled = api_server.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert labelled["metadata"]["generation"] == 1
    assert api_server.ask("PATCH", path, {"spec": {"replicas": 2}}, MERGE)["metadata"]["generation"] == 2


def test_write_that_changes_nothing_is_no_revision(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    made = api_server.create(api_server.at("v1", "configmaps"), config_map(a="1"))
    again = api_server.ask("PATCH", path, {"data": {"a": "1"}}, MERGE)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_merge_patch_removes_by_null(api_server: KubeApi) -> None:
    api_server.create(api_server.at("v1", "configmaps"), config_map(a="1", b="2"))
    left = api_server.ask("PATCH", api_server.at("v1", "configmaps", "one"), {"data": {"a": None, "c": "3"}}, MERGE)
    assert left["data"] == {"b": "2", "c": "3"}


def test_json_patch_is_done_in_order_or_not_at_all(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps", "one")
    api_server.create(api_server.at("v1", "configmaps"), config_map(a="1"))
    steps = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/data/b~1c", "value": "2"},
        {"op": "remove", "path": "/data/a"},
    ]
    steps[1]["path"] = "/data/b.c"
    assert api_server.ask("PATCH", path, steps, JSON_PATCH)["data"] == {"b.c": "2"}
    with pytest.raises(RefusedError) as refused:
        api_server.ask("PATCH", path, steps, JSON_PATCH)
    assert refused.value.code == 422
    assert api_server.get(path)["data"] == {"b.c": "2"}


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([{"op": "test", "path": "/spec/free/on", "value": True}], [1, 2]),
        ([{"op": "remove", "path": "/spec/free/list/-1"}], [1]),
        ([{"op": "add", "path": "/spec/free/list/-", "value": 3}], [1, 2, 3]),
        ([{"op": "move", "from": "/spec/free/list/0", "path": "/spec/free/list/1"}], [2, 1]),
    ],
    ids=["test", "last", "append", "move"],
)
def test_json_patch_finds_its_way(api_server: KubeApi, gizmos: str, steps: list[Any], left: list[int]) -> None:
    api_server.create(gizmos, gizmo(free={"on": True, "list": [1, 2]}))
    assert api_server.ask("PATCH", f"{gizmos}/one", steps, JSON_PATCH)["spec"]["free"]["list"] == left


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([{"op": "test", "path": "/spec/free/on", "value": 1}], 422),
        ([{"op": "add", "path": "/spec/free/list/3", "value": 3}], 422),
        ([{"op": "remove", "path": "/spec/free/off"}], 422),
        ([{"op": "copy", "from": "/spec/free/large", "path": f"/spec/free/{number}"} for number in range(50)], 422),
        ([{"op": "copy", "from": "/spec/free", "path": f"/spec/free/{number}"} for number in range(40)], 422),
        ([{"op": "test", "path": "/spec/free/on", "value": True}] * 10_001, 413),
        ({"op": "remove", "path": "/spec/free/on"}, 400),
    ],
    ids=["true is no 1", "beyond", "missing", "copies", "copies of copies", "crowd", "no list"],
)
def test_json_patch_is_refused(api_server: KubeApi, gizmos: str, steps: list[Any], code: int) -> None:
    api_server.create(gizmos, gizmo(free={"on": True, "list": [1, 2], "large": "x" * 100_000}))
    with pytest.raises(RefusedError) as refused:
        api_server.ask("PATCH", f"{gizmos}/one", steps, JSON_PATCH)
    assert refused.value.code == code


def test_strategic_patch_merges_containers_by_name(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    api_server.create(api_server.at("apps/v1", "deployments"), deployment(replicas=0))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
    patched = api_server.ask("PATCH", path, change, STRATEGIC)["spec"]["template"]["spec"]["containers"]
    assert (patched[0]["image"], patched[0]["env"]) == ("web:2", [{"name": "A", "value": "1"}])


def test_strategic_patch_deletes_by_directive(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments", "web")
    api_server.create(api_server.at("apps/v1", "deployments"), deployment(replicas=0))
    variables = [{"name": "A", "$patch": "delete"}, {"name": "B", "value": "2"}]
    change = {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": variables}]}}}}
    patched = api_server.ask("PATCH", path, change, STRATEGIC)["spec"]["template"]["spec"]["containers"]
    assert patched[0]["env"] == [{"name": "B", "value": "2"}]


def test_strategic_patch_of_a_custom_resource_is_refused(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo())
    with pytest.raises(RefusedError) as refused:
        api_server.ask("PATCH", f"{gizmos}/one", {"spec": {"replicas": 3}}, STRATEGIC)
    assert refused.value.code == 415


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("a=1", {"x", "y"}),
        ("a=1,b!=2", {"x"}),
        ("a in (1, 3)", {"x", "y", "z"}),
        ("a notin (1)", {"z", "w"}),
        ("b", {"y"}),
        ("!a", {"w"}),
    ],
)
def test_label_selector_picks(api_server: KubeApi, selector: str, found: set[str]) -> None:
    path = api_server.at("v1", "configmaps")
    for name, labels in {"x": {"a": "1"}, "y": {"a": "1", "b": "2"}, "z": {"a": "3"}, "w": {"c": "4"}}.items():
        api_server.create(path, config_map(name, labels))
    listed = api_server.get(path, labelSelector=selector)["items"]
    assert {one["metadata"]["name"] for one in listed if one["metadata"].get("labels")} == found


def test_field_selector_picks(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps")
    for name in ("x", "y"):
        api_server.create(path, config_map(name))
    listed = api_server.get(path, fieldSelector="metadata.name=y")["items"]
    assert [one["metadata"]["name"] for one in listed] == ["y"]


def test_pages_hold_every_object_once(api_server: KubeApi) -> None:
    path = api_server.at("v1", "secrets")
    for number in range(5):
        api_server.create(path, {"metadata": {"name": f"s{number}"}})
    names: list[str] = []
    query = {"limit": "2"}
    while True:
        page = api_server.get(path, **query)
        names += [one["metadata"]["name"] for one in page["items"]]
        if not page["metadata"].get("continue"):
            break
        query["continue"] = page["metadata"]["continue"]
    assert names == [f"s{number}" for number in range(5)]


def test_dry_run_stores_nothing(api_server: KubeApi, gizmos: str) -> None:
    told = api_server.create(gizmos, gizmo(), dryRun="All")
    assert told["spec"]["size"] == "1Gi"
    assert gone(lambda: api_server.get(f"{gizmos}/one"))


def test_plain_text_of_a_secret_becomes_data(api_server: KubeApi) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"k": "v"}}
    made = api_server.create(api_server.at("v1", "secrets"), body)
    assert (made["data"], made["type"], made.get("stringData")) == ({"k": "dg=="}, "Opaque", None)


def test_finalizer_holds_a_deleted_object_until_it_is_taken_off(api_server: KubeApi, gizmos: str) -> None:
    body = gizmo()
    body["metadata"]["finalizers"] = ["suite.crewops.dev/wait"]
    api_server.create(gizmos, body)
    held = api_server.ask("DELETE", f"{gizmos}/one")
    assert held["metadata"]["deletionTimestamp"]
    assert api_server.get(f"{gizmos}/one")["metadata"]["deletionTimestamp"]
    api_server.ask("PATCH", f"{gizmos}/one", {"metadata": {"finalizers": None}}, MERGE)
    assert gone(lambda: api_server.get(f"{gizmos}/one"))


def test_delete_with_another_uid_is_refused(api_server: KubeApi) -> None:
    api_server.create(api_server.at("v1", "configmaps"), config_map())
    with pytest.raises(RefusedError) as refused:
        api_server.ask("DELETE", api_server.at("v1", "configmaps", "one"), {"preconditions": {"uid": "other"}})
    assert refused.value.code == 409


def test_deletion_of_a_collection_obeys_the_selector(api_server: KubeApi) -> None:
    path = api_server.at("v1", "secrets")
    for name, label in (("x", "1"), ("y", "2")):
        api_server.create(path, {"metadata": {"name": name, "labels": {"a": label}}})
    api_server.ask("DELETE", path, labelSelector="a=1")
    assert [one["metadata"]["name"] for one in api_server.get(path)["items"]] == ["y"]


def owned(name: str, owner: dict) -> dict:
    body = config_map(name)
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    reference |= {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    body["metadata"]["ownerReferences"] = [reference]
    return body


def test_dependents_follow_their_owner(api_server: KubeApi, gizmos: str) -> None:
    owner = api_server.create(gizmos, gizmo())
    api_server.create(api_server.at("v1", "configmaps"), owned("child", owner))
    api_server.ask("DELETE", f"{gizmos}/one")
    eventually(lambda: gone(lambda: api_server.get(api_server.at("v1", "configmaps", "child"))), COLLECTED)


def test_object_of_an_owner_that_never_was_is_collected(api_server: KubeApi, gizmos: str) -> None:
    owner = api_server.create(gizmos, gizmo())
    owner["metadata"] |= {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}
    api_server.create(api_server.at("v1", "configmaps"), owned("child", owner))
    eventually(lambda: gone(lambda: api_server.get(api_server.at("v1", "configmaps", "child"))), COLLECTED)


def test_orphans_stay(api_server: KubeApi, gizmos: str) -> None:
    owner = api_server.create(gizmos, gizmo())
    api_server.create(api_server.at("v1", "configmaps"), owned("child", owner))
    api_server.ask("DELETE", f"{gizmos}/one", {"propagationPolicy": "Orphan"})
    path = api_server.at("v1", "configmaps", "child")
    eventually(lambda: not api_server.get(path)["metadata"].get("ownerReferences"), COLLECTED)


def test_foreground_deletion_waits_for_dependents(api_server: KubeApi, gizmos: str) -> None:
    owner = api_server.create(gizmos, gizmo())
    child = owned("child", owner)
    child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True
    child["metadata"]["finalizers"] = ["suite.crewops.dev/wait"]
    api_server.create(api_server.at("v1", "configmaps"), child)
    api_server.ask("DELETE", f"{gizmos}/one", {"propagationPolicy": "Foreground"})
    path = api_server.at("v1", "configmaps", "child")
    eventually(lambda: api_server.get(path)["metadata"].get("deletionTimestamp"), COLLECTED)
    assert api_server.get(f"{gizmos}/one")["metadata"]["finalizers"] == ["foregroundDeletion"]
    api_server.ask("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    eventually(lambda: gone(lambda: api_server.get(f"{gizmos}/one")), COLLECTED)


def test_namespace_takes_its_content_along(server: KubeApi) -> None:
    api = server.in_namespace()
    api.create(api.at("v1", "configmaps"), config_map())
    api.ask("DELETE", f"/api/v1/namespaces/{api.namespace}")
    eventually(lambda: gone(lambda: api.get(f"/api/v1/namespaces/{api.namespace}")), 30)
    assert gone(lambda: api.get(api.at("v1", "configmaps", "one")))


def test_wrong_type_in_a_built_in_kind_is_a_bad_request(api_server: KubeApi) -> None:
    with pytest.raises(RefusedError) as refused:
        api_server.create(api_server.at("apps/v1", "deployments"), deployment(replicas="two"))
    assert refused.value.code == 400
    assert "cannot be handled as a Deployment" in str(refused.value)


def test_unknown_field_is_refused_when_strict_and_told_when_not(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments")
    with pytest.raises(RefusedError, match=re.escape('strict decoding error: unknown field "spec.replica"')):
        api_server.create(path, deployment(replica=2), fieldValidation="Strict")
    answer = api_server.http.post(path, json=deployment(replica=2, replicas=0), params={"fieldValidation": "Warn"})
    assert "unknown field" in answer.headers["warning"]
    assert "replica" not in answer.json()["spec"]


def test_selector_of_a_deployment_must_match_and_stay(api_server: KubeApi) -> None:
    path = api_server.at("apps/v1", "deployments")
    with pytest.raises(RefusedError, match="`selector` does not match template `labels`"):
        api_server.create(path, deployment(selector={"matchLabels": {"app": "other"}}))
    api_server.create(path, deployment(replicas=0))
    other = {"matchLabels": {"app": "web", "tier": "x"}}
    change = {"spec": {"selector": other, "template": {"metadata": {"labels": other["matchLabels"]}}}}
    with pytest.raises(RefusedError, match="field is immutable"):
        api_server.ask("PATCH", f"{path}/web", change, MERGE)


def test_most_of_a_stateful_set_cannot_change(api_server: KubeApi) -> None:
    body = deployment("db", serviceName="db", replicas=0)
    body["kind"] = "StatefulSet"
    path = api_server.at("apps/v1", "statefulsets")
    api_server.create(path, body)
    with pytest.raises(RefusedError, match="updates to statefulset spec for fields other than"):
        api_server.ask("PATCH", f"{path}/db", {"spec": {"serviceName": "other"}}, MERGE)
    scaled = api_server.ask("PATCH", f"{path}/db", {"spec": {"minReadySeconds": 1}}, MERGE)
    assert scaled["spec"]["minReadySeconds"] == 1


def test_a_stateful_set_that_waits_for_deletion_has_no_rolling_update(api_server: KubeApi) -> None:
    """The defaults of the strategy before stay where a patch does not take them away."""
    body = deployment("db", serviceName="db", replicas=0)
    body["kind"] = "StatefulSet"
    path = api_server.at("apps/v1", "statefulsets")
    api_server.create(path, body)
    strategy: dict[str, object] = {"type": "OnDelete"}
    with pytest.raises(RefusedError, match=r"updateStrategy\.rollingUpdate: Invalid value: .*only allowed for"):
        api_server.ask("PATCH", f"{path}/db", {"spec": {"updateStrategy": strategy}}, MERGE)
    change = {"spec": {"updateStrategy": {**strategy, "rollingUpdate": None}}}
    changed = api_server.ask("PATCH", f"{path}/db", change, MERGE)
    assert changed["spec"]["updateStrategy"] == strategy


def test_service_gets_an_address_and_keeps_it(api_server: KubeApi) -> None:
    path = api_server.at("v1", "services")
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    made = api_server.create(path, body)["spec"]
    assert made["clusterIPs"] == [made["clusterIP"]]
    assert made["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    again = api_server.ask("PUT", f"{path}/web", body)["spec"]
    assert again["clusterIP"] == made["clusterIP"]
    headless = {
        "metadata": {"name": "hl"},
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    assert api_server.create(path, headless)["spec"]["clusterIP"] == "None"
