"""What should exist for a CrewDeployment: its spec -> plain manifests. Pure: nothing is asked, nothing is changed.

`children` is the only offer; the order of its result is the order of applying, so that nothing refers to what is not
there yet. A manifest names only the fields that we care about: server-side apply leaves the rest to others.
"""

from crew_operator.api import access
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import crew_objects, definition, files, network_policy, redis_config, redis_objects, secret
from crew_operator.desired.metadata import Inputs, Manifest, Peer
from crew_operator.desired.redis_users import RedisUsers

__all__ = ["Inputs", "Manifest", "Peer", "RedisUsers", "children"]


def children(crew: CrewDeployment, inputs: Inputs) -> tuple[Manifest, ...]:
    """All objects of a CrewDeployment, in apply order."""
    managed = crew.spec.redis.managed
    redis: tuple[Manifest, ...] = ()
    if managed is not None:
        users = RedisUsers(
            crew.key_prefix,
            inputs.redis_password,
            inputs.redis_operator_password,
            inputs.redis_retiring,
            inputs.redis_replica_password,
            inputs.redis_replica_version,
        )
        several = redis_objects.are_several(managed, inputs)
        redis = (
            secret.auth(crew, users, inputs.redis_password_time),
            redis_config.config_map(crew, managed, inputs.redis_members),
            redis_objects.headless_service(crew),
            redis_objects.service(crew, inputs),
            *([redis_objects.disruption_budget(crew)] if several else []),
            redis_objects.stateful_set(crew, managed, inputs),
            *([network_policy.redis(crew, inputs.operator, several=several)] if inputs.operator else []),
        )
    told = crew.spec.crew.definition
    token = (secret.api_token(crew, inputs.api_token),) if access.is_generated(crew, inputs.access) else ()
    policy = (network_policy.replicas(crew, inputs, inputs.operator),) if inputs.operator else ()
    declared = (definition.config_map(crew, told.inline),) if told is not None and told.inline is not None else ()
    storage = crew.spec.crew.storage
    claim = (files.claim(crew, storage, inputs),) if storage is not None else ()
    own = (crew_objects.service(crew), crew_objects.disruption_budget(crew), crew_objects.deployment(crew, inputs))
    return (*redis, *declared, *token, *policy, *claim, *own)
