"""Threads that have ended and threads that stay, as the kernel sees them after an import."""

import _thread
import threading
from concurrent.futures import ThreadPoolExecutor

from crew_runtime.worker import forking


def test_a_pool_that_was_shut_down_leaves_nothing():
    """The kernel lists a thread for a moment after it was joined."""
    for _ in range(200):
        before = forking.held()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(str, range(8)))
        assert forking.unsafe(before, forking.settled(before)) == ""


def test_a_thread_that_python_knows_nothing_of_is_found():
    ends = threading.Lock()
    ends.acquire()
    before = forking.held()
    _thread.start_new_thread(ends.acquire, ())
    try:
        assert forking.unsafe(before, forking.settled(before)) == "the import started 1 threads of a C library"
    finally:
        ends.release()
