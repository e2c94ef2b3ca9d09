"""Watches: resume, expiry, selectors, WatchList."""

import itertools

from support.kube_api import MERGE, KubeApi
from support.kube_objects import config_map, gizmo


def names(events: list[dict]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


def take(events, count: int) -> list[dict]:
    return list(itertools.islice(events, count))


def test_watch_goes_on_where_a_list_ended(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo("before"))
    revision = api_server.get(gizmos)["metadata"]["resourceVersion"]
    api_server.create(gizmos, gizmo("after"))
    api_server.ask("PATCH", f"{gizmos}/after", {"spec": {"replicas": 2}}, MERGE)
    api_server.ask("DELETE", f"{gizmos}/before")
    with api_server.watch(gizmos, resourceVersion=revision) as events:
        assert names(take(events, 3)) == [("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "before")]


def test_watch_without_a_revision_begins_with_what_there_is(api_server: KubeApi, gizmos: str) -> None:
    api_server.create(gizmos, gizmo("here"))
    with api_server.watch(gizmos) as events:
        assert names(take(events, 1)) == [("ADDED", "here")]


def test_watch_list_ends_its_first_part_with_a_bookmark(api_server: KubeApi, gizmos: str) -> None:
    """kubectl 1.35 and newer waits for this bookmark."""
    for name in ("x", "y"):
        api_server.create(gizmos, gizmo(name))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "resourceVersion": "",
    }
    with api_server.watch(gizmos, **query) as events:
        first = take(events, 3)
        assert sorted(names(first[:2])) == [("ADDED", "x"), ("ADDED", "y")]
        bookmark = first[2]
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
        api_server.create(gizmos, gizmo("z"))
        assert names(take(events, 1)) == [("ADDED", "z")]


def test_object_that_leaves_a_selector_is_deleted_for_its_watcher(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps")
    revision = api_server.get(path)["metadata"]["resourceVersion"]
    api_server.create(path, config_map("one", {"a": "1"}))
    api_server.ask("PATCH", f"{path}/one", {"metadata": {"labels": {"a": "2"}}}, MERGE)
    api_server.ask("PATCH", f"{path}/one", {"metadata": {"labels": {"a": "1"}}}, MERGE)
    with api_server.watch(path, resourceVersion=revision, labelSelector="a=1") as events:
        assert names(take(events, 3)) == [("ADDED", "one"), ("DELETED", "one"), ("ADDED", "one")]


def test_watch_of_one_object_by_name(api_server: KubeApi) -> None:
    path = api_server.at("v1", "configmaps")
    revision = api_server.get(path)["metadata"]["resourceVersion"]
    for name in ("x", "y"):
        api_server.create(path, config_map(name))
    with api_server.watch(path, resourceVersion=revision, fieldSelector="metadata.name=y") as events:
        assert names(take(events, 1)) == [("ADDED", "y")]


def test_watch_ends_when_its_time_is_over(api_server: KubeApi) -> None:
    path = api_server.at("v1", "secrets")
    revision = api_server.get(path)["metadata"]["resourceVersion"]
    with api_server.watch(path, resourceVersion=revision, timeoutSeconds="1") as events:
        assert list(events) == []


def test_forgotten_revision_is_410(api_server: KubeApi, gizmos: str) -> None:
    with api_server.watch(gizmos, resourceVersion="1") as events:
        first = take(events, 1)
    if first and first[0]["type"] == "ERROR":
        assert first[0]["object"]["code"] == 410
    else:  # a young embedded server has forgotten nothing
        assert not api_server.is_real
