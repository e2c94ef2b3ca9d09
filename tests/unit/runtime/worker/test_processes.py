"""/proc read on real processes."""

import os
import subprocess
import threading

import pytest

from crew_runtime.worker import children, processes
from support.waiting import wait_until


@pytest.fixture
def shell():
    # The inner sleep is a grandchild with a session of its own.
    command = ["sh", "-c", "setsid sleep 60 & wait"]
    with subprocess.Popen(command, start_new_session=True) as process:
        wait_until(lambda: _own_session(process.pid), "the grandchild has its own session", timeout=5)
        yield process
        process.kill()


def _own_session(pid: int) -> bool:
    return [os.getsid(one) for one in processes.descendants(pid)] not in ([], [os.getsid(pid)])


def test_descendants_are_found_across_sessions(shell):
    (below,) = processes.descendants(shell.pid)
    assert os.getsid(below) != os.getsid(shell.pid)
    assert processes.children(os.getpid()).count(shell.pid) == 1
    os.kill(below, 9)


def test_a_tree_is_killed_across_sessions(shell):
    (below,) = processes.descendants(shell.pid)
    processes.kill_tree(shell.pid)
    assert shell.wait(timeout=5) == -9
    wait_until(lambda: not processes.anonymous(below), "the grandchild is gone", timeout=5)


def test_a_process_that_is_gone_has_nothing():
    process = subprocess.Popen(["true"])
    process.wait()
    assert processes.children(process.pid) == []
    assert processes.anonymous(process.pid) == 0
    processes.kill_tree(process.pid)


def test_memory_that_is_taken_is_seen():
    before = processes.anonymous()
    kept = bytearray(os.urandom(1 << 20) * 32)
    assert processes.anonymous() - before > 30e6
    del kept


def test_a_process_with_threads_does_not_fork():
    stop = threading.Event()
    other = threading.Thread(target=stop.wait, name="stranger")
    other.start()
    try:
        with pytest.raises(AssertionError, match="stranger"):
            children.Children(1).fork("slot", "token", lambda _: 0, [])
    finally:
        stop.set()
        other.join()
