"""Every key that a test left in Redis is one that the contract knows, and ends as it says."""

import redis

from crew_runtime.contract import lifetimes
from crew_runtime.contract.lifetimes import Life

ENDED = (b"completed", b"error", b"timeout", b"cancelled")


def check(admin: redis.Redis) -> None:
    """Fails on a key that is in no table, on one that would stay for ever, and on an ended kickoff that does."""
    wrong = [found for key in admin.scan_iter("cs:{*", count=1000) if (found := _wrong(admin, key))]
    assert not wrong, "\n".join(sorted(wrong)[:20])


def _wrong(admin: redis.Redis, key: bytes) -> str:
    name = key.decode(errors="replace")
    life = lifetimes.of(name)
    if life is None:
        return f"{name}: add it to contract.lifetimes"
    if admin.ttl(key) != -1:  # it expires, or is gone by now
        return ""
    if life is Life.EXPIRES:
        return f"{name}: lives for ever, and should expire"
    if name.partition("}:")[2].startswith("run:") and admin.type(key) == b"hash" and admin.hget(key, "status") in ENDED:
        return f"{name}: is a kickoff that has ended, and lives for ever"
    return ""
