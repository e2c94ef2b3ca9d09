"""The environment of a container: its manifest, its pod, Secrets and ConfigMaps -> variables. Pure."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from localcluster.node import translate

Manifest = dict[str, Any]
Lookup = Callable[[str, str], Manifest | None]
"""(`secrets` or `configmaps`, name) -> the object in the pod's namespace."""


class ConfigError(Exception):
    """A reference of a container that leads nowhere; kubelet's CreateContainerConfigError."""


def values(lookup: Lookup, plural: str, name: str) -> dict[str, bytes] | None:
    """The content of a Secret or ConfigMap; None when it is not there."""
    found = lookup(plural, name)
    if found is None:
        return None
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    plain = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    return {**plain, **binary}


def of(container: Manifest, pod: Manifest, lookup: Lookup, base: Mapping[str, str]) -> dict[str, str]:
    """All variables: the image's (`base`), `envFrom`, `env`, with `$(NAME)` expanded in order.

    Raises:
        ConfigError: a Secret, a ConfigMap or a key is missing and not optional.

    """
    result = dict(base)
    for source in container.get("envFrom") or ():
        for plural, key in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
            if key in source:
                reference = source[key]
                found = values(lookup, plural, reference.get("name", ""))
                if found is None and not reference.get("optional"):
                    raise ConfigError(_missing(plural, reference.get("name", "")))
                prefix = source.get("prefix", "")
                result.update({prefix + name: value.decode() for name, value in (found or {}).items()})
    for variable in container.get("env") or ():
        value = variable.get("value")
        if value is not None:
            result[variable["name"]] = translate.expand(value, result)
        elif variable.get("valueFrom"):
            taken = _taken(variable["valueFrom"], container, pod, lookup)
            if taken is not None:
                result[variable["name"]] = taken
        else:
            result[variable["name"]] = ""
    return result


def _missing(plural: str, name: str) -> str:
    return f'{plural.removesuffix("s")} "{name}" not found'


def _taken(source: Manifest, container: Manifest, pod: Manifest, lookup: Lookup) -> str | None:
    for plural, key in (("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")):
        if key in source:
            reference = source[key]
            found = values(lookup, plural, reference.get("name", ""))
            if found is None:
                if reference.get("optional"):
                    return None
                raise ConfigError(_missing(plural, reference.get("name", "")))
            if reference["key"] not in found:
                if reference.get("optional"):
                    return None
                kind = "Secret" if plural == "secrets" else "ConfigMap"
                raise ConfigError(
                    f"couldn't find key {reference['key']} in {kind} {pod['metadata']['namespace']}/{reference['name']}"
                )
            return found[reference["key"]].decode()
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        part, _, name = source["resourceFieldRef"]["resource"].partition(".")
        return str(((container.get("resources") or {}).get(part) or {}).get(name, "0"))
    raise ConfigError(f"valueFrom {sorted(source)} is not known to the local node")


def field(pod: Manifest, path: str) -> str:
    """The downward API: a field of the pod as text. Raises ConfigError for one that Kubernetes has not either."""
    metadata, status, spec = pod["metadata"], pod.get("status") or {}, pod["spec"]
    plain = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
    }
    if path in plain:
        return str(plain[path])
    for part in ("labels", "annotations"):
        if path == f"metadata.{part}":
            return "\n".join(f'{key}="{value}"' for key, value in sorted((metadata.get(part) or {}).items()))
        if path.startswith(f"metadata.{part}['"):
            return str((metadata.get(part) or {}).get(path[len(f"metadata.{part}['") : -2], ""))
    raise ConfigError(f"field label not supported: {path}")


def of_services(services: list[Manifest]) -> dict[str, str]:
    """The variables by which Kubernetes tells pods about Services (`enableServiceLinks`)."""
    result: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        address = spec.get("clusterIP")
        if not address or address == "None" or not spec.get("ports"):
            continue
        prefix = service["metadata"]["name"].upper().replace("-", "_")
        result[f"{prefix}_SERVICE_HOST"] = address
        result[f"{prefix}_SERVICE_PORT"] = str(spec["ports"][0]["port"])
        for port in spec["ports"]:
            if port.get("name"):
                result[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    return result
