"""The programs of `memory_programs`, each call in a process of its own that has CrewAI."""

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


class Programs:
    """Forks a process for each question, out of one that has imported CrewAI."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        environ = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(TESTS), "PYTHONUNBUFFERED": "1"}
        command = [python, str(TESTS / "support" / "memory_programs.py")]
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0
        )

    def ask(self, **question: object) -> None:
        self.process.stdin.write(json.dumps(question).encode() + b"\n")

    def answer(self) -> object:
        told = json.loads(self.process.stdout.readline())
        if "error" in told:
            raise AssertionError(told["error"])
        return told["answer"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self._log.close()
