"""Kopf's only room: what happens in the cluster -> a key in the queue. No work is done here.

Kopf logs and drops what a handler of `on.event` raises, and its change handlers can lose updates (upstream 641, 1178):
hence a handler is one line that cannot fail, and the queue does the rest.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from crew_operator import kube_client
from crew_operator.api import names
from crew_operator.reconcile import Key, Reconciler
from crew_operator.workqueue import WorkQueue

SETTLE = 0.05
"""Seconds that a key waits for more of the same burst of events."""
CHILDREN = (
    ("", "v1", "configmaps"),
    ("", "v1", "secrets"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
)

PODS = ("", "v1", "pods")
"""Not ours to apply, only to look at."""

Login = Callable[[], Awaitable[kube_client.Access]]


def registry(reconciler: Reconciler, queue: WorkQueue[Key], login: Login) -> kopf.OperatorRegistry:
    """The handlers of one operator."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def admit(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**dataclasses.asdict(await login()))

    @kopf.on.startup(registry=made)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False  # our Events are our own
        settings.networking.error_backoffs = (0.5, 1, 2, 3, 5)  # drift is put right within seconds of an outage's end
        settings.watching.server_timeout = 300  # an int: the API server takes no other
        settings.process.ultimate_exiting_timeout = None  # no SIGKILL on a timer: the pod's grace period is one

        for one in (*CHILDREN, PODS):
            settings.watching.label_selectors[one] = names.OWNER_LABEL

    # async: Kopf runs plain functions in threads, where there is no queue
    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=made)
    async def on_crew(namespace: str | None, name: str | None, **_: Any) -> None:
        key = Key(str(namespace), str(name))
        reconciler.touch(key)
        queue.add(key, after=SETTLE)

    async def on_child(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        key = Key(str(namespace), labels[names.OWNER_LABEL])
        reconciler.touch(key)
        queue.add(key, after=SETTLE)

    @kopf.on.event(*PODS, labels={names.OWNER_LABEL: kopf.PRESENT}, registry=made)
    async def on_pod(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        queue.add(Key(str(namespace), labels[names.OWNER_LABEL]), after=SETTLE)

    for one in CHILDREN:
        kopf.on.event(*one, labels={names.OWNER_LABEL: kopf.PRESENT}, registry=made)(on_child)
    return made


async def watch(made: kopf.OperatorRegistry, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    """Run Kopf until `stop` is set, or a signal comes. All namespaces when none is named."""
    await kopf.operator(
        registry=made, standalone=True, clusterwide=not namespaces, namespaces=namespaces, stop_flag=stop
    )
