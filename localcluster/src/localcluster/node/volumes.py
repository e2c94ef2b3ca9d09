"""A pod's volumes as folders: (pod, Secrets, ConfigMaps, claims) -> volume name -> folder."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localcluster.node import environment
from localcluster.node.environment import ConfigError, Lookup
from localcluster.node.translate import Mount

Manifest = dict[str, Any]


def prepare(pod: Manifest, folder: Path, claims: Path, lookup: Lookup) -> dict[str, Path]:
    """Make every volume of a pod.

    Raises:
        ConfigError: a Secret, ConfigMap or claim is not there (yet).

    """
    return {
        volume["name"]: _volume(volume, pod, folder / volume["name"], claims, lookup)
        for volume in pod["spec"].get("volumes") or ()
    }


def _volume(volume: Manifest, pod: Manifest, folder: Path, claims: Path, lookup: Lookup) -> Path:
    if "persistentVolumeClaim" in volume:
        name = volume["persistentVolumeClaim"]["claimName"]
        claim = lookup("persistentvolumeclaims", name)
        if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
            raise ConfigError(f'persistentvolumeclaim "{name}" is {"not bound" if claim else "not found"}')
        bound = claims / str(claim["spec"]["volumeName"])
        bound.mkdir(parents=True, exist_ok=True)
        return bound
    if "hostPath" in volume:
        return Path(str(volume["hostPath"]["path"]))
    folder.mkdir(parents=True, exist_ok=True)
    if "emptyDir" in volume:
        return folder
    if "projected" in volume:
        for source in volume["projected"].get("sources") or ():
            _write(source, pod, folder, lookup)
        return folder
    if not {"configMap", "secret", "downwardAPI"} & set(volume):
        kinds = ", ".join(sorted(set(volume) - {"name"}))
        raise ConfigError(f'volume "{volume["name"]}": the local node has no {kinds}')
    _write(volume, pod, folder, lookup)
    return folder


def _write(source: Manifest, pod: Manifest, folder: Path, lookup: Lookup) -> None:
    for plural, key, by in (("configmaps", "configMap", "name"), ("secrets", "secret", "secretName")):
        if key in source:
            about = source[key]
            name = about.get(by) or about.get("name", "")
            content = environment.values(lookup, plural, name)
            if content is None:
                if about.get("optional"):
                    return
                raise ConfigError(f'{plural.removesuffix("s")} "{name}" not found')
            _files(folder, content, about, name)
    for item in (source.get("downwardAPI") or {}).get("items") or ():
        if "fieldRef" in item:
            _file(folder / item["path"], environment.field(pod, item["fieldRef"]["fieldPath"]).encode(), 0o644)


def _files(folder: Path, content: dict[str, bytes], about: Manifest, name: str) -> None:
    mode = about.get("defaultMode", 0o644)
    items = about.get("items")
    if items is None:
        for key, value in content.items():
            _file(folder / key, value, mode)
        return
    for item in items:
        if item["key"] in content:
            _file(folder / item["path"], content[item["key"]], item.get("mode", mode))
        elif not about.get("optional"):
            raise ConfigError(f"references non-existent {name} key: {item['key']}")


def _file(path: Path, content: bytes, mode: int) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(mode | 0o400)
    fresh.replace(path)  # a reader sees the old file or the new one, as in a kubelet's volume


def mounts(container: Manifest, folders: dict[str, Path]) -> list[Mount]:
    """Where a container's mounts are on this machine."""
    found = []
    for mount in container.get("volumeMounts") or ():
        target = folders[mount["name"]]
        if mount.get("subPath"):
            target = target / mount["subPath"]
            if not target.exists():
                target.mkdir(parents=True)
        found.append(Mount(mount["mountPath"], target))
    return found


def remove(folders: Iterable[Path]) -> None:
    """Delete folders with all that is in them."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
