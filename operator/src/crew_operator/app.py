"""The whole operator in one event loop: doors, queue, watches and probes, started and stopped in order."""

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from crew_operator import handlers, kube_client, leadership, probes, replica_client
from crew_operator.api import names
from crew_operator.cluster_cache import ClusterCache
from crew_operator.doorbells import Doorbells
from crew_operator.errors import ApiError, NotFoundError, OperatorError, UnreachableError
from crew_operator.feed import Feed
from crew_operator.kube_client import KubeClient
from crew_operator.metrics import Metrics
from crew_operator.reconcile import Key, Reconciler
from crew_operator.settings import Settings
from crew_operator.sharding import Shares
from crew_operator.workqueue import Result, WorkQueue

log = logging.getLogger(__name__)

STUCK_AFTER = 180.0
"""Seconds without the end of a pass after which /healthz fails: thrice the deadline of one, so something swallows it.
An API server that is away makes passes fail, which is an end."""
RECURSION = 60_000
"""Python's own limit is 1,000 levels; the API server stores objects of up to 10,000, and who reads JSON goes down as
deep. A reader that gave up would end the watch of all crews for one whose affinity is a joke. The parser refuses it.
"""
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
    sys.setrecursionlimit(max(RECURSION, sys.getrecursionlimit()))
    metrics = Metrics()
    async with (
        kube_client.connect(settings.kubeconfig, metrics, at_once=settings.workers) as kube,
        replica_client.connect() as replicas,
        contextlib.aclosing(
            # urgent: something has changed, and the promise of 10 s runs; their gaps bound how often one may say so
            Doorbells[Key](lambda key, after: queue.add(key, after, urgent=True), metrics)
        ) as doorbells,
        contextlib.AsyncExitStack() as stack,
    ):
        cache = ClusterCache(namespaced=bool(settings.namespaces))
        queue: WorkQueue[Key] = WorkQueue(lambda key: handle(key), retry_after=_retry_after)
        reconciler = Reconciler(kube, replicas, cache, doorbells, queue, settings, metrics)
        stack.push_async_callback(reconciler.aclose)
        handle = _counted(reconciler.reconcile, metrics)
        shares = None
        if settings.shards > 1:
            shares = _shares(kube, settings, cache, reconciler, metrics, queue.add)
            handle = shares.gate(handle, Result())
        metrics.waiting.set_function(queue.overdue)

        async def act() -> None:
            metrics.leading.set(1)
            if settings.namespaces:
                await _served(kube, settings.namespaces[0])
            await _act(settings, cache, queue)

        if shares is not None:
            acting: Awaitable[None] = shares.run(act)
        else:
            acting = leadership.lead(kube, settings.lease, act) if settings.lease else act()
        ended = asyncio.ensure_future(acting)
        async with probes.serve(settings, metrics, partial(trouble, ended, queue)) as ports:
            try:
                yield Running(queue, metrics, ports, ended)
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)


def trouble(ended: asyncio.Future[None], queue: WorkQueue[Key]) -> str:
    """What is wrong with an operator that should run; empty while nothing is."""
    if ended.done():
        return "the workers have ended"
    return f"passes have not ended for {STUCK_AFTER:g} s" if queue.stuck(STUCK_AFTER) else ""


def _shares(
    kube: KubeClient,
    settings: Settings,
    cache: ClusterCache,
    reconciler: Reconciler,
    metrics: Metrics,
    add: Callable[[Key], None],
) -> Shares:
    """This operator's part of the CrewDeployments."""

    def taken(number: int) -> None:
        for key in (Key(*one) for one in cache.crews):
            if shares.of(key) == number:
                add(key)

    def given(number: int) -> None:
        reconciler.leave(lambda key: shares.of(key) == number)

    shares = Shares(kube, settings.lease, settings.shards, taken=taken, given=given)
    metrics.shards.set_function(lambda: len(shares.held))
    return shares


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


async def _act(settings: Settings, cache: ClusterCache, queue: WorkQueue[Key]) -> None:
    """Watch and reconcile until cancelled, or until one of the two ends by itself, which is a failure."""
    stop = threading.Event()
    made = handlers.registry(
        Feed(cache, queue).event,
        partial(kube_client.access, settings.kubeconfig),
        everywhere=not settings.namespaces,
    )
    tasks = [
        asyncio.create_task(handlers.watch(made, settings.namespaces, stop), name="kopf"),
        asyncio.create_task(queue.run(settings.workers, settings.passes), name="queue"),
    ]
    try:
        await _first(tasks)
    finally:
        stop.set()
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
