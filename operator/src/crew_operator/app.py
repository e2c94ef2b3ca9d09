"""The whole operator in one event loop: doors, queue, watches and probes, started and stopped in order."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from crew_operator import handlers, kube_client, leadership, probes, replica_client
from crew_operator.api import names
from crew_operator.errors import ApiError, NotFoundError, OperatorError, UnreachableError
from crew_operator.kube_client import KubeClient
from crew_operator.metrics import Metrics
from crew_operator.reconcile import Key, Reconciler
from crew_operator.settings import Settings
from crew_operator.workqueue import Result, WorkQueue

log = logging.getLogger(__name__)

SETTLE = 0.05
"""Seconds that a key waits for more of the same burst of events."""
CRD_AGAIN = 3.0
"""Seconds between two looks for our CRD."""


@dataclass(frozen=True)
class Running:
    """An operator that runs."""

    queue: WorkQueue[Key]
    metrics: Metrics
    ports: dict[str, int]
    """`metrics` and `healthz`."""
    ended: asyncio.Future[None]
    """Done when the operator has ended by itself, which is a failure unless it was told to."""


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Run until left. The cluster is the pod's own, or the kubeconfig's."""
    metrics = Metrics()
    async with (
        kube_client.connect(settings.kubeconfig, metrics) as kube,
        replica_client.connect() as replicas,
    ):
        reconciler = Reconciler(kube, replicas, settings, metrics)
        queue: WorkQueue[Key] = WorkQueue(_counted(reconciler.reconcile, metrics), retry_after=_retry_after)
        metrics.waiting.set_function(lambda: len(queue))

        async def act() -> None:
            metrics.leading.set(1)
            if settings.namespaces:
                await _served(kube, settings.namespaces[0])
            await _act(settings, reconciler, queue)

        ended = asyncio.ensure_future(leadership.lead(kube, settings.lease, act) if settings.lease else act())
        async with probes.serve(settings, metrics, lambda: not ended.done()) as ports:
            try:
                yield Running(queue, metrics, ports, ended)
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)


async def _served(kube: KubeClient, namespace: str) -> None:
    """Wait for the CRD: with namespaces named, what Kopf does not find at its start it does not find later either."""
    while True:
        try:
            await kube.list(names.KIND, namespace, {})
        except (NotFoundError, UnreachableError) as error:
            log.warning("cannot list CrewDeployments yet: is the CRD installed?", extra={"detail": str(error)})
            await asyncio.sleep(CRD_AGAIN)
        else:
            return


async def _act(settings: Settings, reconciler: Reconciler, queue: WorkQueue[Key]) -> None:
    """Watch and reconcile until cancelled, or until one of the two ends by itself, which is a failure."""
    stop = threading.Event()
    made = handlers.registry(
        _listener(reconciler, queue),
        partial(kube_client.access, settings.kubeconfig),
        everywhere=not settings.namespaces,
    )
    tasks = [
        asyncio.create_task(handlers.watch(made, settings.namespaces, stop), name="kopf"),
        asyncio.create_task(queue.run(settings.workers), name="queue"),
    ]
    try:
        await _first(tasks)
    finally:
        stop.set()
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _listener(reconciler: Reconciler, queue: WorkQueue[Key]) -> handlers.Told:
    """Brings what the watches tell from their thread into this loop."""
    loop = asyncio.get_running_loop()

    def add(key: Key, anew: bool) -> None:
        if anew:
            reconciler.touch(key)
        queue.add(key, after=SETTLE)

    def told(namespace: str, name: str, anew: bool) -> None:
        loop.call_soon_threadsafe(add, Key(namespace, name), anew)

    return told


async def _first(tasks: list[asyncio.Task[None]]) -> None:
    """Ends with the first task, as that did."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if not task.cancelled():
            task.result()


def _counted(handle: Callable[[Key], Awaitable[Result]], metrics: Metrics) -> Callable[[Key], Awaitable[Result]]:
    async def counted(key: Key) -> Result:
        try:
            found = await handle(key)
        except Exception as error:
            metrics.passes.labels("error" if isinstance(error, OperatorError) else "bug").inc()
            raise
        metrics.passes.labels("ok").inc()
        return found

    return counted


def _retry_after(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, ApiError) else None
