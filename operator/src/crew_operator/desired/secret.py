"""The Secrets that are made once: that of the managed Redis with the passwords of the crew and of the operator and the
server's users with both, and that of the token of the crew's API.
"""

from base64 import b64encode
from collections.abc import Mapping

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest
from crew_operator.desired.redis_users import RedisUsers


def auth(crew: CrewDeployment, users: RedisUsers, changed: str = "") -> Manifest:
    """The passwords of the managed Redis, and its users. `changed`: when the crew's was, as an annotation."""
    values = {
        names.PASSWORD_KEY: users.crew_password,
        names.OPERATOR_PASSWORD_KEY: users.operator_password,
        names.AUTH_FILE: users.configuration(),
        names.REPLICA_PASSWORD_KEY: users.replica_password,
        names.REPLICA_PASSWORD_VERSION_KEY: users.replica_version,
    }
    made = _opaque(crew, names.redis_auth(crew.name), names.REDIS, values)
    if changed:
        made["metadata"]["annotations"] = {names.PASSWORD_TIME_ANNOTATION: changed}
    return made


def api_token(crew: CrewDeployment, token: str) -> Manifest:
    """The token that callers of the crew's API show."""
    return _opaque(crew, names.api_token(crew.name), names.CREW, {names.API_TOKEN_KEY: token})


def _opaque(crew: CrewDeployment, name: str, component: str, values: Mapping[str, str]) -> Manifest:
    """`data` and not `stringData`: only what is stored can be compared and owned."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata.of(crew, name, component),
        "type": "Opaque",
        "data": {key: b64encode(value.encode()).decode() for key, value in values.items()},
    }
