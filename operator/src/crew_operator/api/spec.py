"""The spec of a CrewDeployment as frozen models. Field docstrings become the CRD's descriptions, defaults its defaults.

A field is here when it works, not before. Durations and quantities stay as written; `quantities` reads them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from crew_operator.api import names, quantities
from crew_operator.api.fields import Limits, Named, Rule, matches, one_of
from crew_runtime.contract import durability, env

Object = Mapping[str, Any]
"""A piece of Kubernetes' own API that is handed on as it is; the API server judges it where it is used."""

MEMBERS = 3
"""Of a managed Redis that fails over."""
_OPEN = {"x-kubernetes-preserve-unknown-fields": True}
Duration = Annotated[
    str,
    Limits(
        "a duration such as 90s, 30m or 720h", pattern=quantities.DURATION_PATTERN, max_length=quantities.MAX_LENGTH
    ),
]
Quantity = Annotated[
    str,
    Limits("a quantity such as 512Mi or 5Gi", pattern=quantities.QUANTITY_PATTERN, max_length=quantities.MAX_LENGTH),
]
Name = Annotated[str, Limits("a Kubernetes name", pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Key = Annotated[str, Limits("a key of a Secret or ConfigMap", pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
Text = Annotated[str, Limits("a text that is not empty", pattern=r"^\S(.*\S)?$", max_length=1024)]
_REFERENCE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
InputName = Annotated[
    str,
    # As CrewAI's own braces take it: crewai.utilities.string_utils, 1.14.7 to 1.15.30.
    Limits("the name of an input, such as topic", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=128),
]
Port = Annotated[int, Limits("a port", minimum=1, maximum=65535)]
NamedObject = Annotated[
    Object,
    Limits("an object with a name", schema={"required": ["name"], "properties": {"name": {"type": "string"}}, **_OPEN}),
]


def _by_name(most: int) -> Limits:
    return Limits(max_items=most, schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})


def _atomic(most: int) -> Limits:
    return Limits(max_items=most, schema={"x-kubernetes-list-type": "atomic"})


def _lasts(
    at: str, attribute: str, least: str = quantities.LEAST_DURATION, most: str = quantities.MOST_DURATION
) -> Rule:
    """A duration that is neither nothing nor more than can be worked with."""
    return Rule(
        f"!has(self.{at}) || (duration(self.{at}) >= duration('{least}') && duration(self.{at}) <= duration('{most}'))",
        f"{at} must be from {least} to {most}",
        lambda made: getattr(made, attribute) is None or quantities.lasts(getattr(made, attribute), least, most),
        at=at,
    )


def _amounts(resources: Object) -> Iterator[tuple[str, str]]:
    """What is wrong with requests and limits."""
    for part in ("requests", "limits"):
        amounts = resources.get(part)
        if amounts is None:
            continue
        if not isinstance(amounts, Mapping):
            yield f".{part}", "write an object such as {memory: 512Mi}"
            continue
        for name, amount in amounts.items():
            try:
                quantities.quantity(amount)
            except ValueError as error:
                yield f".{part}.{name[:100]}", f"write a quantity such as 512Mi or 5Gi: {error}"


def _amounts_schema(description: str) -> dict[str, Any]:
    # Kubernetes takes texts and numbers of any kind, for which a schema has no word.
    return {"type": "object", "description": description, "maxProperties": 32, "additionalProperties": dict(_OPEN)}


Resources = Annotated[
    Object,
    Limits(
        check=_amounts,
        schema={
            "properties": {
                "requests": _amounts_schema("What a node must have free, such as memory: 512Mi."),
                "limits": _amounts_schema("What the container may use at most, such as memory: 1Gi."),
            },
            **_OPEN,
        },
    ),
]
Texts = Annotated[Mapping[str, str], Limits(max_items=100, max_length=253)]
"""Labels, which have 63 characters at most, and what is like them."""


class Isolation(StrEnum):
    """Whose memories a kickoff sees."""

    SESSION = "Session"
    CREW = "Crew"


class OnFailure(StrEnum):
    """What a kickoff gets when its memory cannot be read or written."""

    FAIL_CLOSED = "FailClosed"
    DEGRADE = "Degrade"


class OnLoss(StrEnum):
    """What a crew does when Redis has lost memories."""

    CONTINUE = "Continue"
    STOP = "Stop"


class Injection(StrEnum):
    """How the runtime comes into the crew's image."""

    AUTO = "Auto"
    NONE = "None"


class ImageEntrypoint(StrEnum):
    """What becomes of the ENTRYPOINT of the crew's image."""

    REPLACE = "Replace"
    KEEP = "Keep"


class ApiAuth(StrEnum):
    """What a caller of the crew's API has to show."""

    TOKEN = "Token"  # noqa: S105 - a word of the spec
    NONE = "None"


class OnReplicaLoss(StrEnum):
    """What becomes of a kickoff whose replica or worker died."""

    RETRY = "Retry"
    FAIL = "Fail"


class Processes(StrEnum):
    """Which kickoffs may run in one process, one after the other."""

    PER_KICKOFF = env.PER_KICKOFF
    PER_SESSION = env.PER_SESSION
    SHARED = env.SHARED


class AppendFsync(StrEnum):
    """When Redis forces its log to the disk."""

    EVERYSEC = "everysec"
    ALWAYS = "always"


class Durability(StrEnum):
    """How far a write has come before it is acknowledged."""

    BUFFERED = durability.BUFFERED
    FSYNC = durability.FSYNC
    REPLICATED = durability.REPLICATED


class AccessMode(StrEnum):
    """Who may mount a volume at once, in Kubernetes' words."""

    MANY = "ReadWriteMany"
    ONCE = "ReadWriteOnce"
    ONCE_POD = "ReadWriteOncePod"


class WhenDeleted(StrEnum):
    """What becomes of the volume."""

    RETAIN = "Retain"
    DELETE = "Delete"


class VectorType(StrEnum):
    """How vectors are kept."""

    FLOAT32 = "Float32"
    FLOAT16 = "Float16"


class HistoryFormat(StrEnum):
    """How messages are kept."""

    LANGCHAIN = env.LANGCHAIN


class MemoryBackend(StrEnum):
    """Where memories lie."""

    REDIS = "Redis"


@dataclass(frozen=True)
class KeyRef:
    """A key of a Secret or ConfigMap in the CrewDeployment's namespace."""

    name: Name
    """Name of the object."""
    key: Key
    """Key in its data."""


@dataclass(frozen=True)
class NameRef:
    """An object in the CrewDeployment's namespace."""

    name: Name
    """Name of the object."""


@dataclass(frozen=True)
class SecretSource:
    """A value that is read from a Secret."""

    secret_key_ref: KeyRef
    """The Secret and its key."""


@dataclass(frozen=True)
class FileSource:
    """A file's content, out of a Secret or a ConfigMap."""

    RULES: ClassVar = (one_of("secret_key_ref", "config_map_key_ref"),)

    secret_key_ref: KeyRef | None = None
    """A Secret and its key."""
    config_map_key_ref: KeyRef | None = None
    """A ConfigMap and its key."""


_FREE = {"type": "object", **_OPEN}
Declared = Annotated[
    Object,
    Limits(
        "agents and tasks",
        max_length=1_048_576,  # of a text in it: no ConfigMap takes more
        schema={
            "required": ["agents", "tasks"],
            "properties": {
                "agents": {
                    "type": "object",
                    "description": "Each agent by its name: role, goal, backstory, llm and what else CrewAI knows.",
                    "minProperties": 1,
                    "maxProperties": 100,
                    "additionalProperties": _FREE,
                },
                "tasks": {
                    "type": "array",
                    "description": "The tasks in their order: name, agent, description, expected_output and so on.",
                    "minItems": 1,
                    "maxItems": 500,
                    "items": _FREE,
                    "x-kubernetes-list-type": "atomic",
                },
            },
            **_OPEN,
        },
    ),
]
AGENT_NAME = r"^[-._a-zA-Z0-9]{1,200}$"
"""Of a declared agent: it becomes the key of a ConfigMap."""


def _agents_are_named(definition: "Definition") -> bool:
    agents = (definition.inline or {}).get("agents") or {}
    return all(name != "crew" and matches(AGENT_NAME, name) for name in agents)


@dataclass(frozen=True)
class Definition:
    """A crew that is declared instead of programmed."""

    RULES: ClassVar = (
        one_of("config_map_ref", "inline"),
        Rule(
            f"!has(self.inline) || self.inline.agents.all(name, name != 'crew' && name.matches('{AGENT_NAME}'))",
            "name agents with letters, digits and . _ - only, and none of them crew: each becomes a file",
            _agents_are_named,
        ),
    )

    config_map_ref: NameRef | None = None
    """A ConfigMap with the crew's files: `crew.jsonc` as CrewAI has it, the same in YAML as `crew.yaml`, or the
    `agents.yaml` and `tasks.yaml` of a project. Python that they refer to may lie beside them."""
    inline: Declared | None = None
    """The crew itself, with the fields of CrewAI's crew.jsonc: agents, tasks, memory, process, embedder and so on."""


@dataclass(frozen=True)
class Runtime:
    """How the runtime comes to the crew's image."""

    injection: Injection = Injection.AUTO
    """Auto: an init container puts the runtime beside the image, which stays as it is and needs nothing but Python 3.11
    to 3.13 with crewai. None: the image has crew-runtime installed."""
    image: Text | None = None
    """Image of the runtime. When unset it is the operator's at the time of the crew's first rollout, and of each later
    one that the crew itself asks for: a new operator rolls no crew."""
    python: Annotated[str, Limits("an absolute path", pattern=r"^/\S+$", max_length=1024)] | None = None
    """Interpreter of the image that has crewai; looked for when unset: the image's virtual environments first, then its
    PATH."""
    image_entrypoint: ImageEntrypoint = ImageEntrypoint.REPLACE
    """Keep: the image's ENTRYPOINT runs with the runtime's command as its arguments, and has to end in exec "$@"."""


_LABELS = {
    "type": "object",
    "properties": {
        "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
        "matchExpressions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "operator"],
                "properties": {
                    "key": {"type": "string"},
                    "operator": {"type": "string"},
                    "values": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}
PolicyPeer = Annotated[
    Object,
    Limits(
        "a peer as in a NetworkPolicy",
        schema={
            "minProperties": 1,
            "properties": {
                "podSelector": _LABELS,
                "namespaceSelector": _LABELS,
                "ipBlock": {
                    "type": "object",
                    "required": ["cidr"],
                    "properties": {
                        "cidr": {"type": "string"},
                        "except": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
    ),
]


@dataclass(frozen=True)
class Api:
    """Who may use the crew's HTTP API."""

    RULES: ClassVar = (
        Rule(
            "!has(self.tokenFrom) || !has(self.auth) || self.auth == 'Token'",
            "auth: None asks for no token: remove tokenFrom, or set auth to Token",
            lambda api: api.token_from is None or api.auth is not ApiAuth.NONE,
        ),
    )

    auth: ApiAuth | None = None
    """Token: every call has to show a bearer token. None: the API is open to who reaches it. When unset it is Token,
    but for a crew that ran before this field was known: that stays as it was, and Ready says ApiOpen if it is open."""
    token_from: SecretSource | None = None
    """The token; when unset one is generated once, into the key token of the Secret NAME-api-token, and kept."""
    allow_from: (
        Annotated[tuple[PolicyPeer, ...], Limits(max_items=100, schema={"x-kubernetes-list-type": "atomic"})] | None
    ) = None
    """Who reaches the API where the cluster enforces NetworkPolicies: peers as in a NetworkPolicy, such as an ingress
    controller's namespace; an empty list for nobody. When unset it is every pod of the crew's own namespace, and for a
    crew that ran before this field was known everybody, as before."""


OTHERS_PATHS = r"^/(crewops|tmp|proc|sys|dev)(/|$)"
"""Where the crew's pods, or every container, have something else mounted."""


_GROWS = Rule(
    "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
    "a volume can grow but not shrink: put the old size back or a larger one",
    at="size",
)
_KEEPS_ITS_CLASS = Rule(
    "has(self.storageClassName) == has(oldSelf.storageClassName) && "
    "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
    "storageClassName cannot change: a claim keeps its class",
    at="storageClassName",
)
_HAS_A_SIZE = Rule(
    "quantity(self.size).isGreaterThan(quantity('0'))",
    "a volume has a size: write one such as 1Gi",
    lambda storage: quantities.is_some(storage.size),
    at="size",
)


@dataclass(frozen=True)
class CrewStorage:
    """A volume for the crew's files: one claim, which all replicas mount."""

    RULES: ClassVar = (
        _GROWS,
        _KEEPS_ITS_CLASS,
        _HAS_A_SIZE,
        Rule(
            "self.accessModes == oldSelf.accessModes",
            "accessModes cannot change: a claim keeps its modes",
            at="accessModes",
        ),
        Rule(
            "self.accessModes.size() > 0",
            "write ReadWriteMany, or with one replica ReadWriteOnce or ReadWriteOncePod",
            lambda storage: bool(storage.access_modes),
            at="accessModes",
        ),
        Rule(
            "self.accessModes.size() < 2 || self.accessModes.all(mode, mode != 'ReadWriteOncePod')",
            "ReadWriteOncePod goes with no other mode: remove it or the others",
            lambda storage: len(storage.access_modes) < 2 or AccessMode.ONCE_POD not in storage.access_modes,
            at="accessModes",
        ),
        Rule(
            f"!self.mountPath.matches('{OTHERS_PATHS}')",
            "take another path, such as /data: the crew's pods have something else mounted there",
            lambda storage: not matches(OTHERS_PATHS, storage.mount_path),
            at="mountPath",
        ),
    )

    size: Quantity
    """Of the claim. Can grow, when the storage class allows expansion; cannot shrink."""
    storage_class_name: Name | None = None
    """Storage class of the claim; the cluster's default when unset. It has to offer the access modes. Immutable."""
    access_modes: Annotated[tuple[AccessMode, ...], Limits(max_items=3, unique=True)] = (AccessMode.MANY,)
    """ReadWriteMany: any number of replicas on any nodes. With ReadWriteOnce or ReadWriteOncePod there can be one
    replica only, and a rollout ends it before the next one starts. Immutable."""
    mount_path: Annotated[
        str, Limits("an absolute path such as /data", pattern=r"^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$", max_length=200)
    ] = "/data"
    """Where the crew's container has it. What tasks write by a relative `output_file` lands below it."""
    when_deleted: WhenDeleted = WhenDeleted.RETAIN
    """What becomes of the claim, and of the files in it, when the CrewDeployment is deleted."""

    @property
    def is_shared(self) -> bool:
        """Whether pods on several nodes may have it at once."""
        return AccessMode.MANY in self.access_modes


@dataclass(frozen=True)
class Crew:
    """The crew: its code or its definition, and how it runs."""

    RULES: ClassVar = (
        Rule(
            "has(self.definition) != (has(self.image) || has(self.entrypoint))",
            "set either image and entrypoint, or definition",
            lambda crew: (crew.definition is None) != (crew.image is None and crew.entrypoint is None),
        ),
        Rule(
            "has(self.image) == has(self.entrypoint)",
            "image and entrypoint go together: the image holds the code, the entrypoint names the crew in it",
            lambda crew: (crew.image is None) == (crew.entrypoint is None),
        ),
        Rule(
            "!has(self.apiTokenFrom) || !has(self.api) || !has(self.api.tokenFrom)",
            "apiTokenFrom is the older spelling of api.tokenFrom: keep one of the two",
            lambda crew: crew.api_token_from is None or crew.api.token_from is None,
        ),
        Rule(
            "!has(self.apiTokenFrom) || !has(self.api) || !has(self.api.auth) || self.api.auth == 'Token'",
            "api.auth: None asks for no token: remove apiTokenFrom, or set api.auth to Token",
            lambda crew: crew.api_token_from is None or crew.api.auth is not ApiAuth.NONE,
        ),
        _lasts("kickoffTimeout", "kickoff_timeout"),
        _lasts("gracePeriod", "grace_period"),
    )

    image: Text | None = None
    """Image with the crew's code, Python and crewai; it needs nothing of CrewOps."""
    entrypoint: (
        Annotated[
            str,
            Limits(
                "module:attr, such as concierge.crew:Concierge",
                pattern=_REFERENCE_PATTERN,
                max_length=253,
            ),
        ]
        | None
    ) = None
    """`module:attr` of a Crew, a @CrewBase class, a Flow, or a function that returns one."""
    definition: Definition | None = None
    """A crew declared in a ConfigMap or right here; it runs in the operator's runtime image, and a change of it rolls
    the replicas out."""
    runtime: Runtime = field(default_factory=Runtime)
    """How the runtime comes to the crew's image."""
    env: Annotated[tuple[NamedObject, ...], _by_name(500)] = ()
    """Variables of the crew's container, as in a Pod. Names that begin with CREWOPS_ are the operator's and ignored.
    A value has at most 131072 characters: Linux starts no program with a longer one."""
    env_from: Annotated[tuple[Annotated[Object, Limits(schema=_OPEN)], ...], _atomic(100)] = ()
    """Secrets and ConfigMaps whose keys become variables of the crew's container, as in a Pod."""
    concurrency: Annotated[int, Limits("a number from 1 to 256", minimum=1, maximum=256)] = 4
    """Kickoffs that run at once in one replica, each in a process of its own."""
    processes: Processes = Processes.PER_KICKOFF
    """Which kickoffs may run in one process. PerKickoff: each has a process of its own, which then ends. PerSession:
    those of one session on one replica may share one, which no other session ever enters. Shared: a process serves
    any, one after the other, so what the crew keeps in Python objects is seen by later kickoffs of other sessions."""
    warm_up: (
        Annotated[
            str,
            Limits("module:function, such as concierge.models:load", pattern=_REFERENCE_PATTERN, max_length=253),
        ]
        | None
    ) = None
    """`module:function` that is called without arguments in each spare process, before a kickoff needs it: to load a
    model, say. The crew's embedder is warmed up without it."""
    inputs: Annotated[tuple[InputName, ...], Limits(max_items=100, unique=True)] | None = None
    """Names of the inputs that a kickoff has to give; an empty list for none. When unset they are those that the crew's
    texts ask for in braces."""
    kickoff_timeout: Duration = "30m"
    """After so long in a slot a kickoff is stopped, whatever it does; its time in the queue does not count."""
    grace_period: Duration | None = None
    """How long a replica that is told to stop (by a rollout, a scale-down, a drain of its node) lets its kickoffs run
    before it hands them on; kickoffTimeout when unset, 10m at most."""
    on_replica_loss: OnReplicaLoss = OnReplicaLoss.RETRY
    """What becomes of a kickoff whose replica or worker died. Retry: any replica continues it behind its
    finished tasks, or starts it again where that is impossible, 3 times at most; tools may act twice. Fail: it ends as
    an error."""
    api: Api = field(default_factory=Api)
    """Who may use the crew's HTTP API: by a token, and from where."""
    api_token_from: SecretSource | None = None
    """Older spelling of `api.tokenFrom`."""
    webhook_hosts: Annotated[
        tuple[
            Annotated[str, Limits("a host name, * for any part of it", pattern=r"^[A-Za-z0-9.*_:-]+$", max_length=253)],
            ...,
        ],
        _atomic(100),
    ] = ()
    """Hosts that webhooks may name, such as *.example.com; any when unset. Private addresses have to be named here, by
    the host without a wildcard or by a pattern of addresses such as 10.*; those of the pod itself, of its link and of
    the cloud's metadata service without any wildcard."""
    storage: CrewStorage | None = None
    """A volume for the crew's files, such as what tasks write by `output_file`: one claim, NAME-files, for all
    replicas. Without it each replica has its own files, which end with its pod. When it is removed, the claim stays."""

    @property
    def token_from(self) -> SecretSource | None:
        """The API's token, in whichever spelling."""
        return self.api.token_from or self.api_token_from

    @property
    def auth(self) -> ApiAuth | None:
        """What the spec says of it; None: nothing."""
        return self.api.auth or (ApiAuth.TOKEN if self.token_from else None)


@dataclass(frozen=True)
class Kickoffs:
    """What is kept of kickoffs, how many there may be, and what each may take."""

    RULES: ClassVar = (_lasts("retention", "retention"), _lasts("humanInputTimeout", "human_input_timeout"))

    retention: Duration = "24h"
    """How long a kickoff's status, result and events are kept after its end, and an idempotency key after its first
    use. Inputs go after an hour."""
    max_bytes: Quantity | None = None
    """Of Redis' memory that all kickoffs together may take, at least 6 kB each; beyond it new ones are refused, so that
    memories can still be saved. A quarter of Redis' maxmemory when unset, 256Mi if it has none."""
    max_waiting: Annotated[int, Limits("a number from 1 to 100000", minimum=1, maximum=100_000)] = 1000
    """Kickoffs of the crew that may wait for a free slot of any replica; beyond it new ones are refused."""
    human_input_timeout: Duration = "168h"
    """How long a kickoff waits for a person's answer; then it ends as timeout."""
    memory: Quantity = "1Gi"
    """What one kickoff may take beyond what its process had at its start; one that takes more is stopped."""


@dataclass(frozen=True)
class Messages:
    """What the user and the crew said, by session."""

    enabled: bool = False
    """Whether each kickoff that completes adds what the user said and what the crew answered to its session's messages
    in Redis."""
    format: HistoryFormat = HistoryFormat.LANGCHAIN
    """How they are kept. LangChain: as the list of langchain_community's RedisChatMessageHistory, which reads it."""
    input: InputName | None = None
    """Name of the input that is what the user said; all inputs, as JSON, when unset or not given."""
    max_messages: Annotated[int, Limits("a number from 2 to 10000", minimum=2, maximum=10_000)] = 200
    """Messages that are kept of a session; the oldest go."""
    turns: Annotated[int, Limits("a number from 1 to 500", minimum=1, maximum=500)] = 10
    """Turns of the session that the input `history` is filled with, when the crew's texts ask for {history} and the
    caller gave none."""


@dataclass(frozen=True)
class PostgresHistory:
    """A Postgres in which kickoffs are kept beyond their retention in Redis, for whoever has to account for them."""

    RULES: ClassVar = (_lasts("retention", "retention", "24h"),)

    url_from: SecretSource
    """`postgresql://[user[:password]@]host[:port]/database[?sslmode=require]`, out of a Secret. The user makes the
    schema `crewops` and its tables, or owns them."""
    ca_from: FileSource | None = None
    """PEM certificate to verify the server with; it is not verified when unset, unless the URL asks for it."""
    retention: Duration | None = None
    """How long rows are kept; a month goes when all of it is older. For ever when unset."""
    max_bytes: Quantity = "64Mi"
    """Of Redis' memory that may wait for Postgres while it is away; what is beyond is not kept, and HistoryCurrent says
    so."""


@dataclass(frozen=True)
class History:
    """What is kept of what was said, beside the crew's memory."""

    messages: Messages = field(default_factory=Messages)
    """What the user and the crew said, by session. Lives as long as the session, see memory.sessionTTL."""
    postgres: PostgresHistory | None = None
    """A durable history of kickoffs, task outputs, messages, questions to people and erasures; none when unset."""


@dataclass(frozen=True)
class Storage:
    """The volume of the managed Redis."""

    RULES: ClassVar = (_GROWS, _KEEPS_ITS_CLASS, _HAS_A_SIZE)

    size: Quantity = "1Gi"
    """Of the claim. Can grow, when the storage class allows expansion; cannot shrink."""
    storage_class_name: Name | None = None
    """Storage class of the claim; the cluster's default when unset. Immutable."""
    when_deleted: WhenDeleted = WhenDeleted.RETAIN
    """What becomes of the claim, and of the memories in it, when the CrewDeployment is deleted."""


@dataclass(frozen=True)
class PasswordRotation:
    """When the crew gets another password for its Redis by itself."""

    RULES: ClassVar = (_lasts("every", "every", "1h"),)

    every: Duration
    """Age at which the password is replaced by a random one, also where you wrote it yourself; 1h at least."""


@dataclass(frozen=True)
class ManagedRedis:
    """A Redis that the operator runs for this crew alone."""

    RULES: ClassVar = (
        Rule(
            "self.replicas != 2",
            "replicas must be 1 or 3: of two members neither can tell that the other one is gone",
            lambda redis: redis.replicas in (1, MEMBERS),
            at="replicas",
        ),
    )

    replicas: Annotated[int, Limits("1 or 3", minimum=1, maximum=3)] = 1
    """Members that hold the same data, each with a volume of its own. With 3 the operator makes another one the
    primary when it is gone, and no acknowledged write is lost; with 1 a lost node takes Redis away until its volume is
    back. Can change while the crew runs; docs/failover.md says how the others come and go."""
    image: Text | None = None
    """Redis 8 or newer, with its search module; the operator's default when unset. Its entrypoint is kept."""
    storage: Storage = field(default_factory=Storage)
    """Its volume."""
    append_fsync: AppendFsync = AppendFsync.EVERYSEC
    """`always` loses nothing on power loss, but a write takes 4 times as long; `everysec` may lose the last 2 seconds.
    With spec.memory.durability: Fsync it is `always`, whatever stands here."""
    max_memory: Annotated[
        str, Limits("a percentage such as 75%", pattern=quantities.PERCENT_PATTERN, max_length=len("100%"))
    ] = "75%"
    """Of the container's memory limit: above it Redis refuses writes (it never evicts), the rest is for its buffers."""
    resources: Resources = field(
        default_factory=lambda: {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
    )
    """Requests and limits of its container. Without limits.memory Redis has no maxmemory."""
    password_rotation: PasswordRotation | None = None
    """The crew's password is replaced at times, without a restart or a failed kickoff; only by hand when unset."""


@dataclass(frozen=True)
class ExternalRedis:
    """A Redis that somebody else runs."""

    url_from: SecretSource
    """`redis[s]://[user[:password]@]host:port[/db]`, out of a Secret."""
    ca_from: FileSource | None = None
    """PEM certificate to verify a `rediss://` server with; the system's when unset."""


@dataclass(frozen=True)
class Redis:
    """Where the crew's memory lives: one of managed and external."""

    RULES: ClassVar = (
        one_of("managed", "external"),
        Rule(
            "has(self.managed) == has(oldSelf.managed)",
            "managed and external cannot be exchanged: the memories would stay behind; make a new CrewDeployment",
        ),
    )

    managed: ManagedRedis | None = None
    """A Redis that the operator runs for this crew alone."""
    external: ExternalRedis | None = None
    """A Redis that somebody else runs."""

    @property
    def members(self) -> int | None:
        """Redis processes that hold the same data; None: whoever runs them knows."""
        return self.managed.replicas if self.managed is not None else None


@dataclass(frozen=True)
class Embedder:
    """What the crew is declared to embed with; a store that holds other vectors is refused."""

    provider: Text
    """As in CrewAI's embedder configuration: openai, ollama, ..."""
    model: Text | None = None
    """The model's name at its provider."""
    dimension: Annotated[int, Limits("a number from 1 to 65536", minimum=1, maximum=65536)] | None = None
    """Length of its vectors."""


@dataclass(frozen=True)
class Memory:
    """How the crew remembers."""

    RULES: ClassVar = (
        Rule(
            "has(self.keyPrefix) == has(oldSelf.keyPrefix) && "
            "(!has(self.keyPrefix) || self.keyPrefix == oldSelf.keyPrefix)",
            "keyPrefix cannot change: the memories under the old one would be lost from sight",
            at="keyPrefix",
        ),
        Rule(
            "self.vectorType == oldSelf.vectorType",
            "vectorType cannot change: the memories that are there are kept in the old one",
            at="vectorType",
        ),
        _lasts("sessionTTL", "session_ttl"),
        _lasts("timeout", "timeout", "50ms", "10m"),
    )

    backend: MemoryBackend = MemoryBackend.REDIS
    """Where memories lie."""
    key_prefix: (
        Annotated[
            str,
            Limits(
                "letters, digits and . _ / - only",
                pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$",
                max_length=200,
            ),
        ]
        | None
    ) = None
    """Prefix of the crew's keys in Redis; `namespace/name` when unset. Crews with the same one on the same Redis share
    their memories. Immutable."""
    isolation: Isolation = Isolation.SESSION
    """Session: a kickoff sees its session's memories and the crew's common ones. Crew: sessions share everything."""
    session_ttl: Annotated[Duration, Named("sessionTTL")] | None = None
    """A session that idle for so long is forgotten; never when unset."""
    on_failure: OnFailure = OnFailure.FAIL_CLOSED
    """What a kickoff gets when its memory cannot be read or written. FailClosed: it ends as an error. Degrade: it ends
    and says that its memory was degraded."""
    on_loss: OnLoss = OnLoss.CONTINUE
    """What becomes of the crew when Redis has lost memories that were in it. Continue: it goes on with what is there.
    Stop: it has no replica until the loss is accepted, or the memories are back. MemoryDurable says so in both."""
    durability: Durability | None = None
    """How far a kickoff, its end, a person's answer and whatever is saved have come before they are acknowledged.
    Buffered: Redis has them in memory, and on its disk as its appendfsync says. Fsync: they are on its disk; Redis 7.2
    or newer, and a managed one gets `appendfsync always`. Replicated: a replica of Redis has them too; a managed Redis
    has some with `replicas: 3`. What does not come so far within `timeout` is not acknowledged: clients get 503, a
    kickoff's memory has failed. Replicated with a managed Redis of three members when unset, else Buffered."""
    timeout: Duration = "2s"
    """How long one call of Redis may take, before it counts as failed; at start it has ten times as long."""
    vector_type: VectorType = VectorType.FLOAT32
    """How the embedder's vectors are kept. Float16 takes half the memory and is searched faster, at three digits of
    precision; values beyond 65504 are refused. Needs a server that knows it (Redis 8, or RediSearch 2.10). A store that
    holds memories already keeps its own. Immutable."""
    embedder: Embedder | None = None
    """What the crew is declared to embed with, checked against what the store holds."""


@dataclass(frozen=True)
class Template:
    """How the crew's pods look, beyond what the operator needs of them; as in a Pod where not said otherwise."""

    labels: Texts = field(default_factory=dict)
    """More labels of the pods; the operator's own win."""
    annotations: Annotated[Mapping[str, str], Limits(max_items=100, max_length=16384)] = field(default_factory=dict)
    """More annotations of the pods."""
    resources: Resources = field(default_factory=dict)
    """Requests and limits of the crew's container."""
    node_selector: Texts = field(default_factory=dict)
    """Labels of the nodes to run on."""
    tolerations: Annotated[tuple[Annotated[Object, Limits(schema=_OPEN)], ...], _atomic(100)] = ()
    """Taints to tolerate."""
    affinity: Annotated[Object, Limits(schema=_OPEN)] = field(default_factory=dict)
    """Affinity and anti-affinity."""
    topology_spread_constraints: Annotated[tuple[Annotated[Object, Limits(schema=_OPEN)], ...], _atomic(100)] = ()
    """Spread over zones and nodes; a constraint without labelSelector gets the crew's pods."""
    service_account_name: Name | None = None
    """Service account of the pods; no token is mounted unless it is set."""
    security_context: Annotated[Object, Limits(schema=_OPEN)] = field(default_factory=dict)
    """Pod security context, laid over the restricted default."""
    image_pull_secrets: Annotated[tuple[NamedObject, ...], _by_name(100)] = ()
    """Secrets to pull images with."""
    volumes: Annotated[tuple[NamedObject, ...], _by_name(100)] = ()
    """More volumes of the pods."""
    volume_mounts: Annotated[tuple[NamedObject, ...], _atomic(100)] = ()
    """More mounts of the crew's container."""


@dataclass(frozen=True)
class Spec:
    """A crew that runs as replicas which share one memory."""

    RULES: ClassVar = (
        Rule(
            "!has(self.memory) || !has(self.memory.durability) || self.memory.durability != 'Replicated' || "
            "(has(self.redis) && (has(self.redis.external) || "
            "(has(self.redis.managed) && self.redis.managed.replicas > 1)))",
            "Replicated needs a replica of Redis: set spec.redis.managed.replicas to 3, write Fsync, or use an "
            "external Redis that has replicas",
            lambda spec: spec.durability is not Durability.REPLICATED or spec.redis.members != 1,
            at="memory.durability",
        ),
        Rule(
            "!has(self.crew.storage) || self.replicas <= 1 || "
            "self.crew.storage.accessModes.exists(mode, mode == 'ReadWriteMany')",
            "ReadWriteOnce is for one node, and replicas on others would never start: set replicas to 1, or begin with "
            "accessModes: [ReadWriteMany] and a storage class that offers it",
            lambda spec: spec.crew.storage is None or spec.replicas <= 1 or spec.crew.storage.is_shared,
            at="crew.storage.accessModes",
        ),
    )

    crew: Crew
    """The crew: its code or its definition, and how it runs."""
    replicas: Annotated[int, Limits("a number from 0 to 1000", minimum=0, maximum=1000)] = 1
    """Replicas wanted; also by kubectl scale and a HorizontalPodAutoscaler."""
    redis: Redis = field(default_factory=lambda: Redis(managed=ManagedRedis()))
    """Where the crew's memory lives; a managed Redis of 1Gi when unset."""
    memory: Memory = field(default_factory=Memory)
    """How the crew remembers."""
    kickoffs: Kickoffs = field(default_factory=Kickoffs)
    """What is kept of kickoffs, how many there may be, and what each may take."""
    history: History = field(default_factory=History)
    """What is kept of what was said, beside the crew's memory."""
    template: Template = field(default_factory=Template)
    """How the crew's pods look."""

    @property
    def durability(self) -> Durability:
        """As asked for, or what goes with its Redis."""
        return self.memory.durability or _durability_of(self.redis)


def _durability_of(redis: Redis) -> Durability:
    """What is asked for when the spec does not say."""
    return Durability(durability.default(redis.members or 1))


@dataclass(frozen=True)
class CrewDeployment:
    """A CrewDeployment: who it is and what it asks for."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: Spec

    @property
    def key_prefix(self) -> str:
        """Of its keys in Redis."""
        return self.spec.memory.key_prefix or names.key_prefix(self.namespace, self.name)
