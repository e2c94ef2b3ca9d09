"""The pages of memory that a kickoff writes to, and having them of one's own before it begins.

A forked process shares its parent's pages until it writes to them, and CPython writes to an object whenever it counts a
reference: the first kickoff in a fresh process takes 5,000 page faults, 20 ms of its 38 (measured, 2 cores in a VM,
Python 3.11). A child that runs a kickoff which touches nothing knows which pages these are; every later child lies the
same way in memory and can take them while it waits.
"""

import array
import ctypes
import errno
import os
from collections.abc import Iterable, Sequence

from crew_runtime.worker import processes

Ranges = Sequence[tuple[int, int]]
"""Addresses, from and to, on page boundaries."""

_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE, Linux 5.14."""
_PRESENT, _EXCLUSIVE = 1 << 63, 1 << 56
"""Bits of an entry of /proc/self/pagemap. Source: Documentation/admin-guide/mm/pagemap.rst."""
_ENTRY = 8
_GAP = 1
"""Pages that may lie between two that are joined: one call costs more than one page."""
MAX_BYTES = 64 << 20
"""A kickoff that writes to more is no measure for others."""


def own() -> Ranges:
    """The writable pages that this process does not share with its parent any more; empty where that cannot be read."""
    found: list[tuple[int, int]] = []
    size = processes.PAGE
    try:
        with (processes.PROC / "self/pagemap").open("rb", buffering=0) as pagemap:
            for begin, end in _writable():
                told = os.pread(pagemap.fileno(), (end - begin) // size * _ENTRY, begin // size * _ENTRY)
                entries = array.array("Q", told[: len(told) // _ENTRY * _ENTRY])
                for number, entry in enumerate(entries):
                    if entry & _PRESENT and entry & _EXCLUSIVE:
                        _add(found, begin + number * size, size)
    except OSError:
        return ()
    return found if sum(end - begin for begin, end in found) <= MAX_BYTES else ()


def take(ranges: Iterable[Sequence[int]]) -> None:
    """Make these pages this process' own, as far as they are still there."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for begin, end in ranges:
        if libc.madvise(begin, end - begin, _POPULATE_WRITE) != 0 and ctypes.get_errno() == errno.EINVAL:
            return  # an older kernel


def _writable() -> Iterable[tuple[int, int]]:
    with (processes.PROC / "self/maps").open(encoding="utf-8", errors="replace") as maps:
        for line in maps:
            addresses, rights, *_, name = [*line.split(None, 5), ""][:6]
            if rights == "rw-p" and not name.startswith("[v"):
                begin, _, end = addresses.partition("-")
                yield int(begin, 16), int(end, 16)


def _add(found: list[tuple[int, int]], begin: int, size: int) -> None:
    if found and begin - found[-1][1] <= _GAP * size:
        found[-1] = (found[-1][0], begin + size)
    else:
        found.append((begin, begin + size))
