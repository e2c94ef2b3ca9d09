"""The example crew with CrewAI's own memory in a folder of the test; without keys and without a network."""

import os
import socket
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "concierge"

# Before crewai is imported: it reads these at import.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false")
os.environ["CREWAI_DISABLE_VERSION_CHECK"] = "true"
sys.path.insert(0, str(EXAMPLE))


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No key, a memory of its own, and an error for whoever connects to anything but a Unix socket."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "CONCIERGE_MEMORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    monkeypatch.chdir(tmp_path)
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family != socket.AF_UNIX:
            raise AssertionError(f"the example reached for the network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def say(offline):
    """One kickoff of a new crew, as after a restart; all of a test share one memory."""
    from concierge.crew import Concierge

    def kickoff(message: str) -> str:
        return Concierge().crew().kickoff(inputs={"message": message}).raw

    return kickoff
