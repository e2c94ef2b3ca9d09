"""What is switched off in the crew's process, and what is not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crew_runtime import telemetry

ROOT = Path(__file__).parents[3]
SHIPPED = (
    "runtime",
    "operator/src",
    "cli/src",
    "localcluster/src",
    "programs/src",
    "charts",
    "examples",
    "docs",
    "README.md",
    "Makefile",
)
KICKOFF = """
import json, os, sys, threading
called = []

def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        called.append(f"{event} {args[:2]}")
        raise OSError("nobody is called in a test")

sys.addaudithook(watch)
import signal
before = signal.getsignal(signal.SIGTERM)
from support.user_crews.plain import make
at_import = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
crew = make()
crew.kickoff(inputs={"message": "hi"})
import atexit
atexit._run_exitfuncs()
from opentelemetry import trace
print("SEEN" + json.dumps({
    "threads": at_import,
    "called": called,
    "sigterm": signal.getsignal(signal.SIGTERM) is before,
    "provider": type(trace.get_tracer_provider()).__name__,
}))
"""


@pytest.fixture
def bare(tmp_path):
    """`bare(CREWAI_...="...")`: a kickoff in a new interpreter, with that and nothing else said about telemetry."""

    def run(**environ):
        code = subprocess.run(
            [sys.executable, "-c", KICKOFF],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "tests"), **environ},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        )
        return json.loads(code.stdout.partition("SEEN")[2].splitlines()[0])

    return run


@pytest.mark.parametrize("turn_off", [telemetry.turn_off, telemetry.turn_off_unattended])
def test_the_users_own_settings_stay(turn_off):
    mine = dict.fromkeys({**telemetry.PHONE_HOME, **telemetry.UNATTENDED}, "mine")
    environ = dict(mine)
    turn_off(environ)
    assert environ == mine


def test_the_library_leaves_the_users_traces_with_crewai_as_they_are():
    environ: dict[str, str] = {}
    telemetry.turn_off(environ)
    assert "CREWAI_TRACING_ENABLED" not in environ
    assert environ["CREWAI_DISABLE_TELEMETRY"] == "true"


def test_the_switch_of_opentelemetry_itself_is_set_nowhere():
    setting = re.compile(rb"""OTEL_SDK_DISABLED["']?\s*[=:,]""")
    found = {
        str(path.relative_to(ROOT))
        for one in SHIPPED
        for path in ([ROOT / one] if (ROOT / one).is_file() else (ROOT / one).rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and setting.search(path.read_bytes())
    }
    assert found == set()
    assert "OTEL_SDK_DISABLED" not in {**telemetry.PHONE_HOME, **telemetry.UNATTENDED}


def test_crewais_own_switch_alone_keeps_it_from_calling_home(bare):
    seen = bare(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false")
    assert seen == {"threads": [], "called": [], "sigterm": True, "provider": "ProxyTracerProvider"}


def test_without_it_crewai_does_call_home(bare):
    """Else the test above proves nothing."""
    seen = bare(CREWAI_TRACING_ENABLED="false")
    assert seen["threads"]
    assert any("telemetry.crewai.com" in one for one in seen["called"]), seen
    assert not seen["sigterm"]
