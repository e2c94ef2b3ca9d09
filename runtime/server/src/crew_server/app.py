"""Wires the parts of a server, runs them, and takes them down in order.

Start: sockets first, so that probes answer at once. Stop: see `drain`.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from crew_server import redis_client
from crew_server.backend import Backend
from crew_server.errors import SettingsError
from crew_server.http import api, probes
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.prober import Prober
from crew_server.runs import drain, state
from crew_server.runs.claiming import Claimer, Worker
from crew_server.runs.dispatch import Dispatcher, Listeners
from crew_server.runs.ends import Ends
from crew_server.runs.following import Following
from crew_server.runs.kickoff import Kickoff
from crew_server.runs.queue import Queue
from crew_server.runs.takeover import Takeover
from crew_server.service import Parts, Service
from crew_server.sessions.store import SessionStore
from crew_server.settings import Settings
from crew_server.webhooks.delivery import Deliverer
from crew_server.webhooks.outbox import Outbox
from crew_server.webhooks.sending import Sender
from crew_server.worker.link import Events, WorkerLink
from crew_server.worker.slots import Slots

log = Log(__name__)

LAG_EVERY = 0.5


class App:
    """One server process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        metrics = Metrics()
        self._client = redis_client.connect(settings)
        slots = Slots(settings.concurrency, self._on_idle, lambda why: metrics.lost_slots.labels(why).inc())
        link = WorkerLink(settings.socket, slots, Events(self._on_worker_draining, self._on_worker_connected))
        queue, ends = Queue(self._client, settings), Ends(settings)
        listeners = Listeners(self._on_ended, self._on_told, ends.ended)
        dispatcher = Dispatcher(settings, slots, queue, metrics, listeners)
        outbox = Outbox(self._client, settings.key_prefix, settings.backend_deadline)
        self._parts = Parts(
            settings=settings,
            metrics=metrics,
            slots=slots,
            link=link,
            queue=queue,
            dispatcher=dispatcher,
            claimer=Claimer(
                settings,
                queue,
                dispatcher,
                Worker(lambda: self.service.readiness().ready, lambda: link.state().report.tasks),
            ),
            takeover=Takeover(queue, metrics, settings.human_input_timeout, self._on_taken_over),
            ends=ends,
            following=Following(settings),
            deliverer=Deliverer(outbox, Sender(settings.webhook_hosts), metrics, settings.api_token),
            backend=Backend(settings, metrics),
            sessions=SessionStore(self._client, settings),
            prober=Prober(slots, metrics),
        )
        self.service = Service(self._parts)
        self._stopping = asyncio.Event()
        self._worker_drain: asyncio.Task[None] | None = None
        metrics.watch("crewops_kickoffs_running", lambda: self._parts.dispatcher.running)
        metrics.watch("crewops_backlog", lambda: self._parts.takeover.seen.backlog)
        metrics.watch("crewops_backlog_oldest_seconds", lambda: self._parts.takeover.seen.oldest)
        metrics.watch("crewops_slots", lambda: slots.alive)
        metrics.watch("crewops_ready", lambda: float(self.service.readiness().ready))

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self._stopping.set)
        settings, parts = self._settings, self._parts
        front = _listen(settings.bind_address, settings.http_port)
        back = _listen(settings.bind_address, settings.health_port)
        await parts.link.listen()
        servers = [
            _Server(api.create(self.service, settings.api_token)),
            _Server(probes.create(self.service)),
        ]
        serving = [
            loop.create_task(server.serve(sockets=[one])) for server, one in zip(servers, (front, back), strict=True)
        ]
        loops = [
            loop.create_task(one)
            for one in (
                parts.backend.run(),
                parts.dispatcher.watch(),
                parts.claimer.run(),
                parts.takeover.run(),
                parts.ends.run(),
                parts.dispatcher.teller.run(),
                parts.deliverer.run(),
                self._measure_lag(),
            )
        ]
        log.info("listening", http=front.getsockname()[1], health=back.getsockname()[1], replica=settings.replica)
        await self._serve_until_stopped(loops + serving)
        await self._drain()
        self.service.leave()
        # The API first: its last answers may be the ends of the drained kickoffs.
        for server, task in zip(servers, serving, strict=True):
            server.should_exit = True
            await asyncio.wait([task], timeout=2)
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await parts.dispatcher.close()
        await parts.slots.close()
        await parts.link.close()
        await parts.backend.close()
        await parts.claimer.close()
        await parts.deliverer.close()
        await parts.ends.close()
        await parts.following.close()
        await self._client.aclose()
        log.info("ended")

    async def _serve_until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for the signal; a loop that ends before it is a bug that must not stay silent."""
        stopped = asyncio.get_running_loop().create_task(self._stopping.wait())
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not stopped:
                stopped.cancel()
                await task
                raise RuntimeError("a part of the server ended")

    async def _drain(self) -> None:
        self.service.draining = True
        if self._worker_drain is not None:
            # The worker's container was stopped first, as that of a native sidecar is: the drain is under way.
            await self._worker_drain
        else:
            await self._drain_parts()

    async def _drain_parts(self) -> None:
        parts = self._parts
        await drain.drain(parts.claimer, parts.dispatcher, parts.link, self._settings.drain_budget)

    def _on_worker_draining(self) -> None:
        if self._worker_drain is None and not self._stopping.is_set():
            self.service.draining = True
            self._worker_drain = asyncio.get_running_loop().create_task(self._drain_parts())

    def _on_worker_connected(self) -> None:
        """A new worker after a drain that only its container had: the pod stays, and so do we."""
        if self._worker_drain is not None and self._worker_drain.done() and not self._stopping.is_set():
            self._worker_drain = None
            self.service.draining = False
            self._parts.claimer.resume()

    def _on_idle(self) -> None:
        self._parts.claimer.poke()

    def _on_told(self, kickoff: Kickoff) -> None:
        if kickoff.request.hooks:
            self._parts.deliverer.poke()

    def _on_ended(self, kickoff: Kickoff) -> None:
        self._on_told(kickoff)
        outcome = kickoff.outcome
        if outcome is not None and outcome.status in ("error", "timeout"):
            self.service.failed(outcome.reason, outcome.error, kickoff.id)
        elif outcome is not None and outcome.memory == "degraded":
            self.service.failed("MemoryDegraded", kickoff.memory_trouble, kickoff.id)

    def _on_taken_over(self, kickoff_id: str, outcome: state.Outcome) -> None:
        self._parts.deliverer.poke()
        self.service.failed(outcome.reason, outcome.error, kickoff_id)

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._parts.metrics.loop_lag.set(max(0.0, loop.time() - due))


class _Server(uvicorn.Server):
    """uvicorn's, without its signal handlers: there are two of them, and the process drains first."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=1
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With the protocol spelled out: asyncio sets TCP_NODELAY only where it reads IPPROTO_TCP, and without it every
    # answer waits 40 ms for a delayed ACK (measured, Python 3.11).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise SettingsError([f"cannot listen on {address}:{port}: {error.strerror or error}"]) from error
    return listener
