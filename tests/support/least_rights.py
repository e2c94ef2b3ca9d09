"""The users of a Redis under test: everybody is the crew, with its rights; `admin` is for the test's own questions."""

from pathlib import Path

import redis

from crew_runtime.contract import rights

ADMIN = "admin"


_ALL = "~* &* +@all"


def include(folder: Path, *, password: str | None = None, least: bool = True) -> list[str]:
    """Arguments for redis-server, which begins with a managed Redis' users. `least`: and goes on so, by `narrow`."""
    secret = f">{password}" if password else "nopass"
    crew = " ".join(rights.rules_at_start()) if least else _ALL
    users = folder / "users.conf"
    users.write_text(f"user {ADMIN} on {secret} {_ALL}\nuser default on {secret} {crew}\n")
    return ["--include", str(users)]


def narrow(admin: redis.Redis, *, search: bool) -> None:
    """As the operator does. Tests have many key prefixes in one server: every prefix is the crew's."""
    granted = [("~cs:{*}:*" if one.startswith("~") else one) for one in rights.rules("any", search=search)]
    admin.execute_command("ACL", "SETUSER", "default", *granted)


def check(admin: redis.Redis) -> None:
    """Fails when the crew tried what it may not, even if it was content to do without."""
    asked = ((_text(one["reason"]), _text(one["object"]), _text(one["username"])) for one in admin.acl_log())
    refused = sorted({f"{reason} {what}" for reason, what, who in asked if who == "default" and reason != "auth"})
    assert not refused, f"a crew has no right to: {', '.join(refused)}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
