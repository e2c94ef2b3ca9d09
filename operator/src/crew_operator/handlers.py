"""Kopf's only room: what happens in the cluster -> a key in the queue. No work is done here.

Kopf logs and drops what a handler of `on.event` raises, and its change handlers can lose updates (upstream 641, 1178):
hence a handler is one line that cannot fail, and the queue does the rest. It has a thread and an event loop of its own,
because when it ends it cancels every task of its loop that it does not know, and it takes the process' signals.
"""

import asyncio
import dataclasses
import logging
import os
import platform
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf

from crew_operator import kube_client
from crew_operator.api import names

CHILDREN = (
    ("", "v1", "configmaps"),
    ("", "v1", "secrets"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("networking.k8s.io", "v1", "networkpolicies"),
)

PODS = ("", "v1", "pods")
"""Not ours to apply, only to look at."""

Login = Callable[[], Awaitable[kube_client.Access]]
Told = Callable[[str, str, bool], None]
"""Namespace and name of the CrewDeployment that something happened to; whether its children must be read anew."""


class _Connection(kopf.ConnectionInfo):
    def as_ssl_context(self) -> ssl.SSLContext:
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as kube_client, which says why
        return context


def registry(told: Told, login: Login, *, everywhere: bool) -> kopf.OperatorRegistry:
    """The handlers of one operator. Both functions are called in Kopf's thread.

    Args:
        everywhere: serve all namespaces, and begin when the CRD is installed later. Otherwise the CRD has to be there:
            to watch for it takes a permission that a Role in a namespace cannot give.
    """
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def admit(**_: Any) -> kopf.ConnectionInfo:
        return _Connection(**dataclasses.asdict(await login()))

    @kopf.on.startup(registry=made)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.scanning.disabled = not everywhere
        settings.posting.enabled = False  # our Events are our own
        settings.networking.error_backoffs = (0.5, 1, 2, 3, 5)  # drift is put right within seconds of an outage's end
        settings.watching.server_timeout = 300  # an int: the API server takes no other
        settings.process.ultimate_exiting_timeout = None  # no SIGKILL on a timer: the pod's grace period is one

        for one in (*CHILDREN, PODS):
            settings.watching.label_selectors[one] = names.OWNER_LABEL

    # async: Kopf would run each plain function in a thread
    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=made)
    async def on_crew(namespace: str | None, name: str | None, **_: Any) -> None:
        told(str(namespace), str(name), True)

    async def on_child(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        told(str(namespace), labels[names.OWNER_LABEL], True)

    @kopf.on.event(*PODS, labels={names.OWNER_LABEL: kopf.PRESENT}, registry=made)
    async def on_pod(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        told(str(namespace), labels[names.OWNER_LABEL], False)

    for one in CHILDREN:
        kopf.on.event(*one, labels={names.OWNER_LABEL: kopf.PRESENT}, registry=made)(on_child)
    return made


async def watch(made: kopf.OperatorRegistry, namespaces: tuple[str, ...], stop: threading.Event) -> None:
    """Run Kopf in its thread until `stop` is set; raises what ended it otherwise. All namespaces when none is named."""

    def run() -> None:
        asyncio.run(
            kopf.operator(
                registry=made,
                standalone=True,
                clusterwide=not namespaces,
                namespaces=namespaces,
                stop_flag=stop,
            )
        )

    # Kopf's own guess asks for the user's name, and the numeric user of a container has none.
    os.environ.setdefault("POD_ID", platform.node())
    # it warns that it leaves the signals alone, which is what we want of it
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    with ThreadPoolExecutor(1, thread_name_prefix="kopf") as thread:
        await asyncio.get_running_loop().run_in_executor(thread, run)
