"""Environment -> the settings of the shared backend. What the processes need besides is `worker.settings`."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from crew_runtime.contract import durability, env
from crew_runtime.errors import SettingsError

LEAST_TTL = 1.0
"""Seconds."""
ISOLATIONS = ("Session", "Crew")
ON_FAILURE = ("FailClosed", "Degrade")
VECTOR_TYPES = ("Float32", "Float16")


@dataclass(frozen=True)
class Settings:
    """Where CrewAI's state goes, and by what rules."""

    redis_url: str
    key_prefix: str
    redis_password: str | None = None
    redis_credentials: str | None = None
    """Folder with the password, see `contract.redis_credentials`; wins."""
    redis_ca_file: str | None = None
    backend_deadline: float = 2.0
    """Seconds for one call: over 100 times what a call takes, and short enough for a kickoff to bear once."""
    isolation: str = "Session"
    session_ttl: float | None = None
    """Idle seconds after which a session's memories expire; None: never."""
    on_failure: str = "FailClosed"
    embedder_provider: str = ""
    embedder_model: str = ""
    dimension: int | None = None
    """Declared, not measured."""
    vector_type: str = "FLOAT32"
    """`FLOAT32` or `FLOAT16`, of a store that is new."""
    durability: str = durability.BUFFERED
    """How far what is saved has come before it counts as saved: one of `contract.durability.VALUES`."""
    files: str = ""
    """Absolute path of the folder that all replicas share for what tasks write; ``: CrewAI decides where files land."""
    files_prefix: str = ""
    """The path by which the crew's author knows that folder, without its first slash."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the variables of `contract.env`. Raises SettingsError with every problem at once."""
        read = _Reader(environ)
        url = read.text(env.REDIS_URL)
        if not url:
            read.problem(env.REDIS_URL, "has to be set, to redis[s]://host:port[/db]")
        elif urlsplit(url).scheme not in ("redis", "rediss", "unix"):
            read.problem(env.REDIS_URL, "has to begin with redis:// or rediss://")
        namespace, name = read.text(env.NAMESPACE), read.text(env.NAME)
        prefix = read.text(env.KEY_PREFIX) or (f"{namespace}/{name}" if namespace and name else "")
        if not prefix:
            read.problem(env.KEY_PREFIX, f"has to be set, or {env.NAMESPACE} and {env.NAME}")
        elif set(prefix) & set("{} \n"):
            read.problem(env.KEY_PREFIX, "must have no braces and no blanks")
        dimension = read.number(env.EMBEDDER_DIMENSION, 0)
        if dimension % 1:
            read.problem(env.EMBEDDER_DIMENSION, f"has to be a whole number, and is {dimension:g}")
        files = read.text(env.FILES)
        if files and not files.startswith("/"):
            read.problem(env.FILES, f"has to be an absolute path, and is {files!r}")
        settings = cls(
            redis_url=url,
            key_prefix=prefix,
            redis_password=environ.get(env.REDIS_PASSWORD) or None,
            redis_credentials=read.text(env.REDIS_CREDENTIALS) or None,
            redis_ca_file=read.text(env.REDIS_CA_FILE) or None,
            backend_deadline=read.number(env.BACKEND_DEADLINE, 2.0) or 2.0,
            isolation=read.choice(env.MEMORY_ISOLATION, ISOLATIONS),
            session_ttl=read.ttl(env.SESSION_TTL),
            on_failure=read.choice(env.MEMORY_ON_FAILURE, ON_FAILURE),
            embedder_provider=read.text(env.EMBEDDER_PROVIDER),
            embedder_model=read.text(env.EMBEDDER_MODEL),
            dimension=int(dimension) or None,
            vector_type=read.choice(env.VECTOR_TYPE, VECTOR_TYPES).upper(),
            durability=read.choice(env.DURABILITY, durability.VALUES),
            files=files,
            files_prefix=read.text(env.FILES_PREFIX).strip("/"),
        )
        if read.problems:
            raise SettingsError(read.problems)
        return settings


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{name} {what}")

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def number(self, name: str, default: float) -> float:
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            self.problem(name, f"has to be a number of 0 or more, and is {text!r}")
            return default
        return value

    def ttl(self, name: str) -> float | None:
        """None: it is not set. No time at all is nothing that anybody may mean: for ever, or at once?"""
        value = self.number(name, 0)
        if self.text(name) and 0 <= value < LEAST_TTL:
            self.problem(name, f"has to be {LEAST_TTL:g} or more, or unset: no end; it is {self.text(name)!r}")
        return value or None

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name) or choices[0]
        if value not in choices:
            self.problem(name, f"has to be {' or '.join(choices)}, and is {value!r}")
        return value
