"""What an operator in a test's hands needs of a cluster."""

import contextlib

from kubernetes.aio import client

from crew_operator.api import crd, names
from crew_operator.errors import OperatorError
from crew_operator.kube_client import KubeClient
from support.waiting import eventually


async def install(kube: KubeClient, namespace: str) -> None:
    """The newest CRD, and a namespace."""
    made = crd.manifest()
    name, content = made["metadata"]["name"], "application/apply-patch+yaml"
    api = client.ApiextensionsV1Api(kube.api)
    await api.patch_custom_resource_definition(name, made, field_manager="tests", force=True, _content_type=content)
    await client.CoreV1Api(kube.api).create_namespace({"metadata": {"name": namespace}})

    async def served() -> bool:
        with contextlib.suppress(OperatorError):
            await kube.list(names.KIND, namespace, {})
            return True
        return False

    await eventually(served, "the CRD is served", 20)
