"""Write the data that the embedded API server knows Kubernetes' kinds by: a real API server in, one .json.gz out.

    cd localcluster
    KUBECONFIG=... python scripts/kubernetes_api.py src/localcluster/apiserver/kubernetes.json.gz

The schemas (fields, list keys, patch strategies, descriptions) and the discovery (names, verbs, subresources) are
Kubernetes' own, so the embedded server cannot disagree with them. It needs `kubectl` on the PATH.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

KEPT = {
    "v1": "configmaps endpoints events namespaces nodes persistentvolumeclaims persistentvolumes pods secrets"
    " serviceaccounts services",
    "apps/v1": "controllerrevisions deployments replicasets statefulsets",
    "coordination.k8s.io/v1": "leases",
    "discovery.k8s.io/v1": "endpointslices",
    "networking.k8s.io/v1": "networkpolicies",
    "policy/v1": "poddisruptionbudgets",
    "rbac.authorization.k8s.io/v1": "clusterrolebindings clusterroles rolebindings roles",
    "apiextensions.k8s.io/v1": "customresourcedefinitions",
    "storage.k8s.io/v1": "storageclasses",
}
SUBRESOURCES = {"status", "scale", "log"}
PROXIED = "pods/proxy"
"""Services and nodes have a proxy too; the embedded server has not."""
EXTRA_SCHEMAS = ("io.k8s.api.autoscaling.v1.Scale", "io.k8s.apimachinery.pkg.apis.meta.v1.Status")


def raw(path: str) -> Any:
    """What the API server answers to a GET of `path`."""
    done = subprocess.run(["kubectl", "get", "--raw", path], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def references(node: Any) -> set[str]:
    """Names of the schemas that `node` mentions."""
    if isinstance(node, dict):
        found = {str(node["$ref"]).rsplit("/", 1)[1]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def main(target: Path) -> None:
    """Ask for every kept group and write those schemas that its kept kinds reach."""
    resources: dict[str, list[dict[str, Any]]] = {}
    schemas: dict[str, Any] = {}
    wanted: set[str] = set(EXTRA_SCHEMAS)
    for group_version, names in KEPT.items():
        path = "api/v1" if group_version == "v1" else f"apis/{group_version}"
        document = raw(f"/openapi/v3/{path}")["components"]["schemas"]
        schemas.update(document)
        kept = []
        for found in raw(f"/{path}")["resources"]:
            name, _, subresource = found["name"].partition("/")
            is_kept = not subresource or subresource in SUBRESOURCES or found["name"] == PROXIED
            if name in names.split() and is_kept:
                found.pop("storageVersionHash", None)
                kept.append(found)
        resources[group_version] = kept
        group, _, version = group_version.rpartition("/")
        kinds = {(group, version, found["kind"]) for found in kept if "/" not in found["name"]}
        for name, schema in document.items():
            for gvk in schema.get("x-kubernetes-group-version-kind", []):
                if (gvk["group"], gvk["version"], gvk["kind"].removesuffix("List")) in kinds:
                    wanted.add(name)
    reached: set[str] = set()
    while wanted:
        name = wanted.pop()
        reached.add(name)
        wanted |= references(schemas[name]) - reached
    version = raw("/version")["gitVersion"]
    data = {"version": version, "resources": resources, "schemas": {name: schemas[name] for name in sorted(reached)}}
    text = json.dumps(data, separators=(",", ":"), sort_keys=True).encode()
    target.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{target}: Kubernetes {version}, {len(reached)} schemas, {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
