"""What a crew may do at Redis: the commands that both halves use, on its own keys. Pure.

A test runs the suites of both halves with these rights and no others, and another one fails for a command that nothing
uses. What an older runtime needs stays here as long as that runtime may serve a crew: the operator gives all crews the
same rights, whichever runtime they have.
"""

from collections.abc import Sequence

from crew_runtime.contract import keys

COMMANDS = (
    # a connection
    "auth", "client|setname", "command|info", "hello", "info", "ping", "select", "time", "wait", "waitaof",
    # transactions and scripts
    "discard", "evalsha", "exec", "multi", "script|load", "unwatch", "watch",
    # keys
    "del", "exists", "expire", "persist", "pexpire", "pttl", "scan", "unlink",
    "decrby", "get", "incr", "incrby", "mget", "set",
    "hdel", "hexists", "hget", "hgetall", "hincrby", "hkeys", "hlen", "hmget", "hset", "hsetnx", "hstrlen",
    "hvals",
    "lindex", "llen", "lpop", "lpush", "lrange", "lrem", "ltrim", "rpush",
    "sadd", "scard", "smembers", "spop", "srem",
    "xadd", "xdel", "xlen", "xrange", "xread", "xrevrange", "xtrim",
    "zadd", "zcard", "zcount", "zmscore", "zrandmember", "zrange", "zrangebyscore", "zrem", "zrevrange", "zrevrank",
    "zscore",
)  # fmt: skip
SEARCH_COMMANDS = ("ft.aggregate", "ft.create", "ft.info", "ft.search")
"""Of the search module: a server without it refuses rules that name them."""

_UNNAMED_AT_START = ("wait", "waitaof")
"""`+@all` has them. Redis 7.0 does not know the second, and would not start with a rule that names it."""
_NOT_AT_START = (
    "@admin", "@dangerous", "@pubsub", "acl", "client", "cluster", "command", "config", "debug", "function", "latency",
    "lolwut", "memory", "module", "script", "slowlog",
)  # fmt: skip
"""All are in Redis 7.0. Categories have not all subcommands of the commands that are named besides."""


def rules(prefix: str, *, search: bool) -> tuple[str, ...]:
    """The ACL rules of the crew's user, without its password. `search`: the server has the search module."""
    commands = (*COMMANDS, *(SEARCH_COMMANDS if search else ()))
    return ("resetchannels", "resetkeys", f"~{keys.beginning(keys.root(prefix))}", "-@all", *_allowed(commands))


def rules_at_start() -> tuple[str, ...]:
    """Those of the user `default` in the configuration that a server starts with, when the crew is that user.

    More than a crew needs, until the operator has come by. Redis holds what it reads back from its append-only file to
    the rights of `default` wherever it stands between MULTI and EXEC, as all does that a script wrote, and leaves out
    what is not granted, on keys that are not granted too (seen with 8.2). It writes there other commands than were
    called: PEXPIREAT for PEXPIRE, SREM for SPOP. And a rule that names a command of a module that is missing keeps it
    from starting.
    """
    removed = (f"-{one}" for one in _NOT_AT_START)
    known = [one for one in COMMANDS if one not in _UNNAMED_AT_START]
    return ("resetchannels", "resetkeys", "~*", "+@all", *removed, *_allowed(known))


def _allowed(commands: Sequence[str]) -> Sequence[str]:
    return [f"+{one}" for one in commands]
