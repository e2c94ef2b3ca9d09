"""Lets sessions grow old at once: a test that waits for their end would depend on how fast the machine is."""

from typing import Any

from crew_runtime.contract import keys


def let_pass(client: Any, prefix: str, seconds: float) -> None:
    """Moves what Redis knows of all sessions' uses into the past, and since when their time to live holds."""
    milliseconds = round(seconds * 1000)
    for key in client.scan_iter(keys.beginning(keys.session(prefix, ""))):
        client.hincrby(key, "last", -milliseconds)
    for name in client.zrange(keys.idle(prefix), 0, -1):
        client.zincrby(keys.idle(prefix), -milliseconds, name)
    if client.hexists(keys.meta(prefix), "session_ttl_since"):
        client.hincrby(keys.meta(prefix), "session_ttl_since", -milliseconds)
