"""The variables of a replica's two containers, out of the spec and in the contract's words."""

from typing import Any

from crew_operator.api import names, quantities
from crew_operator.api.spec import CrewDeployment, Injection, KeyRef, VectorType
from crew_runtime import contract
from crew_runtime.contract import env

GRACE_PERIOD = 60
"""Seconds that a replica has to finish its kickoffs when it is told to stop."""
FAREWELL = 5
"""Seconds before that in which it goes on as ever: until every node knows that it is going, requests still reach it."""

EnvVar = dict[str, Any]


def shared(crew: CrewDeployment) -> list[EnvVar]:
    """For both halves: who they are, where the memory is, how it behaves."""
    memory = crew.spec.memory
    values: dict[str, str | None] = {
        env.NAMESPACE: crew.namespace,
        env.NAME: crew.name,
        env.KEY_PREFIX: crew.key_prefix,
        env.MEMORY_ISOLATION: memory.isolation.value,
        env.SESSION_TTL: _seconds(memory.session_ttl) if memory.session_ttl else None,
        env.MEMORY_ON_FAILURE: memory.on_failure.value,
        env.CONCURRENCY: str(crew.spec.crew.concurrency),
        env.KICKOFF_TIMEOUT: _seconds(crew.spec.crew.kickoff_timeout),
        env.GRACE_PERIOD: str(GRACE_PERIOD),
        env.SOCKET: env.DEFAULT_SOCKET,
        # Set only when asked for: an operator that begins to set it would roll every crew.
        env.VECTOR_TYPE: memory.vector_type.value if memory.vector_type is not VectorType.FLOAT32 else None,
        **_embedder(crew),
    }
    return [
        *({"name": name, "value": value} for name, value in values.items() if value is not None),
        {"name": env.REPLICA, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        *_redis(crew),
    ]


def server(crew: CrewDeployment) -> list[EnvVar]:
    """For the half that never runs the user's code."""
    token = crew.spec.crew.api_token_from
    loss = {"name": env.ON_REPLICA_LOSS, "value": crew.spec.crew.on_replica_loss.value}
    hosts = crew.spec.crew.webhook_hosts
    return [
        *shared(crew),
        loss,
        *([{"name": env.WEBHOOK_HOSTS, "value": " ".join(hosts)}] if hosts else []),
        *([_secret(env.API_TOKEN, token.secret_key_ref)] if token else []),
    ]


def worker(crew: CrewDeployment) -> list[EnvVar]:
    """For the user's interpreter: ours and what to run, then the user's own."""
    spec = crew.spec.crew
    what: EnvVar
    if spec.definition is not None:
        what = {"name": env.DEFINITION, "value": names.DEFINITION_PATH}
    else:
        what = {"name": env.ENTRYPOINT, "value": spec.entrypoint}
    variables = [*shared(crew), what, *_home(crew), *_own(crew)]
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


def ignored(crew: CrewDeployment) -> tuple[str, ...]:
    """Names in the user's env that are the operator's to set, and are therefore not applied."""
    return tuple(one["name"] for one in crew.spec.crew.env if one["name"].startswith(names.RESERVED_ENV_PREFIX))


def _own(crew: CrewDeployment) -> list[EnvVar]:
    return [dict(one) for one in crew.spec.crew.env if not one["name"].startswith(names.RESERVED_ENV_PREFIX)]


def _redis(crew: CrewDeployment) -> list[EnvVar]:
    external = crew.spec.redis.external
    if external is None:
        url = f"redis://{names.redis(crew.name)}.{crew.namespace}.svc:{contract.REDIS_PORT}/0"
        return [
            {"name": env.REDIS_URL, "value": url},
            _secret(env.REDIS_PASSWORD, KeyRef(names.redis_auth(crew.name), names.PASSWORD_KEY)),
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


def _secret(name: str, ref: KeyRef) -> EnvVar:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}


def _seconds(duration: str) -> str:
    return f"{quantities.seconds(duration):g}"
