"""crewctl as `pip install crewctl` gives it, without its extra: an environment of what its metadata asks for, no more.

What is installed already is linked into it, so that nothing is downloaded and nothing undeclared is found.
"""

import importlib.metadata as metadata
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

HEAVY = {
    "crew-operator",
    "crew-server",
    "fastapi",
    "kopf",
    "kubernetes",
    "localcluster",
    "psycopg",
    "pydantic",
    "starlette",
    "uvicorn",
}
NEEDING_THE_CLUSTER = ("demo", "down", "env", "kubectl", "status", "up")


def closure(name: str, extra: str = "") -> set[str]:
    """The distributions that an installer would put beside `name`, and itself."""
    found: set[str] = set()
    wanted = [(name, extra)]
    while wanted:
        one, chosen = wanted.pop()
        for text in metadata.requires(one) or ():
            needed = Requirement(text)
            applies = any(needed.marker.evaluate({"extra": extra}) for extra in ("", chosen)) if needed.marker else True
            if applies and needed.name not in found:
                wanted += [(needed.name, extra) for extra in needed.extras or ("",)]
        found.add(one)
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's interpreter."""
    folder = tmp_path_factory.mktemp("light")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    for name in closure("crewctl"):
        about = metadata.distribution(name)
        for entry in {path.parts[0] for path in about.files or () if path.parts[0] not in ("..", "__pycache__")}:
            if not (site / entry).exists():
                (site / entry).symlink_to(about.locate_file(entry))
    return folder / "bin" / "python"


@pytest.fixture
def crewctl(environment, tmp_path):
    """Runs a verb there."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        command = [environment, "-m", "crewctl", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60, check=False)

    return run


def test_it_asks_for_nothing_heavy():
    assert closure("crewctl") & HEAVY == set()
    assert closure("crewctl", "local") | closure("crewctl", "history") >= HEAVY


def test_the_environment_holds_what_is_declared_and_no_more(environment, tmp_path):
    """Else the tests below would prove nothing."""
    modules = sorted(name.replace("-", "_") for name in HEAVY)
    code = f"import importlib.util as u; print([name for name in {modules} if u.find_spec(name)])"
    done = subprocess.run([environment, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", ["verify", "doctor", "rotate", "webhook-key", "history", "memory"])
def test_a_light_verb_explains_itself(crewctl, verb):
    done = crewctl(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: crewctl {verb}" in done.stdout


def test_the_list_of_verbs_says_what_is_missing(crewctl):
    done = crewctl("--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert text.count("needs the local cluster: pip install 'crewctl[local]'") == len(NEEDING_THE_CLUSTER)


def test_history_says_in_one_sentence_what_to_install(crewctl):
    done = crewctl("history")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("crewctl: 'history' needs psycopg, which is not installed: pip install 'crewctl[history]'\n")


@pytest.mark.parametrize(
    "words", [*NEEDING_THE_CLUSTER, "up -f crew.yaml --dir x", "kubectl -- get pods", "demo --help"]
)
def test_a_verb_of_the_local_cluster_says_in_one_sentence_what_to_install(crewctl, words):
    done = crewctl(*shlex.split(words))
    verb = words.partition(" ")[0]
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"crewctl: '{verb}' needs the local cluster, which is not installed: pip install ")


def test_a_folder_with_the_name_of_the_extra_is_not_taken_for_it(crewctl, tmp_path):
    (tmp_path / "localcluster").mkdir()
    assert "needs the local cluster" in crewctl("up").stderr
    assert "there is no kubeconfig" in crewctl("doctor").stderr


def test_a_folder_of_a_local_cluster_is_not_overlooked(crewctl):
    done = crewctl("doctor", "--dir", "here")
    assert done.returncode == 2
    assert "--dir needs the local cluster" in done.stderr


def test_verify_gets_as_far_as_the_project(crewctl, tmp_path):
    done = crewctl("verify", str(tmp_path))
    assert done.returncode == 2
    assert "crew" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_starts_its_redis(environment, tmp_path):
    """By what the environment has, or the machine."""
    code = """
import pathlib, sys
from crewctl.verify import scratch
with scratch.redis(pathlib.Path(sys.argv[1], "redis")) as server:
    print(server.url)
"""
    done = subprocess.run([environment, "-c", code, tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("redis://127.0.0.1:"), done.stderr


@pytest.fixture
def kubeconfig(tmp_path) -> Iterator[Path]:
    """Of a cluster with no CrewDeployment in it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps({"kind": "CrewDeploymentList", "items": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "namespace": "hotel"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    yield path
    server.shutdown()
    server.server_close()


def test_doctor_asks_a_cluster(crewctl, kubeconfig):
    done = crewctl("doctor", "--kubeconfig", str(kubeconfig))
    assert (done.returncode, done.stderr) == (
        2, "crewctl: there is no CrewDeployment in the namespace hotel: name another by -n\n"
    )  # fmt: skip
