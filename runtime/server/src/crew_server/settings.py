"""The environment in, frozen settings out; or one error that names every problem."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crew_runtime.contract import HEALTH_PORT, HTTP_PORT, durability, env, redis_url, tokens
from crew_server.errors import SettingsError

FAIL_CLOSED = "FailClosed"
DEGRADE = "Degrade"
RETRY = "Retry"
FAIL = "Fail"


@dataclass(frozen=True)
class Settings:
    """All that a server is told from outside. Durations are seconds."""

    namespace: str
    name: str
    replica: str
    redis_url: str
    key_prefix: str
    redis_password: str | None = None
    redis_credentials: str | None = None
    """Folder with the password, see `contract.redis_credentials`; wins."""
    redis_ca_file: str | None = None
    backend_deadline: float = 2.0
    """Of one call; long enough for a slow disk under Redis, short enough to be noticed before a probe is."""
    fail_closed: bool = True
    durability: str = durability.BUFFERED
    """How far a write has come before it is acknowledged: one of `contract.durability.VALUES`."""
    concurrency: int = 4
    kickoff_timeout: float = 1800.0
    slot_memory: int = 1024
    """MiB; only named in messages here, the worker half enforces it."""
    queue_limit: int = 1000
    """Kickoffs of the crew that may wait for a slot; beyond it a client gets 503. It bounds what lies in Redis."""
    human_input_timeout: float = 7 * 24 * 3600.0
    """For each question; a kickoff of a named session holds up the session's next ones while it waits."""
    retention: float = 24 * 3600.0
    """How long a kickoff's status, result and events are kept after its end."""
    session_ttl: float | None = None
    """After which a session that is not used ends; None: never."""
    history: bool = False
    """Whether each kickoff adds its turn to the messages of its session."""
    history_input: str = ""
    """Name of the input that is what the user said; empty: all of them are."""
    history_messages: int = 200
    """How many are kept of a session."""
    history_postgres: str = ""
    """URL of the Postgres with the durable history; empty: there is none. What is wrong with it is told where it is
    used: a history keeps no crew from serving."""
    history_ca_file: str | None = None
    history_retention: float | None = None
    """After which a month of it goes; None: never."""
    history_bytes: int = 64 << 20
    """Of Redis that may wait for it."""
    image: str = ""
    """The crew's, for the durable history."""
    kickoff_bytes: int | None = None
    """Of Redis' memory that all kickoffs may take; beyond it a client gets 503. None: see `budget`."""
    processes: str = env.PER_KICKOFF
    """Which kickoffs may run in one process: one of `env.PROCESSES_VALUES`."""
    retry_lost: bool = True
    """Whether a kickoff whose replica or worker died is started again; else it ends as an error."""
    grace_period: float = 30.0
    socket: str = env.DEFAULT_SOCKET
    bind_address: str = "0.0.0.0"  # noqa: S104 - a pod's only address is not known before it starts
    http_port: int = HTTP_PORT
    health_port: int = HEALTH_PORT
    api_token: str | None = None
    """None: the API is open to who reaches it."""
    webhook_hosts: tuple[str, ...] = ()
    """Patterns of the hosts that webhooks may name, whatever address they have; empty: any, but none of this pod's own,
    its link's or the cloud's metadata."""
    log_json: bool = True

    def budget(self, max_memory: int | None) -> int:
        """Bytes that all kickoffs may take in a Redis of `max_memory` bytes (0: without a limit; None: unknown).

        A quarter, unless it is set: what is left is for memories, which nobody can fetch again.
        """
        if self.kickoff_bytes is not None:
            return self.kickoff_bytes
        return max_memory // 4 if max_memory else 256 * 1024 * 1024

    @property
    def drain_budget(self) -> float:
        """How long running kickoffs may go on after SIGTERM; the last 10 s are for stopping what still runs."""
        return max(0.0, self.grace_period - 10.0)


def from_environ(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`. Raises SettingsError with every problem in it."""
    reader = _Reader(environ)
    namespace, name = reader.text(env.NAMESPACE, "default"), reader.text(env.NAME, required=True)
    settings = Settings(
        namespace=namespace,
        name=name,
        replica=reader.text(env.REPLICA, required=True),
        redis_url=reader.redis_url(),
        key_prefix=reader.text(env.KEY_PREFIX, f"{namespace}/{name}"),
        redis_password=reader.optional(env.REDIS_PASSWORD),
        redis_credentials=reader.optional(env.REDIS_CREDENTIALS),
        redis_ca_file=reader.file(env.REDIS_CA_FILE),
        backend_deadline=reader.seconds(env.BACKEND_DEADLINE, 2.0, least=0.05),
        fail_closed=reader.choice(env.MEMORY_ON_FAILURE, FAIL_CLOSED, (FAIL_CLOSED, DEGRADE)) == FAIL_CLOSED,
        durability=reader.choice(env.DURABILITY, durability.BUFFERED, durability.VALUES),
        concurrency=reader.whole(env.CONCURRENCY, 4, least=1, most=1000),
        kickoff_timeout=reader.seconds(env.KICKOFF_TIMEOUT, 1800.0, least=0.1),
        slot_memory=reader.whole(env.SLOT_MEMORY, 1024, least=16, most=1 << 24),
        queue_limit=reader.whole(env.QUEUE_LIMIT, 1000, least=1, most=100_000),
        human_input_timeout=reader.seconds(env.HUMAN_INPUT_TIMEOUT, 7 * 24 * 3600.0, least=0.1),
        retention=reader.seconds(env.KICKOFF_RETENTION, 24 * 3600.0, least=1.0),
        session_ttl=reader.seconds(env.SESSION_TTL, 0.0, least=0.0) or None,
        history=bool(
            reader.text(env.HISTORY_FORMAT) and reader.choice(env.HISTORY_FORMAT, env.LANGCHAIN, (env.LANGCHAIN,))
        ),
        history_input=reader.text(env.HISTORY_INPUT),
        history_messages=reader.whole(env.HISTORY_MAX_MESSAGES, 200, least=2, most=10_000),
        history_postgres=reader.text(env.HISTORY_POSTGRES_URL),
        history_ca_file=reader.optional(env.HISTORY_POSTGRES_CA_FILE),
        history_retention=reader.seconds(env.HISTORY_POSTGRES_RETENTION, 0.0, least=0.0) or None,
        history_bytes=reader.whole(env.HISTORY_POSTGRES_BYTES, 64 << 20, least=1 << 16, most=1 << 50),
        image=reader.text(env.IMAGE),
        kickoff_bytes=reader.whole(env.KICKOFF_BYTES, 0, least=1 << 16, most=1 << 50) or None,
        processes=reader.choice(env.PROCESSES, env.PER_KICKOFF, env.PROCESSES_VALUES),
        retry_lost=reader.choice(env.ON_REPLICA_LOSS, RETRY, (RETRY, FAIL)) == RETRY,
        grace_period=reader.seconds(env.GRACE_PERIOD, 30.0, least=0.0),
        socket=reader.text(env.SOCKET, env.DEFAULT_SOCKET),
        bind_address=reader.text(env.BIND_ADDRESS, "0.0.0.0"),  # noqa: S104 - as above
        http_port=reader.whole(env.HTTP_PORT, HTTP_PORT, least=0, most=65535),
        health_port=reader.whole(env.HEALTH_PORT, HEALTH_PORT, least=0, most=65535),
        api_token=reader.token(env.API_TOKEN),
        webhook_hosts=tuple(reader.text(env.WEBHOOK_HOSTS).split()),
        log_json=reader.choice(env.LOG_FORMAT, "json", ("json", "text")) == "json",
    )
    if reader.problems:
        raise SettingsError(reader.problems)
    return settings


class _Reader:
    """Reads variables one by one and keeps what is wrong with them; a wrong one yields its default."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def optional(self, name: str) -> str | None:
        return self._environ.get(name) or None

    def token(self, name: str) -> str | None:
        """None when it is not set. Set to nothing it is a mistake, and must not open what it should close."""
        given = self._environ.get(name)
        try:
            return None if given is None else tokens.read(given)
        except ValueError as error:
            self.problems.append(f"{name} {error}")
            return None

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        value = self._environ.get(name, "").strip()
        if not value and required:
            self.problems.append(f"{name} is not set")
        return value or default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.problems.append(f"{name} is '{value}'; set it to one of {', '.join(choices)}")
            return default
        return value

    def seconds(self, name: str, default: float, *, least: float) -> float:
        text = self.text(name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            self.problems.append(f"{name} is '{text}'; set it to a number of seconds, at least {least:g}")
            return default
        return value

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        text = self.text(name)
        if not text:
            return default
        value = int(text) if re.fullmatch(r"[0-9]{1,16}", text) else -1
        if not least <= value <= most:
            self.problems.append(f"{name} is '{text}'; set it to a whole number from {least} to {most}")
            return default
        return value

    def file(self, name: str) -> str | None:
        path = self.optional(name)
        if path and not Path(path).is_file():
            self.problems.append(f"{name} is '{path}', and there is no such file")
        return path

    def redis_url(self) -> str:
        """The URL; its password is never repeated in a problem."""
        url = self.text(env.REDIS_URL)
        if redis_url.split(url) is None:
            self.problems.append(f"{env.REDIS_URL} has to be {redis_url.SHAPE}, {redis_url.ENCODED}")
        return url
