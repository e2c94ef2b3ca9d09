"""crew_runtime alone, in the processes of gunicorn, Celery and multiprocessing: one is told, another one knows.

What runs are the examples of examples/library, and their variants with the other place to install.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support import least_rights
from support.ports import free_port
from support.redis_server import start_redis

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "examples" / "library"
BIN = Path(sys.executable).parent
TOLD, ASKED, KNOWN = (
    "I am allergic to peanuts.",
    "What should the kitchen avoid?",
    "You told us: I am allergic to peanuts.",
)
START, ANSWER = 60, 40
"""Seconds; importing CrewAI takes 3 of them on a quiet machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With its search module: how a memory is searched without it is for tests/integration/memory."""
    with start_redis(tmp_path_factory.mktemp("redis"), with_search=True) as made:
        yield made


@pytest.fixture
def environ(server, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CREWOPS_", "OPENAI_"))}
    return {
        **kept,
        "CREWOPS_REDIS_URL": server.url,
        "CREWOPS_KEY_PREFIX": f"library/{tmp_path.name}",
        "CREWOPS_BACKEND_DEADLINE": "10",
        "PYTHONPATH": str(ROOT / "examples" / "concierge"),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(tmp_path),
    }


@contextmanager
def running(command, environ, folder, log):
    """A process with its children; nothing of it is left."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_processes_of_a_pool(environ, tmp_path):
    for method in ("fork", "spawn", "forkserver"):
        environ = {**environ, "CREWOPS_KEY_PREFIX": f"library/{tmp_path.name}-{method}"}
        program = [sys.executable, str(LIBRARY / "multiprocessing" / "pool.py"), method]
        done = subprocess.run(program, env=environ, cwd=tmp_path, capture_output=True, timeout=START + 2 * ANSWER)
        said = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith('{"reply"')]
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        assert [one["reply"] for one in said][1] == KNOWN, method
        assert said[0]["pid"] != said[1]["pid"]


# -- gunicorn ---------------------------------------------------------------------------------------------------------

POST_FORK = """
import crew_runtime

def post_fork(server, worker):
    crew_runtime.install()
"""


class Web:
    """gunicorn with workers that take turns."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log

    def ask(self, session, message):
        body = json.dumps({"session_id": session, "message": message}).encode()
        ends = time.monotonic() + START
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", body)
                with urllib.request.urlopen(request, timeout=ANSWER) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError:
                raise AssertionError(self.log.read_text()[-3000:]) from None
            except OSError:
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                assert time.monotonic() < ends, self.log.read_text()[-3000:]
                time.sleep(0.2)

    def ask_another(self, than, session, message):
        """The answer of a worker that is not `than`: it is stopped meanwhile, so that another one has to answer."""
        os.kill(than, signal.SIGSTOP)
        try:
            return self.ask(session, message)
        finally:
            os.kill(than, signal.SIGCONT)


@pytest.mark.parametrize("way", ["in each worker", "before the fork", "in post_fork"])
def test_workers_of_gunicorn(way, environ, tmp_path):
    app, port, options = LIBRARY / "gunicorn" / "app.py", free_port(), []
    if way == "before the fork":
        options = ["--preload"]
    if way == "in post_fork":
        (tmp_path / "conf.py").write_text(POST_FORK)
        text = app.read_text()
        assert "crew_runtime.install()" in text
        app = tmp_path / "app.py"
        app.write_text(text.replace("crew_runtime.install()", ""))
        options = ["--config", "conf.py"]
    command = [str(BIN / "gunicorn"), "--workers", "2", "--timeout", str(START), "--bind", f"127.0.0.1:{port}",
               "--no-control-socket", "--pythonpath", str(app.parent), *options, "app:app"]  # fmt: skip
    log = tmp_path / "log"
    with running(command, environ, tmp_path, log) as process:
        web = Web(process, port, log)
        told = web.ask("room-214", TOLD)
        heard = web.ask_another(told["pid"], "room-214", ASKED)
        stranger = web.ask("room-2140", ASKED)
    assert heard["pid"] != told["pid"]
    assert heard["reply"] == KNOWN
    assert "peanuts" not in stranger["reply"]


# -- Celery -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["in worker_process_init", "before the fork"])
def test_processes_of_a_celery_worker(way, server, environ, tmp_path):
    from celery import Celery

    # Not the crew's user: a broker is none of its business.
    broker = server.url.replace("redis://", f"redis://{least_rights.ADMIN}:any@").removesuffix("/0") + "/1"
    environ = {**environ, "CELERY_BROKER_URL": broker}
    tasks = LIBRARY / "celery" / "tasks.py"
    if way == "before the fork":
        text = tasks.read_text()
        assert "@worker_process_init.connect" in text
        tasks = tmp_path / "tasks.py"
        tasks.write_text(text.replace("@worker_process_init.connect", "") + "\n\n_install()\n")
    # A new process for each task: the one that is asked cannot be the one that was told.
    command = [str(BIN / "celery"), "--app", "tasks", "worker", "--concurrency", "2", "--queues", tmp_path.name,
               "--max-tasks-per-child", "1", "--loglevel", "INFO"]  # fmt: skip
    environ["PYTHONPATH"] += os.pathsep + str(tasks.parent)
    log = tmp_path / "log"
    with running(command, environ, tmp_path, log) as process, Celery(broker=broker, backend=broker) as client:

        def ask(message, session="room-214"):
            sent = client.send_task("tasks.ask", [session, message], queue=tmp_path.name)
            try:
                return sent.get(timeout=START + ANSWER, interval=0.1)
            except Exception as error:
                raise AssertionError(f"{error!r}, {process.poll()}\n{log.read_text()[-3000:]}") from error

        told, heard = ask(TOLD), ask(ASKED)
        stranger = ask(ASKED, "room-2140")
    assert heard["pid"] != told["pid"]
    assert heard["reply"] == KNOWN
    assert "peanuts" not in stranger["reply"]
