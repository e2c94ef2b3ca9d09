"""Whether a process that has imported something may be forked: what it holds before and after, compared.

A fork copies memory and nothing else: threads are gone with whatever lock they held, and what the kernel keeps
(sockets, epoll sets, pipes, timers, files and their positions, shared memory) is shared by all copies, which then read
each other's answers. So any of these that came with an import means: do not fork after it.
"""

import os
import threading
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass

from crew_runtime.worker import processes

_HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
"""Reading or writing these changes nothing that a copy could see."""
SETTLE = 0.5
"""Seconds for a thread that was joined to be gone for the kernel, too: `join` returns before that."""
SHOWN = 3
"""Of each kind, in a reason."""


@dataclass(frozen=True)
class Held:
    """What a process holds that a fork would share or lose."""

    threads: Set[str]
    """Names of Python's threads beside the main one."""
    native: int
    """All threads that the kernel knows."""
    descriptors: Mapping[int, str]
    """Number -> what it is, as /proc says: a path, `socket:[…]`, `pipe:[…]`, `anon_inode:[eventpoll]`."""
    shared: Set[str]
    """Writable mappings that are shared with other processes: addresses and path."""
    children: Set[int]
    """Pids."""


def held() -> Held:
    """What this process holds now."""
    return Held(
        threads=frozenset(one.name for one in threading.enumerate() if one is not threading.main_thread()),
        native=len(os.listdir("/proc/self/task")),  # noqa: PTH208 - names alone
        descriptors=processes.descriptors(),
        shared=frozenset(_shared()),
        children=frozenset(processes.children(os.getpid())),
    )


def settled(before: Held) -> Held:
    """What this process holds, once threads that have ended since `before` are gone.

    Providers of OpenTelemetry, for one, ask their resource detectors in a pool of threads when they are made.
    """
    until = time.monotonic() + SETTLE
    while True:
        now = held()
        if now.native <= before.native or now.threads - before.threads or time.monotonic() >= until:
            return now
        time.sleep(0.005)


def unsafe(before: Held, after: Held) -> str:
    """Why a process that came from the one to the other must not fork, or ``."""
    if others := sorted(after.threads - before.threads):
        return f"the import started threads: {_some(others)}"
    if after.native > before.native:
        return f"the import started {after.native - before.native} threads of a C library"
    if left := after.children - before.children:
        return f"the import started {len(left)} child processes"
    opened = [
        name
        for number, name in sorted(after.descriptors.items())
        if before.descriptors.get(number) != name and not name.startswith(_HARMLESS)
    ]
    if opened:
        return f"the import opened {_some(opened)}"
    if mapped := sorted(after.shared - before.shared):
        return f"the import mapped memory that is shared with other processes: {_some(mapped)}"
    return ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _shared() -> list[str]:
    found = []
    with (processes.PROC / "self/maps").open(encoding="utf-8", errors="replace") as maps:
        for line in maps:
            addresses, rights, *_, name = [*line.split(None, 5), ""][:6]
            if "w" in rights and rights.endswith("s"):
                found.append(f"{name.strip() or 'anonymous memory'} at {addresses}")
    return found
