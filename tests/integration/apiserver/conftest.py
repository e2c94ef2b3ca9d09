"""The server under test, and a custom kind in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kube_api import KubeApi, embedded, eventually, real

GROUP = "suite.crewops.dev"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"gizmos.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {
            "plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "shortNames": ["gz"], "categories": ["toys"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "additionalPrinterColumns": [
                    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
                    {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["image"],
                                "x-kubernetes-validations": [
                                    {"rule": "!(has(self.left) && has(self.right))",
                                     "message": "left or right, not both"},
                                    {"rule": "!has(oldSelf.key) || (has(self.key) && self.key == oldSelf.key)",
                                     "message": "key is immutable"},
                                    {"rule": "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
                                     "message": "size cannot shrink"},
                                ],
                                "properties": {
                                    "image": {"type": "string", "minLength": 1, "description": "What it is made of."},
                                    "size": {"type": "string", "default": "1Gi", "maxLength": 20},
                                    "replicas": {"type": "integer", "minimum": 0, "default": 1},
                                    "mode": {"type": "string", "enum": ["Fast", "Slow"]},
                                    "key": {"type": "string", "maxLength": 20},
                                    "left": {"type": "string"},
                                    "right": {"type": "string"},
                                    "nested": {
                                        "type": "object",
                                        "default": {},
                                        "properties": {"depth": {"type": "integer", "default": 3}},
                                    },
                                    "env": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                                        },
                                    },
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "replicas": {"type": "integer"},
                                    "selector": {"type": "string"},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type", "status"],
                                            "properties": {
                                                "type": {"type": "string"},
                                                "status": {"type": "string"},
                                                "reason": {"type": "string"},
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApi]:
    """The embedded API server; with KUBECONFIG in the environment the one that it names."""
    named = os.environ.get("KUBECONFIG")
    with real(Path(named)) if named else embedded(tmp_path_factory.mktemp("apiserver")) as api:
        yield api


@pytest.fixture
def api_server(server: KubeApi) -> Iterator[KubeApi]:
    """The server, in a namespace of the test's own."""
    api = server.in_namespace()
    yield api
    server.ask("DELETE", f"/api/v1/namespaces/{api.namespace}")


@pytest.fixture(scope="session")
def _gizmos(server: KubeApi) -> Iterator[None]:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    server.create(path, CRD)
    eventually(lambda: server.get(f"/apis/{GROUP}/v1"))
    yield
    server.ask("DELETE", f"{path}/gizmos.{GROUP}")


@pytest.fixture
def gizmos(api_server: KubeApi, _gizmos: None) -> str:
    """The path of the custom kind's objects."""
    return api_server.at(f"{GROUP}/v1", "gizmos")
