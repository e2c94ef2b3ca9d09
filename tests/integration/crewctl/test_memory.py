"""`crewctl memory` as it is typed: a folder of CrewAI's, real Redis, crews of an API server in the test."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.interpreters import crew_python
from support.redis_server import RedisServer, start_redis

TESTS = Path(__file__).parents[2]
PASSWORD = "s3cret/with:all@of#it"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis"), with_search=False) as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("crew") / "memory"
    command = [crew_python(), str(TESTS / "support" / "lance_folder.py"), str(made), "20"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(TESTS)}, check=True, capture_output=True)
    return made


@pytest.fixture
def command(server: RedisServer, tmp_path: Path) -> Callable[..., tuple[list[str], dict[str, str]]]:
    def made(*words: str) -> tuple[list[str], dict[str, str]]:
        environ = {**os.environ, "CREWCTL_REDIS_URL": server.url, "HOME": str(tmp_path)}
        return [sys.executable, "-m", "crewctl", "memory", *words, "--python", crew_python()], environ

    return made


@pytest.fixture
def memory(command, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv, environ = command(*words)
        return subprocess.run(
            argv, env={**environ, **more}, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
        )

    return run


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["passed"]
    return told


def test_migrate_export_and_import_say_what_came_of_it(memory, folder, tmp_path):
    done = memory("migrate", str(folder), "redis:hotel/a")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{folder} -> redis:hotel/a: 20 memories, 20 written",
        "Passed: all 20 are there, and 20 samples are found by their own vector.",
    ]
    assert "moving memories: 20" in done.stderr
    assert report(memory("migrate", str(folder), "redis:hotel/a", "--json"))["equal"] == 20
    assert report(memory("export", "redis:hotel/a", "a.jsonl", "--json"))["written"] == 20
    assert report(memory("import", "a.jsonl", "redis:hotel/b", "--session", "ada", "--json"))["sampled"] == 20
    # What belongs to a session goes into no folder unasked.
    done = memory("migrate", "redis:hotel/b", "./back")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--merge-sessions" in done.stderr
    assert report(memory("migrate", "redis:hotel/b", "./back", "--merge-sessions", "--json"))["written"] == 20


def test_reembed_asks_the_embedder_of_the_crews_project(memory, folder, tmp_path):
    (tmp_path / "project").mkdir()
    words = ("reembed", str(folder), "redis:hotel/anew", "--project", "project")
    entrypoint = ("--entrypoint", "support.user_crews.remembering:crew")
    told = report(memory(*words, *entrypoint, "--json", PYTHONPATH=str(TESTS)))
    assert (told["written"], told["dimension"], told["embedder"]) == (20, 32, "custom/Hashed")
    done = memory(*words)
    assert (done.returncode, "project has no crew" in done.stderr) == (2, True)
    done = memory(*words, "--entrypoint", "nowhere:crew")
    assert (done.returncode, "there is no module nowhere" in done.stderr) == (1, True)
    done = memory(*words, "--entrypoint", "support.user_crews.plain:crew", PYTHONPATH=str(TESTS))
    assert (done.returncode, "has no memory, and hence no embedder" in done.stderr) == (1, True)


def test_crewais_own_folder_is_found_where_the_crew_runs(memory, folder, tmp_path):
    done = memory("migrate", "lancedb:", "redis:hotel/own", "--json", CREWAI_STORAGE_DIR=str(folder.parent))
    assert report(done)["records"] == 20


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("migrate", "redis:", "redis:a/b"), 2, "needs a key prefix"),
        (("migrate", "redis://:pw@host/0", "redis:a/b"), 2, "by the variable CREWCTL_REDIS_URL"),
        (("migrate", "Not_A_Name", "redis:a/b"), 2, "'Not_A_Name' is no place of memories"),
        (("migrate", "redis:a/b", "redis:a/b"), 2, "both places are the same"),
        (("migrate", "concierge", "redis:a/b"), 2, "there is no kubeconfig"),
        (("export", "redis:a/b"), 2, "the following arguments are required: FILE"),
        (("export", "redis:nobody/here", "x"), 1, "has no memories: check the key prefix"),
        (("import", "nothing.jsonl", "redis:a/b"), 1, "nothing.jsonl cannot be read: No such file"),
        (("migrate", "./nowhere", "redis:a/b"), 1, "nowhere has no memories of CrewAI"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(memory, tmp_path, words, code, said):
    done = memory(*words, KUBECONFIG=str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "pw" not in done.stderr


def test_a_redis_that_is_not_there_is_said_without_its_password(memory, folder):
    done = memory("migrate", str(folder), "redis:a/b", CREWCTL_REDIS_URL="redis://:s3cret@127.0.0.1:1/0")
    assert done.returncode == 1
    assert "no connection to Redis" in done.stderr
    assert "s3cret" not in done.stderr


def test_interrupted_it_leaves_no_process_and_goes_on(command, memory, folder, server, tmp_path):
    """Redis does not answer when Ctrl-C comes."""
    argv, environ = command("migrate", str(folder), "redis:hotel/late", "--json")
    server.stop()
    try:
        with subprocess.Popen(
            # A job in the background is started with SIGINT ignored, and hands that on.
            ["env", "--default-signal=INT", *argv],
            env=environ,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            for line in process.stderr:
                if b"looking at what is there" in line:
                    break
            (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert b"the same command goes on" in process.stderr.read()
        ends = time.monotonic() + 5
        while Path(f"/proc/{child}").exists() and time.monotonic() < ends:
            time.sleep(0.05)
        assert not Path(f"/proc/{child}").exists()
    finally:
        server.go_on()
    assert report(memory("migrate", str(folder), "redis:hotel/late", "--json"))["records"] == 20


# -- crews ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Paths of its API and the objects at them; its kubeconfig is a file `kubeconfig`."""
    objects: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = objects.get(self.path)
            text = json.dumps(found if found is not None else {"kind": "Status"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "namespace": "hotel"}}],
        "current-context": "x",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    yield objects
    http.shutdown()
    http.server_close()


CREWS = "/apis/crewops.dev/v1alpha1/namespaces/hotel/crewdeployments/"
CORE = "/api/v1/namespaces/hotel/"


def secret(**values: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def test_a_crew_with_an_external_redis_is_named_and_no_more(memory, folder, cluster, server, tmp_path):
    spec = {
        "redis": {"external": {"urlFrom": {"secretKeyRef": {"name": "shared", "key": "url"}}}},
        "memory": {"keyPrefix": "lobby", "vectorType": "Float16"},
    }
    cluster[CREWS + "concierge"] = {"metadata": {"name": "concierge"}, "spec": spec}
    cluster[CORE + "secrets/shared"] = secret(url=f"{server.url}\n")
    kubeconfig = str(tmp_path / "kubeconfig")
    done = memory("migrate", str(folder), "concierge", "--json", "--kubeconfig", kubeconfig, CREWCTL_REDIS_URL="")
    assert report(done)["written"] == 20
    with server.client() as client:
        assert client.hmget("cs:{lobby}:meta", "dimension", "vector") == [b"16", b"FLOAT16"]
    done = memory("export", "nobody", "x", "--kubeconfig", kubeconfig)
    assert (done.returncode, done.stderr) == (
        1, "crewctl: there is no CrewDeployment nobody in the namespace hotel\n"
    )  # fmt: skip
    (tmp_path / "concierge").mkdir()
    done = memory("export", "concierge", "x", "--kubeconfig", kubeconfig)
    assert (done.returncode, "name it ./concierge" in done.stderr) == (2, True)


@pytest.fixture
def managed(cluster: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Of a crew that is called concierge."""
    with start_redis(tmp_path_factory.mktemp("managed"), with_search=False, password=PASSWORD) as made:
        cluster[CREWS + "concierge"] = {"metadata": {"name": "concierge"}, "spec": {"redis": {"managed": {}}}}
        cluster[CORE + "secrets/concierge-redis-auth"] = secret(password=PASSWORD)
        cluster[CORE + "endpoints/concierge-redis"] = endpoints("127.0.0.1", made.port)
        yield made


def endpoints(ip: str, port: int) -> dict[str, Any]:
    target = {"kind": "Pod", "name": "concierge-redis-2"}
    return {"subsets": [{"addresses": [{"ip": ip, "targetRef": target}], "ports": [{"port": port}]}]}


def test_a_managed_redis_is_asked_at_its_primarys_address_where_that_is_reached(memory, folder, managed, tmp_path):
    done = memory("migrate", str(folder), "concierge", "--json", "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert report(done)["written"] == 20
    with managed.client() as client:
        assert client.zcard("cs:{hotel/concierge}:ids") == 20


def test_a_redis_of_three_has_to_acknowledge_what_is_moved(memory, folder, cluster, managed, tmp_path):
    """As it has to of the crew, whose spec says no more: here no member follows."""
    cluster[CREWS + "concierge"]["spec"] = {"redis": {"managed": {"replicas": 3}}}
    done = memory("migrate", str(folder), "concierge", "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert done.returncode == 1
    assert "on a replica of Redis" in done.stderr
    assert "Passed" not in done.stdout


KUBECTL = """#!{python}
import json, os, sys, time
if "version" in sys.argv:
    print(json.dumps({{"clientVersion": {{"major": "1", "minor": "33"}}}}))
    sys.exit()
open("{log}", "w").write(" ".join(sys.argv[1:]) + f" {{os.getpid()}}")
if "{port}" == "0":
    sys.exit("error: pods is forbidden")
print("Forwarding from 127.0.0.1:{port} -> 6379", flush=True)
time.sleep(600)
"""


def kubectl(folder: Path, port: int) -> dict[str, str]:
    """One that forwards to whatever listens on `port`; the variables by which it is found."""
    program = folder / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL.format(python=sys.executable, log=folder / "asked", port=port))
    program.chmod(0o755)
    return {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def test_a_managed_redis_that_is_not_reached_is_asked_through_kubectl(memory, folder, cluster, managed, tmp_path):
    cluster[CORE + "endpoints/concierge-redis"] = endpoints("127.0.0.2", managed.port + 1)
    kubeconfig = str(tmp_path / "kubeconfig")
    environ = kubectl(tmp_path, managed.port)
    assert report(memory("migrate", str(folder), "concierge", "--json", "--kubeconfig", kubeconfig, **environ))
    *asked, pid = (tmp_path / "asked").read_text().split()
    assert asked == [
        f"--kubeconfig={kubeconfig}", "--namespace=hotel", "port-forward", "--address=127.0.0.1",
        "pod/concierge-redis-2", f":{managed.port + 1}",
    ]  # fmt: skip
    assert not Path(f"/proc/{pid}").exists()


def test_a_kubectl_that_may_not_is_quoted(memory, folder, cluster, managed, tmp_path):
    cluster[CORE + "endpoints/concierge-redis"] = endpoints("127.0.0.2", managed.port + 1)
    environ = kubectl(tmp_path, 0)
    done = memory("migrate", str(folder), "concierge", "--kubeconfig", str(tmp_path / "kubeconfig"), **environ)
    assert done.returncode == 1
    assert "no way to the pod concierge-redis-2" in done.stderr
    assert "pods is forbidden" in done.stderr


def test_a_redis_that_is_not_ready_is_for_the_doctor(memory, cluster, managed, tmp_path):
    cluster[CORE + "endpoints/concierge-redis"] = {"subsets": []}
    done = memory("export", "concierge", "x", "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert done.returncode == 1
    assert "see what `crewctl doctor concierge` says" in done.stderr
