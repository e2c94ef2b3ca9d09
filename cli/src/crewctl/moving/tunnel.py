"""A port of this machine that leads to a pod's, by `kubectl port-forward`."""

import re
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from crew_programs import kubectl
from crewctl.errors import ClusterError

START_SECONDS: Final = 20.0
_FORWARDING: Final = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ->")


@contextmanager
def to_pod(kubeconfig: Path, namespace: str, pod: str, port: int) -> Iterator[tuple[str, int]]:
    """Host and port here. Raises ClusterError when kubectl makes none, ProgramError without a kubectl."""
    command: list[str | Path] = [
        kubectl.find(),
        f"--kubeconfig={kubeconfig}",
        f"--namespace={namespace}",
        "port-forward",
    ]
    command += ["--address=127.0.0.1", f"pod/{pod}", f":{port}"]
    with tempfile.TemporaryFile() as errors:
        # In a session of its own: Ctrl-C is for us, and this ends when what goes through it has ended.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
        try:
            local = _port(process)
            if local is None:
                errors.seek(0)
                said = errors.read(2000).decode(errors="replace").strip()
                raise ClusterError(f"there is no way to the pod {pod}: kubectl port-forward said {said!r}")
            yield "127.0.0.1", local
        finally:
            process.kill()
            process.wait()


def _port(process: "subprocess.Popen[bytes]") -> int | None:
    """What kubectl chose; None when it ended, or said nothing in time."""
    output: BinaryIO = process.stdout  # type: ignore[assignment]
    ends, said = time.monotonic() + START_SECONDS, b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(output, selectors.EVENT_READ)
        while (left := ends - time.monotonic()) > 0:
            if not waiting.select(left):
                break
            piece = output.read1(1024)  # type: ignore[attr-defined]
            said += piece
            if (found := _FORWARDING.search(said)) is not None:
                return int(found[1])
            if not piece:
                break
    return None
