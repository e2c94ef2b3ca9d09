"""A container's words, made true on this machine."""

from pathlib import Path

import pytest

from localcluster.node import translate
from localcluster.node.translate import Mount

MOUNTS = [Mount("/data", Path("/v/data")), Mount("/crewops/run", Path("/v/run")), Mount("/tmp", Path("/v/tmp"))]


def nothing(path: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", "/v/data"),
        ("/data/x", "/v/data/x"),
        ("--dir=/data", "--dir=/v/data"),
        ("a:/data/x:/tmp/y", "a:/v/data/x:/v/tmp/y"),
        ("unix:///crewops/run/worker.sock", "unix:///v/run/worker.sock"),
        ("/database", "/database"),
        ("/var/data", "/var/data"),
        ("redis://data/0", "redis://data/0"),
        ("/data-old", "/data-old"),
        ("cat /data/x > /data/y", "cat /v/data/x > /v/data/y"),
    ],
)
def test_path_under_a_mount_is_replaced_and_no_other(text: str, expected: str) -> None:
    assert translate.paths(text, MOUNTS, nothing) == expected


def test_longer_mount_wins() -> None:
    mounts = [Mount("/a", Path("/v/a")), Mount("/a/b", Path("/v/b"))]
    assert translate.paths("/a/b/c /a/c", mounts, nothing) == "/v/b/c /v/a/c"


def test_what_was_replaced_is_not_replaced_again_where_a_volume_lies_below_another_mounts_path() -> None:
    mounts = [Mount("/crewops/run", Path("/tmp/pod/v/run")), Mount("/tmp", Path("/tmp/pod/v/tmp"))]
    text = "unix:///crewops/run/worker.sock /tmp/x"
    assert translate.paths(text, mounts, nothing) == "unix:///tmp/pod/v/run/worker.sock /tmp/pod/v/tmp/x"


def test_program_of_this_machine_under_a_mounts_path_is_meant_as_it_stands() -> None:
    here = {"/tmp/venv/bin/python"}
    assert translate.paths("/tmp/venv/bin/python", MOUNTS, here.__contains__) == "/tmp/venv/bin/python"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://db.ns.svc:6379/0", "redis://[,db,ns]:6379/0"),
        ("db.ns.svc.cluster.local", "[,db,ns]"),
        ("db-0.db.ns.svc", "[db-0,db,ns]"),
        ("http://my.svcs.example/", "http://my.svcs.example/"),
        ("db.ns.svc.example.com", "db.ns.svc.example.com"),
    ],
)
def test_service_name_is_replaced_by_its_address(text: str, expected: str) -> None:
    assert translate.names(text, lambda *parts: f"[{','.join(parts)}]") == expected


def test_variables_expand_as_kubernetes_does() -> None:
    assert translate.expand("$(A)-$(B)-$$(A)-$A", {"A": "1"}) == "1-$(B)-$(A)-$A"
