"""A stock kubectl."""

import json

import yaml

from support.kube_api import MERGE, KubeApi, eventually, gone
from support.kube_objects import config_map, deployment, gizmo


def test_apply_get_and_delete(api_server: KubeApi, gizmos: str) -> None:
    text = yaml.safe_dump(gizmo(mode="Fast"))
    assert "created" in api_server.kubectl("apply", "-f", "-", stdin=text)
    assert "unchanged" in api_server.kubectl("apply", "-f", "-", stdin=text)
    changed = yaml.safe_dump(gizmo(mode="Slow"))
    assert "configured" in api_server.kubectl("apply", "-f", "-", stdin=changed)
    assert api_server.kubectl("get", "gz", "one", "-o", "jsonpath={.spec.mode}") == "Slow"
    assert "deleted" in api_server.kubectl("delete", "gz", "one")
    assert gone(lambda: api_server.get(f"{gizmos}/one"))


def test_client_side_apply_removes_what_left_the_file(api_server: KubeApi) -> None:
    api_server.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(replicas=0)))
    slim = deployment(replicas=0)
    del slim["spec"]["template"]["spec"]["containers"][0]["env"]
    api_server.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(slim))
    container = api_server.get(api_server.at("apps/v1", "deployments", "web"))["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert "env" not in container


def test_misspelt_field_is_refused_with_its_name(api_server: KubeApi, gizmos: str) -> None:
    said = api_server.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(gizmo(replica=2)), check=False)
    assert 'unknown field "spec.replica"' in said


def test_server_side_apply_tells_conflicts(api_server: KubeApi) -> None:
    api_server.apply(api_server.at("v1", "configmaps", "one"), config_map(a="1"), "operator")
    text = yaml.safe_dump(config_map(a="2"))
    said = api_server.kubectl("apply", "--server-side", "-f", "-", stdin=text, check=False)
    assert 'conflict with "operator"' in said
    assert "serverside-applied" in api_server.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text
    )


def test_get_shows_the_kinds_own_columns(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo())
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api_server.ask("PATCH", f"{gizmos}/one/status", status, MERGE)
    header, row = api_server.kubectl("get", "gizmos").strip().splitlines()
    assert header.split() == ["NAME", "READY", "SIZE", "AGE"]
    assert row.split()[:3] == ["one", "True", "1Gi"]


def test_get_shows_columns_of_deployments(api_server: KubeApi) -> None:
    api_server.create(api_server.at("apps/v1", "deployments"), deployment(replicas=0))
    header, row = api_server.kubectl("get", "deploy").strip().splitlines()
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == ["web", "0/0", "0", "0"]


def test_wait_returns_when_the_condition_comes(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo())
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api_server.ask("PATCH", f"{gizmos}/one/status", status, MERGE)
    assert "condition met" in api_server.kubectl("wait", "--for=condition=Ready", "gizmo/one", "--timeout=5s")


def test_wait_for_deletion(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo())
    api_server.kubectl("delete", "gizmo", "one", "--wait=false")
    api_server.kubectl("wait", "--for=delete", "gizmo/one", "--timeout=5s")


def test_scale_and_edit_like_patches(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo())
    api_server.create(api_server.at("apps/v1", "deployments"), deployment(replicas=0))
    assert "scaled" in api_server.kubectl("scale", "gizmo/one", "--replicas=3")
    assert api_server.get(f"{gizmos}/one")["spec"]["replicas"] == 3
    api_server.kubectl("label", "gizmo/one", "colour=red")
    api_server.kubectl("annotate", "gizmo/one", "note=hello")
    api_server.kubectl("set", "image", "deploy/web", "web=web:9")
    api_server.kubectl("set", "env", "deploy/web", "B=2")
    api_server.kubectl("rollout", "restart", "deploy/web")
    pod = api_server.get(api_server.at("apps/v1", "deployments", "web"))["spec"]["template"]
    assert pod["spec"]["containers"][0]["image"] == "web:9"
    assert {one["name"] for one in pod["spec"]["containers"][0]["env"]} == {"A", "B"}
    assert "kubectl.kubernetes.io/restartedAt" in pod["metadata"]["annotations"]
    assert api_server.get(f"{gizmos}/one")["metadata"]["labels"] == {"colour": "red"}


def test_create_by_words(api_server: KubeApi) -> None:
    """These go over the wire as protobuf."""
    api_server.kubectl("create", "configmap", "cm", "--from-literal=a=1", "--from-literal=b=2")
    api_server.kubectl("create", "secret", "generic", "key", "--from-literal=token=s3cret")
    api_server.kubectl("create", "serviceaccount", "robot")
    api_server.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=0", "--port=80")
    api_server.kubectl("create", "service", "clusterip", "web", "--tcp=80:8080")
    assert api_server.get(api_server.at("v1", "configmaps", "cm"))["data"] == {"a": "1", "b": "2"}
    assert api_server.get(api_server.at("v1", "secrets", "key"))["data"] == {"token": "czNjcmV0"}
    spec = api_server.get(api_server.at("apps/v1", "deployments", "web"))["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (0, "web:1")
    port = api_server.get(api_server.at("v1", "services", "web"))["spec"]["ports"][0]
    assert (port["name"], port["port"], port["targetPort"]) == ("80-8080", 80, 8080)


def test_describe_shows_events(api_server: KubeApi, gizmos: str) -> None:
    made = api_server.create(gizmos, gizmo())
    about = {"apiVersion": made["apiVersion"], "kind": "Gizmo", "name": "one", "namespace": api_server.namespace}
    event = {
        "metadata": {"generateName": "one."},
        "involvedObject": {**about, "uid": made["metadata"]["uid"]},
        "reason": "Polished",
        "message": "it shines",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": made["metadata"]["creationTimestamp"],
        "lastTimestamp": made["metadata"]["creationTimestamp"],
        "source": {"component": "suite"},
    }
    api_server.create(api_server.at("v1", "events"), event)
    assert "it shines" in api_server.kubectl("describe", "gizmo", "one")
    assert "Polished" in api_server.kubectl("get", "events")


def test_explain_knows_custom_and_built_in_fields(api_server: KubeApi, gizmos: str) -> None:
    eventually(lambda: "What it is made of." in api_server.kubectl("explain", "gizmo.spec.image", check=False))
    assert "progressDeadlineSeconds" in api_server.kubectl("explain", "deployment.spec")


def test_discovery_lists_names_and_categories(api_server: KubeApi, gizmos: str) -> None:
    listed = api_server.kubectl("api-resources", "--api-group=suite.crewops.dev")
    assert listed.splitlines()[1].split() == ["gizmos", "gz", "suite.crewops.dev/v1", "true", "Gizmo"]
    api_server.create(gizmos, gizmo())
    assert "one" in api_server.kubectl("get", "toys")


def test_dry_run_by_the_server_and_diff(api_server: KubeApi, gizmos: str) -> None:
    text = yaml.safe_dump(gizmo())
    assert "server dry run" in api_server.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert gone(lambda: api_server.get(f"{gizmos}/one"))


def test_get_json_of_a_list(api_server: KubeApi, gizmos: str) -> None:
    for name in ("x", "y"):
        api_server.create(gizmos, gizmo(name))
    listed = json.loads(api_server.kubectl("get", "gizmos", "-o", "json"))
    assert [one["metadata"]["name"] for one in listed["items"]] == ["x", "y"]


def test_delete_all_of_a_kind(api_server: KubeApi, gizmos: str) -> None:
    for name in ("x", "y"):
        api_server.create(gizmos, gizmo(name))
    api_server.kubectl("delete", "gizmos", "--all")
    assert api_server.get(gizmos)["items"] == []


def test_version_of_the_server(api_server: KubeApi) -> None:
    assert "Server Version: v1." in api_server.kubectl("version")


def test_rollout_history_of_a_stateful_set_needs_no_more_than_the_api(api_server: KubeApi) -> None:
    assert "No resources found" in api_server.kubectl("get", "controllerrevisions")
