"""The variables of a replica's two containers, out of the spec and in the contract's words."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from crew_operator.api import access as accesses
from crew_operator.api import names, quantities
from crew_operator.api.access import Access
from crew_operator.api.spec import (
    CrewDeployment,
    Durability,
    Injection,
    KeyRef,
    Kickoffs,
    Memory,
    Messages,
    PostgresHistory,
    Processes,
    VectorType,
)
from crew_operator.desired import files
from crew_runtime import contract
from crew_runtime.contract import env

MOST_GRACE = 600
"""Seconds that a replica has at most to finish its kickoffs when it is told to stop, unless the spec gives it more."""
STOPPING = 10
"""Seconds behind that in which what still runs is stopped and handed on."""
FAREWELL = 5
"""Seconds before that in which it goes on as ever: until every node knows that it is going, requests still reach it."""

EnvVar = dict[str, Any]
T = TypeVar("T")


def shared(crew: CrewDeployment, *, password_file: bool = True) -> list[EnvVar]:
    """For both halves: who they are, where the memory is, how it behaves.

    Args:
        password_file: they read the password of a managed Redis out of a file, where they can.
    """
    memory = crew.spec.memory
    kickoffs = crew.spec.kickoffs
    messages = crew.spec.history.messages
    values: dict[str, str | None] = {
        env.NAMESPACE: crew.namespace,
        env.NAME: crew.name,
        env.KEY_PREFIX: crew.key_prefix,
        env.MEMORY_ISOLATION: memory.isolation.value,
        env.SESSION_TTL: _seconds(memory.session_ttl) if memory.session_ttl else None,
        env.MEMORY_ON_FAILURE: memory.on_failure.value,
        env.CONCURRENCY: str(crew.spec.crew.concurrency),
        env.KICKOFF_TIMEOUT: _seconds(crew.spec.crew.kickoff_timeout),
        env.GRACE_PERIOD: str(grace_period(crew)),
        env.BACKEND_DEADLINE: _unless(memory.timeout, Memory.timeout, _seconds),
        env.SLOT_MEMORY: _unless(kickoffs.memory, Kickoffs.memory, _mebibytes),
        env.SOCKET: env.DEFAULT_SOCKET,
        env.PROCESSES: _unless(crew.spec.crew.processes, Processes.PER_KICKOFF, str),
        env.INPUTS: _unless(crew.spec.crew.inputs, None, ",".join),
        env.DURABILITY: _unless(crew.spec.durability, Durability.BUFFERED, str),
        env.VECTOR_TYPE: _unless(memory.vector_type, VectorType.FLOAT32, str),
        env.HISTORY_FORMAT: messages.format.value if messages.enabled else None,
        **_embedder(crew),
    }
    return [
        *_plain(values),
        {"name": env.REPLICA, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        *_redis(crew, password_file=password_file and reads_password(crew)),
    ]


def server(crew: CrewDeployment, access: Access, *, password_file: bool = True) -> list[EnvVar]:
    """For the half that never runs the user's code. `password_file` as above."""
    token = accesses.token(crew, access)
    kickoffs = crew.spec.kickoffs
    values = {
        env.ON_REPLICA_LOSS: crew.spec.crew.on_replica_loss.value,
        env.KICKOFF_RETENTION: _unless(kickoffs.retention, Kickoffs.retention, partial(_seconds, least=1)),
        env.KICKOFF_BYTES: _unless(kickoffs.max_bytes, None, _bytes),
        env.QUEUE_LIMIT: _unless(kickoffs.max_waiting, Kickoffs.max_waiting, str),
        env.HUMAN_INPUT_TIMEOUT: _unless(
            kickoffs.human_input_timeout, Kickoffs.human_input_timeout, partial(_seconds, least=1)
        ),
        env.WEBHOOK_HOSTS: " ".join(crew.spec.crew.webhook_hosts) or None,
        **_history(crew.spec.history.messages),
    }
    return [
        *shared(crew, password_file=password_file),
        *_plain(values),
        *_durable_history(crew),
        *([_secret(env.API_TOKEN, token)] if token else []),
    ]


def asks_for_replicas(deployment: Mapping[str, Any]) -> bool:
    """Whether the crew of this Deployment waits for a replica of Redis with each write that it acknowledges."""
    return any(
        one["name"] == env.DURABILITY and one.get("value") == Durability.REPLICATED.value
        for one in _variables(deployment)
    )


def _variables(deployment: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    pod = deployment.get("spec", {}).get("template", {}).get("spec", {})
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        yield from container.get("env") or ()


def grace_period(crew: CrewDeployment) -> int:
    """Seconds that a replica has when it is told to stop: for its kickoffs to go on, then for stopping them."""
    asked = crew.spec.crew.grace_period
    longest = min(float(MOST_GRACE), quantities.seconds(crew.spec.crew.kickoff_timeout))
    return math.ceil(longest if asked is None else quantities.seconds(asked)) + STOPPING


def worker(crew: CrewDeployment, *, password_file: bool = True) -> list[EnvVar]:
    """For the user's interpreter: ours and what to run, then the user's own. `password_file` as above."""
    spec = crew.spec.crew
    what: EnvVar
    if spec.definition is not None:
        what = {"name": env.DEFINITION, "value": names.DEFINITION_PATH}
    else:
        what = {"name": env.ENTRYPOINT, "value": spec.entrypoint}
    warm_up = [{"name": env.WARM_UP, "value": spec.warm_up}] if spec.warm_up else []
    messages = crew.spec.history.messages
    turns = {env.HISTORY_TURNS: _unless(messages.turns, Messages.turns, str) if messages.enabled else None}
    common = shared(crew, password_file=password_file)
    variables = [*common, what, *warm_up, *_plain({**turns, **files.variables(crew)}), *_home(crew), *_own(crew)]
    return list({one["name"]: one for one in variables}.values())  # a name may stand there once


def _home(crew: CrewDeployment) -> list[EnvVar]:
    """In an image that is not ours its own HOME holds, if it can be written; the launcher finds out."""
    if not injected(crew):
        home = {"name": "HOME", "value": names.STATE_PATH}
        return [home, {"name": env.STATE, "value": names.STATE_PATH}] if crew.spec.crew.definition else [home]
    python = crew.spec.crew.runtime.python
    return [
        {"name": env.STATE, "value": names.STATE_PATH},
        *([{"name": env.PYTHON, "value": python}] if python else []),
    ]


def injected(crew: CrewDeployment) -> bool:
    """Whether the runtime is put beside an image that does not have it."""
    return crew.spec.crew.image is not None and crew.spec.crew.runtime.injection is Injection.AUTO


def reads_password(crew: CrewDeployment) -> bool:
    """Whether all that a replica of this crew does takes up a new password of the managed Redis by itself, out of a
    file. Else its pods have to be made anew for one: a runtime that somebody else chose may be older than that file,
    and what the spec puts into a variable of the user's stays as it was when the process began.
    """
    spec = crew.spec.crew
    if crew.spec.redis.managed is None or spec.runtime.image is not None:
        return False
    if spec.image is not None and not injected(crew):
        return False
    secret = names.redis_auth(crew.name)
    return not (
        any(_names_password(one, secret) for one in _own(crew))
        or any(_mapping(_mapping(one).get("secretRef")).get("name") == secret for one in spec.env_from)
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    """As it is, or an empty one: what the schema leaves to Kubernetes may be anything until Kubernetes refuses it."""
    return value if isinstance(value, Mapping) else {}


def _names_password(variable: Mapping[str, Any], secret: str) -> bool:
    by_key = _mapping(_mapping(_mapping(variable).get("valueFrom")).get("secretKeyRef"))
    named = f"$({env.REDIS_PASSWORD})" in str(_mapping(variable).get("value") or "")
    return named or by_key.get("name") == secret


def has_password_file(deployment: Mapping[str, Any]) -> bool:
    """Whether the pods of this Deployment read the password of a managed Redis out of a file."""
    return any(one["name"] == env.REDIS_CREDENTIALS for one in _variables(deployment))


def ignored(crew: CrewDeployment) -> tuple[str, ...]:
    """Names in the user's env that are the operator's to set, and are therefore not applied."""
    return tuple(one["name"] for one in crew.spec.crew.env if one["name"].startswith(names.RESERVED_ENV_PREFIX))


def _own(crew: CrewDeployment) -> list[EnvVar]:
    return [dict(one) for one in crew.spec.crew.env if not one["name"].startswith(names.RESERVED_ENV_PREFIX)]


def _redis(crew: CrewDeployment, *, password_file: bool) -> list[EnvVar]:
    external = crew.spec.redis.external
    if external is None:
        url = f"redis://{names.redis(crew.name)}.{crew.namespace}.svc:{contract.REDIS_PORT}/0"
        where = {"name": env.REDIS_URL, "value": url}
        secret = names.redis_auth(crew.name)
        if not password_file:
            return [where, _secret(env.REDIS_PASSWORD, KeyRef(secret, names.PASSWORD_KEY))]
        # The variable for the user's code, which it is promised to; it stays as it is when the process begins.
        return [
            where,
            _secret(env.REDIS_PASSWORD, KeyRef(secret, names.REPLICA_PASSWORD_KEY)),
            {"name": env.REDIS_CREDENTIALS, "value": names.CREDENTIALS_PATH},
        ]
    found = [_secret(env.REDIS_URL, external.url_from.secret_key_ref)]
    if external.ca_from is not None:
        found.append({"name": env.REDIS_CA_FILE, "value": f"{names.CA_PATH}/{names.CA_FILE}"})
    return found


def _embedder(crew: CrewDeployment) -> dict[str, str | None]:
    embedder = crew.spec.memory.embedder
    if embedder is None:
        return {}
    return {
        env.EMBEDDER_PROVIDER: embedder.provider,
        env.EMBEDDER_MODEL: embedder.model,
        env.EMBEDDER_DIMENSION: str(embedder.dimension) if embedder.dimension else None,
    }


def _history(messages: Messages) -> dict[str, str | None]:
    """How a kickoff's turn is kept."""
    if not messages.enabled:
        return {}
    return {
        env.HISTORY_INPUT: messages.input,
        env.HISTORY_MAX_MESSAGES: _unless(messages.max_messages, Messages.max_messages, str),
    }


def _durable_history(crew: CrewDeployment) -> list[EnvVar]:
    """Where kickoffs are kept for good, and what they are told to have run on."""
    postgres = crew.spec.history.postgres
    if postgres is None:
        return []
    values = {
        env.HISTORY_POSTGRES_CA_FILE: f"{names.HISTORY_CA_PATH}/{names.CA_FILE}" if postgres.ca_from else None,
        env.HISTORY_POSTGRES_RETENTION: _seconds(postgres.retention) if postgres.retention else None,
        env.HISTORY_POSTGRES_BYTES: _unless(postgres.max_bytes, PostgresHistory.max_bytes, _bytes),
        env.IMAGE: crew.spec.crew.image,
    }
    return [_secret(env.HISTORY_POSTGRES_URL, postgres.url_from.secret_key_ref), *_plain(values)]


def _plain(values: Mapping[str, str | None]) -> list[EnvVar]:
    return [{"name": name, "value": value} for name, value in values.items() if value is not None]


def _secret(name: str, ref: KeyRef) -> EnvVar:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}


def _unless(value: T | None, default: T | None, written: Callable[[T], str]) -> str | None:
    """What is set only when asked for: an operator that begins to set it would roll every crew."""
    return None if value is None or value == default else written(value)


def _mebibytes(quantity: str) -> str:
    return str(max(16, int(quantities.quantity(quantity) / (1 << 20))))


def _bytes(quantity: str) -> str:
    return str(max(1 << 16, int(quantities.quantity(quantity))))


def _seconds(duration: str, *, least: float = 0) -> str:
    """At least what the server takes: a shorter one would only keep it from starting."""
    return f"{max(least, quantities.seconds(duration)):g}"
