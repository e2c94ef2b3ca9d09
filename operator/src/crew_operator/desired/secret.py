"""The Secret of the managed Redis: the password for clients, and the same as a line of configuration for the server."""

from base64 import b64encode

from crew_operator.api import names
from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import metadata
from crew_operator.desired.metadata import Manifest


def auth(crew: CrewDeployment, password: str) -> Manifest:
    """`data` and not `stringData`: only what is stored can be compared and owned."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata.of(crew, names.redis_auth(crew.name), names.REDIS),
        "type": "Opaque",
        "data": {
            names.PASSWORD_KEY: _encode(password),
            names.AUTH_FILE: _encode(f"requirepass {password}\n"),
        },
    }


def _encode(text: str) -> str:
    return b64encode(text.encode()).decode()
