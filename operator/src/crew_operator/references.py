"""Reads the Secrets and ConfigMaps that a spec names: what the operator needs of them, and which are missing."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crew_operator import redis_client
from crew_operator.api.spec import CrewDeployment, FileSource, KeyRef, SecretSource
from crew_operator.desired import definition, metadata
from crew_operator.errors import Problem
from crew_operator.kube_client import KubeClient
from crew_runtime.contract import definition as contract


@dataclass
class References:
    """What was read."""

    redis_url: str = ""
    ca: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """Content of what the crew mounts, by purpose."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def checksum(self) -> str:
        """Of the mounted files; empty when there are none."""
        return metadata.checksum(self.files) if self.files else ""


async def read(kube: KubeClient, crew: CrewDeployment) -> References:
    """All references of a spec. Raises ApiError and UnreachableError; what is missing is a problem, no error."""
    found = References()
    reader = _Reader(kube, crew.namespace, found)
    if (external := crew.spec.redis.external) is not None:
        path = "spec.redis.external.urlFrom.secretKeyRef"
        found.redis_url = await reader.key("Secret", external.url_from.secret_key_ref, path) or ""
        _check_url(found, path)
        if external.ca_from is not None:
            found.ca = await reader.file(external.ca_from, "spec.redis.external.caFrom") or ""
            found.files["ca"] = found.ca
    if (told := crew.spec.crew.definition) is not None:
        if told.config_map_ref is not None:
            found.files |= await reader.definition(told.config_map_ref.name, "spec.crew.definition.configMapRef")
        else:
            found.files |= definition.files(told.inline or {})
    if crew.spec.crew.api_token_from is not None:
        await reader.secret(crew.spec.crew.api_token_from, "spec.crew.apiTokenFrom")
    return found


class _Reader:
    """Reads each object once and notes what is missing."""

    def __init__(self, kube: KubeClient, namespace: str, found: References) -> None:
        self._kube = kube
        self._namespace = namespace
        self._found = found
        self._seen: dict[tuple[str, str], dict[str, Any] | None] = {}

    async def file(self, source: FileSource, path: str) -> str | None:
        if source.secret_key_ref is not None:
            return await self.key("Secret", source.secret_key_ref, f"{path}.secretKeyRef")
        if source.config_map_key_ref is not None:
            return await self.key("ConfigMap", source.config_map_key_ref, f"{path}.configMapKeyRef")
        return None

    async def secret(self, source: SecretSource, path: str) -> str | None:
        return await self.key("Secret", source.secret_key_ref, f"{path}.secretKeyRef")

    async def definition(self, config_map: str, path: str) -> dict[str, str]:
        """Every key of a ConfigMap that holds a crew."""
        found = await self._object("ConfigMap", config_map, path)
        files = dict((found or {}).get("data") or {})
        if found is not None and (lack := contract.missing(files)):
            self._missing(path, f"add {lack} to the ConfigMap {config_map}: it has {_list(files)}")
        return files

    async def key(self, kind: str, ref: KeyRef, path: str) -> str | None:
        found = await self._object(kind, ref.name, path)
        if found is None:
            return None
        value = (found.get("data") or {}).get(ref.key)
        if value is None:
            self._missing(path, f"add the key {ref.key} to the {kind} {ref.name}: it has {_list(found.get('data'))}")
            return None
        return decode(value) if kind == "Secret" else str(value)

    async def _object(self, kind: str, name: str, path: str) -> dict[str, Any] | None:
        if (kind, name) not in self._seen:
            self._seen[kind, name] = await self._kube.get(kind, self._namespace, name)
        found = self._seen[kind, name]
        if found is None:
            self._missing(path, f"create the {kind} {name} in namespace {self._namespace}: it does not exist")
        return found

    def _missing(self, path: str, message: str) -> None:
        self._found.problems.append(Problem(path, message))


def _list(data: Mapping[str, Any] | None) -> str:
    return ", ".join(sorted(data or {})) or "none"


def decode(value: str) -> str:
    """A value of a Secret's data as text; empty when it is none."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _check_url(found: References, path: str) -> None:
    """A URL that is none is not kept: nobody may connect to it or show it."""
    if not found.redis_url:
        return
    found.redis_url = found.redis_url.strip()
    try:
        redis_client.address(found.redis_url)
    except ValueError as error:
        found.problems.append(Problem(path, str(error)))
        found.redis_url = ""
