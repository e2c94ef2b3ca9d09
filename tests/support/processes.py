"""Processes as /proc shows them."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty when it is gone, or another user's."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return {}
    return dict(one.split("=", 1) for one in text.split("\0") if "=" in one)
