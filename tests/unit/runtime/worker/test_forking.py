"""What an import may leave behind, each kind made for real: after which a process must not fork, and in which words."""

import os
import re
import subprocess
import sys

import pytest

HARMLESS = {
    "nothing": "pass",
    "a pipe that was closed": "[os.close(one) for one in os.pipe()]",
    "a device without a memory": "kept = open('/dev/urandom', 'rb')",
    "memory of its own": "kept = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
    "a child that has ended": "subprocess.run(['true'], check=True)",
}
"""Kind -> how it is left; a process may fork after it."""
HARMFUL = {
    "pipe": ("kept = os.pipe()", r"the import opened pipe:\[\d+\], pipe:\[\d+\]"),
    "socketpair": ("kept = socket.socketpair()", r"the import opened socket:\[\d+\], socket:\[\d+\]"),
    "epoll": ("kept = select.epoll()", r"the import opened anon_inode:\[eventpoll\]"),
    "eventfd": ("kept = os.eventfd(0)", r"the import opened anon_inode:\[eventfd\]"),
    "timerfd": ("kept = libc.timerfd_create(time.CLOCK_MONOTONIC, 0)", r"the import opened anon_inode:\[timerfd\]"),
    "inotify": ("kept = libc.inotify_init()", r"the import opened anon_inode:inotify"),
    "signalfd": (
        "kept = libc.signalfd(-1, ctypes.create_string_buffer(128), 0)",
        r"the import opened anon_inode:\[signalfd\]",
    ),
    # Its position is shared: one copy reads on from where another one stopped.
    "file": ("kept = open(os.__file__)", rf"the import opened {re.escape(os.__file__)}"),
    "memfd": ("kept = os.memfd_create('cache')", r"the import opened /memfd:cache \(deleted\)"),
    "shared memory": (
        "kept = mmap.mmap(-1, 4096)",
        r"the import mapped memory that is shared with other processes: /dev/zero \(deleted\) at [0-9a-f]+-[0-9a-f]+",
    ),
    "child process": ("kept = subprocess.Popen(['sleep', '60'])", r"the import started 1 child processes"),
    "thread": (
        "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()",
        r"the import started threads: poller",
    ),
    "io_uring": (
        # The number of the system call is the same on every architecture; containers often may not use it.
        "kept = libc.syscall(425, 1, ctypes.create_string_buffer(120)); kept >= 0 or sys.exit(WITHOUT)",
        r"the import opened anon_inode:\[io_uring\]",
    ),
    "many": ("kept = [os.pipe(), os.pipe()]", r"the import opened (pipe:\[\d+\](, )?){3} and 1 more"),
}
"""Kind -> how it is left, and what is said of it."""
WITHOUT = 77
"""Exit code where the kernel does not have it."""
PROGRAM = f"""
WITHOUT = {WITHOUT}
import ctypes, mmap, os, select, socket, subprocess, sys, threading, time
from crew_runtime.worker import forking
libc = ctypes.CDLL(None, use_errno=True)
before = forking.held()
exec(sys.argv[1])
print(forking.unsafe(before, forking.settled(before)))
if isinstance(globals().get("kept"), subprocess.Popen):
    kept.kill()
    kept.wait()
"""


def verdict(left: str) -> str:
    """What is said of a process that does this; it is none of pytest's own."""
    command = [sys.executable, "-c", PROGRAM, left]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == WITHOUT:
        pytest.skip("this kernel does not have it, or the container may not use it")
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


@pytest.mark.parametrize("left", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_process_may_fork_after_what_leaves_nothing_to_share(left):
    assert verdict(left) == ""


@pytest.mark.parametrize(("left", "said"), HARMFUL.values(), ids=HARMFUL.keys())
def test_what_a_fork_would_break_or_share_is_found_and_named(left, said):
    assert re.fullmatch(said, verdict(left))
