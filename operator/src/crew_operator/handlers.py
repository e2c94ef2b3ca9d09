"""Kopf's only room: it watches, and what it sees is told on. No work is done here.

Kopf logs and drops what a handler of `on.event` raises, and its change handlers can lose updates (upstream 641, 1178):
hence a handler is a line or two that cannot fail, and cache and queue do the rest. Kopf has a thread and an event loop
of its own, because when it ends it cancels every task of its loop that it does not know, and it takes the process'
signals.
"""

import asyncio
import dataclasses
import logging
import os
import platform
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf

from crew_operator import cluster_cache, kube_client, live
from crew_operator.api import names

KINDS: Mapping[str, tuple[str, str, str]] = {
    kind: kube_client.resource(kind) for kind in (names.KIND, *live.CACHED, cluster_cache.POD)
}
"""What is watched: CrewDeployments, and of what the cache is asked for, whatever bears our label."""

Login = Callable[[], Awaitable[kube_client.Access]]
Told = Callable[[str | None, str, dict[str, Any]], None]
"""An event's type, None for an object of a listing; the object's kind; the object."""


class _NoDiffs(kopf.DiffBaseStorage):
    """Nobody asks what changed since a handler ran last; to find out, Kopf copies each object twice."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing."""


class _NoProgress(kopf.ProgressStorage):
    """A handler of events makes none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class _Connection(kopf.ConnectionInfo):
    def as_ssl_context(self) -> ssl.SSLContext:
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as kube_client, which says why
        return context


def registry(told: Told, login: Login, *, everywhere: bool) -> kopf.OperatorRegistry:
    """The handlers of one operator. `told` and `login` are called in Kopf's thread.

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

        settings.queueing.idle_timeout = 0.5  # Kopf keeps a task for each object so long after its last event
        settings.persistence.diffbase_storage = _NoDiffs()
        settings.persistence.progress_storage = _NoProgress()
        for kind, one in KINDS.items():
            if kind != names.KIND:
                more = (f"{key}={value}" for key, value in live.labels(kind).items())
                settings.watching.label_selectors[one] = ",".join((names.OWNER_LABEL, *more))

    def kind_of(kind: str) -> None:
        # async: Kopf would run each plain function in a thread
        async def on_event(event: kopf.RawEvent, **_: Any) -> None:
            told(event["type"], kind, dict(event["object"]))

        kopf.on.event(*KINDS[kind], id=f"event-{kind}", registry=made)(on_event)

    for kind in KINDS:
        kind_of(kind)
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
