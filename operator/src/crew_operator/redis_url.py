"""The URL of an external Redis: pure, and what is wrong with one is said without a piece of it, as a password that is
not percent-encoded may end up in any of its parts.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote

from crew_runtime import contract
from crew_runtime.contract import redis_url
from crew_runtime.contract.redis_url import ENCODED, SHAPE

PARAMETERS: Final = frozenset(
    {
        *("db", "username", "password", "protocol", "client_name", "lib_name", "lib_version", "encoding"),
        *("encoding_errors", "decode_responses", "health_check_interval", "max_connections", "timeout"),
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size", "retry_on_timeout"),
        *("legacy_responses", "ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_include_verify_flags"),
        *("ssl_exclude_verify_flags", "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_check_hostname"),
        *("ssl_min_version", "ssl_ciphers", "ssl_password"),
    }
)
"""What redis-py, with which replicas connect, takes behind a `?`; it fails at any other."""
_NUMBERS: Final = frozenset(
    {
        *("db", "protocol", "health_check_interval", "max_connections", "timeout", "socket_timeout"),
        *("socket_connect_timeout", "socket_read_size", "ssl_min_version"),
    }
)
_NO: Final = frozenset({"", "0", "F", "FALSE", "N", "NO"})
_PARAMETER: Final = f"the URL has a parameter behind its ? that no Redis client takes; write {SHAPE} into the Secret"
_REMEDY: Final = f"write {SHAPE} into the Secret, {ENCODED}"


class UrlError(ValueError):
    """A URL, or what belongs to it, that cannot be used. Its text is ours and may be shown."""


@dataclass(frozen=True)
class RedisUrl:
    """Where a Redis is, and as whom to speak to it."""

    host: str
    port: int = contract.REDIS_PORT
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    verify: bool = True
    """The certificate."""
    check_hostname: bool = True
    exclude_verify_flags: tuple[str, ...] = ()
    """Names of `ssl.VerifyFlags` that are not to be asked for."""

    @property
    def address(self) -> str:
        """`redis[s]://host:port`: what may be shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}"


def parse(url: str) -> RedisUrl:
    """As redis-py reads it. Raises UrlError, with the remedy and nothing of the URL, also where a part of the password
    would be read as the host, the path or what follows.
    """
    parts = redis_url.split(url)
    if parts is None:
        raise UrlError(_REMEDY)
    found = _parameters(parts)
    return RedisUrl(
        host=unquote(parts.hostname or ""),
        port=parts.port or contract.REDIS_PORT,
        tls=parts.scheme == "rediss",
        username=unquote(parts.username or "") or found.get("username", ""),
        password=unquote(parts.password or "") or found.get("password", ""),
        database=_database(parts, found),
        verify=found.get("ssl_cert_reqs", "required") != "none",
        check_hostname=found.get("ssl_check_hostname", "yes").upper() not in _NO,
        exclude_verify_flags=tuple(
            one.strip() for one in found.get("ssl_exclude_verify_flags", "").strip("[]").split(",") if one.strip()
        ),
    )


def _parameters(parts: SplitResult) -> dict[str, str]:
    try:
        found = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=32).items()}
        for name in _NUMBERS & set(found):
            float(found[name])
    except ValueError:
        raise UrlError(_PARAMETER) from None
    if not PARAMETERS.issuperset(found):
        raise UrlError(_PARAMETER)
    return found


def _database(parts: SplitResult, found: dict[str, str]) -> int:
    """The parameter wins; a path that is no number means the first one, as with redis-py."""
    digits = found.get("db") or unquote(parts.path).replace("/", "")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
