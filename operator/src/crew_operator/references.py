"""Reads the Secrets and ConfigMaps that a spec names: what the operator needs of them, and which are missing."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crew_operator import redis_url
from crew_operator.api.spec import CrewDeployment, FileSource, KeyRef, SecretSource
from crew_operator.desired import credentials, definition, metadata
from crew_operator.errors import Problem
from crew_operator.kube_client import KubeClient
from crew_operator.redis_url import UrlError
from crew_runtime.contract import definition as contract
from crew_runtime.contract import tokens

Which = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True)
class Credential:
    """A secret value, and the version of the Secret that it was read from."""

    version: str
    value: str


@dataclass
class References:
    """What was read."""

    redis_url: str = ""
    ca: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """Content of what the crew mounts, by purpose."""
    credentials: dict[str, Credential] = field(default_factory=dict)
    """What the crew has as variables, by purpose: a running pod keeps the old ones."""
    problems: list[Problem] = field(default_factory=list)
    versions: dict[Which, str] = field(default_factory=dict)
    """Of every object that was read, or looked for in vain."""

    @property
    def checksum(self) -> str:
        """Of the mounted files; empty when there are none."""
        return metadata.checksum(self.files) if self.files else ""


async def read(kube: KubeClient, crew: CrewDeployment) -> References:
    """All references of a spec. Raises ApiError and UnreachableError; what is missing is a problem, no error."""
    found = References()
    reader = _Reader(kube, crew.namespace, found)
    if (external := crew.spec.redis.external) is not None:
        path = "spec.redis.external.urlFrom"
        found.redis_url = await reader.credential(external.url_from, path, "urlFrom") or ""
        _check_url(found, f"{path}.secretKeyRef", external.url_from.secret_key_ref)
        if external.ca_from is not None:
            found.ca = await reader.file(external.ca_from, "spec.redis.external.caFrom") or ""
            found.files["ca"] = found.ca
    if (postgres := crew.spec.history.postgres) is not None:
        path = "spec.history.postgres"
        await reader.credential(postgres.url_from, f"{path}.urlFrom", credentials.HISTORY_URL)
        if postgres.ca_from is not None:
            found.files["history-ca"] = await reader.file(postgres.ca_from, f"{path}.caFrom") or ""
    if (told := crew.spec.crew.definition) is not None:
        if told.config_map_ref is not None:
            found.files |= await reader.definition(told.config_map_ref.name, "spec.crew.definition.configMapRef")
        else:
            found.files |= definition.files(told.inline or {})
    if (source := crew.spec.crew.token_from) is not None:
        field_ = "api.tokenFrom" if crew.spec.crew.api.token_from else "apiTokenFrom"
        await reader.token(source, f"spec.crew.{field_}")
    return found


async def changed(kube: KubeClient, namespace: str, versions: Mapping[Which, str]) -> bool:
    """Whether what was read is something else by now. Raises ApiError and UnreachableError."""
    for (kind, name), version in versions.items():
        if credentials.version(await kube.get(kind, namespace, name)) != version:
            return True
    return False


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

    async def credential(self, source: SecretSource, path: str, purpose: str) -> str | None:
        """Without the newline that `echo` puts behind a text, as those who are given it read it."""
        ref = source.secret_key_ref
        value = await self.key("Secret", ref, f"{path}.secretKeyRef")
        if value is None:
            return None
        version = credentials.version(self._seen["Secret", ref.name])
        self._found.credentials[purpose] = Credential(version, value.strip())
        return value.strip()

    async def token(self, source: SecretSource, path: str) -> None:
        """What the server would refuse as the API's token is a problem here."""
        value = await self.credential(source, path, credentials.API_TOKEN)
        if value is None:
            return
        try:
            tokens.read(value)
        except ValueError as error:
            ref = source.secret_key_ref
            self._missing(f"{path}.secretKeyRef", f"the token in the key {ref.key} of the Secret {ref.name} {error}")

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
        data = found.get("data") or {}
        if (value := data.get(ref.key)) is None:
            # Names of a Secret's keys are for those who may read it.
            has = f": it has {_list(data)}" if kind != "Secret" else ""
            self._missing(path, f"add the key {ref.key} to the {kind} {ref.name}{has}")
            return None
        text = decode(str(value)) if kind == "Secret" else str(value)
        if not text.strip():
            self._missing(path, f"the key {ref.key} of the {kind} {ref.name} is empty or no text: put the value there")
            return None
        return text

    async def _object(self, kind: str, name: str, path: str) -> dict[str, Any] | None:
        if (kind, name) not in self._seen:
            self._seen[kind, name] = await self._kube.get(kind, self._namespace, name)
            self._found.versions[kind, name] = credentials.version(self._seen[kind, name])
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


def _check_url(found: References, path: str, ref: KeyRef) -> None:
    """A URL that is none is not kept: nobody may connect to it or show it."""
    if not found.redis_url:
        return
    try:
        redis_url.parse(found.redis_url)
    except UrlError as error:
        found.problems.append(
            Problem(path, f"the key {ref.key} of the Secret {ref.name} holds no URL of Redis: {error}")
        )
        found.redis_url = ""
