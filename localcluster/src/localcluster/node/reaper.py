"""Ends what a cluster left behind: waits until its supervisor is gone, however that went, and kills all that is left.

python -m localcluster.node.reaper CLUSTER RUN_FOLDER    (its standard input is a pipe from the supervisor)
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from localcluster.node import processes


def sweep(cluster: str, run: Path, *, seconds: float = 5.0) -> int:
    """SIGKILL to every process of a cluster, again until none is left; how many there were."""
    seen: set[int] = set()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        left = {*processes.marked(processes.CLUSTER, cluster), *_of_sessions(run)} - {os.getpid()}
        if not left:
            break
        for pid in left:
            processes.kill(pid)
        seen |= left
        time.sleep(0.05)
    shutil.rmtree(run, ignore_errors=True)
    return len(seen)


def _of_sessions(run: Path) -> set[int]:
    """Processes of the sessions that the node has started.

    A session's number is not given again while a process of it is left; a leader born at another time is another's.
    """
    noted = run / "sessions"
    if not noted.exists():
        return set()
    sessions = dict(line.split() for line in noted.read_text().splitlines())
    members: dict[str, set[int]] = {}
    for entry in Path("/proc").iterdir():
        stat = processes.stat(entry.name) if entry.name.isdigit() else None
        if stat is not None and stat.session in sessions:
            members.setdefault(stat.session, set()).add(int(entry.name))
    found: set[int] = set()
    for session, pids in members.items():
        leader = processes.stat(session)
        if leader is None or leader.started == sessions[session]:
            found |= pids
    return found


def main() -> None:
    """Wait for the end of the pipe, then sweep."""
    cluster, run = sys.argv[1], Path(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    sweep(cluster, run)


if __name__ == "__main__":
    main()
