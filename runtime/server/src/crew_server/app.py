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

import crew_server
from crew_runtime.contract import tokens
from crew_runtime.contract.durability import BUFFERED
from crew_runtime.contract.replica_reasons import FailureKind
from crew_server import redis_client
from crew_server.backend import Backend
from crew_server.changes import Changes
from crew_server.durability import Durability
from crew_server.errors import SettingsError
from crew_server.events.ends import Ends
from crew_server.events.following import Following
from crew_server.execution import drain
from crew_server.execution.claiming import Claimer, Worker
from crew_server.execution.dispatch import Dispatcher, Listeners
from crew_server.execution.kickoff import RunningKickoff
from crew_server.execution.takeover import Takeover
from crew_server.history import outbox as history_outbox
from crew_server.history.postgres import Postgres
from crew_server.history.service import History
from crew_server.history.shipper import Shipper
from crew_server.history.store import Store
from crew_server.http import api, probes
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.prober import Prober
from crew_server.queue import state
from crew_server.queue.queue import Queue
from crew_server.service import Parts, Service
from crew_server.sessions.store import SessionStore
from crew_server.sessions.sweeper import Sweeper
from crew_server.settings import Settings
from crew_server.supervision import Run, Supervisor
from crew_server.webhooks.delivery import Deliverer
from crew_server.webhooks.outbox import Outbox
from crew_server.webhooks.sending import Sender
from crew_server.worker.link import Events, WorkerLink
from crew_server.worker.slots import Slots

log = Log(__name__)

LAG_EVERY = 0.5
FAREWELL, FAREWELL_LOOK = 3.0, 0.05
"""Seconds from the signal to stop on in which clients that keep a connection open are answered, and between two looks
whether there are any."""
HISTORY_TIME, LAST_SECOND = 5.0, 1.0
"""Seconds for the last ends to come into the durable history, and of the grace period for the process to end."""
IDLE_CONNECTION = 75
"""Seconds that a connection may rest between two requests: more than the 60 of nginx and of most load balancers, and
than the 5 of many HTTP clients. Who keeps one for longer than the server does sends a request into its end."""
_KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}
"""Seconds of silence, seconds between probes, and how many: a peer that is gone is noticed after a minute."""


class App:
    """One server process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        metrics = Metrics()
        self._client = redis_client.connect(settings)
        slots = Slots(
            settings.concurrency,
            self._on_idle,
            lambda why: metrics.lost_slots.labels(why).inc(),
            settings.processes,
        )
        events = Events(self._on_worker_draining, self._on_worker_connected)
        link = WorkerLink(settings.socket, slots, events, settings.concurrency)
        self._waiting_client = redis_client.connect(settings)
        # Without a wait, a connection that only kickoffs use would be idle and whole when Redis hangs: what is sent
        # over it is done when Redis goes on, though its client was refused.
        waits = settings.durability != BUFFERED
        durability = Durability(self._waiting_client if waits else self._client, settings)
        queue = Queue(self._client, settings, durability, lambda: _made_by(settings, link))
        ends = Ends(settings)
        listeners = Listeners(self._on_ended, self._on_told, ends.ended)
        dispatcher = Dispatcher(settings, slots, queue, metrics, listeners)
        outbox = Outbox(self._client, settings.key_prefix, settings.backend_deadline)
        noted = history_outbox.Outbox(self._client, settings.key_prefix, settings.backend_deadline)
        history = _history_store(settings)
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
            takeover=Takeover(queue, metrics, settings.human_input_timeout, self._on_taken_over, self._on_dead_letters),
            ends=ends,
            following=Following(settings),
            deliverer=Deliverer(outbox, Sender(settings.webhook_hosts), metrics, _signing_key(settings)),
            backend=Backend(settings, metrics),
            sessions=SessionStore(self._client, settings, durability),
            prober=Prober(slots, metrics),
            outbox=noted,
            shipper=Shipper(noted, history, settings, metrics) if history is not None else None,
            history=History(history),
        )
        self.service = Service(self._parts)
        self._changes = Changes(self.service.condition_facts)
        self._supervisor = Supervisor(self._on_background_failure)
        self._stopping = asyncio.Event()
        self._worker_drain: asyncio.Task[None] | None = None
        metrics.watch("crewops_kickoffs_running", lambda: self._parts.dispatcher.running)
        metrics.watch("crewops_backlog", lambda: self._parts.takeover.seen.backlog)
        metrics.watch("crewops_backlog_oldest_seconds", lambda: self._parts.takeover.seen.oldest)
        metrics.watch("crewops_dead_letters", lambda: self._parts.takeover.seen.dead)
        metrics.watch("crewops_kickoff_bytes", lambda: self._parts.takeover.seen.bytes)
        metrics.watch("crewops_kickoff_bytes_limit", lambda: self._settings.budget(self._parts.backend.max_memory))
        if (shipper := self._parts.shipper) is not None:
            metrics.watch("crewops_history_lag_seconds", lambda: shipper.health.lag)
            metrics.watch("crewops_history_waiting", lambda: shipper.health.waiting)
            metrics.watch("crewops_history_bytes", lambda: shipper.health.bytes)
            metrics.watch("crewops_history_bytes_limit", lambda: settings.history_bytes)
            metrics.watch("crewops_history_lost", lambda: shipper.health.lost)
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
            _Server(probes.create(self.service, self._changes)),
        ]
        serving = [
            loop.create_task(server.serve(sockets=[one])) for server, one in zip(servers, (front, back), strict=True)
        ]
        background: dict[str, Run] = {
            "backend": parts.backend.run,
            "worker": parts.link.run,
            "changes": self._changes.run,
            "watch": parts.dispatcher.watch,
            "claims": parts.claimer.run,
            "takeover": parts.takeover.run,
            "ends": parts.ends.run,
            "events": parts.dispatcher.teller.rounds.run,
            "progress": parts.dispatcher.keeper.rounds.run,
            "webhooks": parts.deliverer.run,
            "sweep": Sweeper(parts.sessions, settings.session_ttl, parts.metrics).run,
            "lag": self._measure_lag,
            **({"history": parts.shipper.run} if parts.shipper else {}),
        }
        for name, run in background.items():
            self._supervisor.start(name, run)
        log.info("listening", http=front.getsockname()[1], health=back.getsockname()[1], replica=settings.replica)
        await self._serve_until_stopped(serving)
        asked_at = loop.time()
        await self._drain()
        await _farewell(servers[0], asked_at + FAREWELL)
        self.service.leave()
        self._changes.close()
        # The API first: its last answers may be the ends of the drained kickoffs.
        for server, task in zip(servers, serving, strict=True):
            server.should_exit = True
            await asyncio.wait([task], timeout=2)
        await self._supervisor.close()
        await parts.dispatcher.close()
        await parts.slots.close()
        await parts.link.close()
        await parts.backend.close()
        await parts.claimer.close()
        await parts.deliverer.close()
        await parts.ends.close()
        await parts.following.close()
        if parts.shipper is not None:  # the last, for it may take what is left of the time
            left = asked_at + settings.grace_period - LAST_SECOND - loop.time()
            await parts.shipper.close(min(HISTORY_TIME, left))
        await self._waiting_client.aclose()
        await self._client.aclose()
        log.info("ended")

    async def _serve_until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for the signal; a socket that is not served any more must not stay silent."""
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

    def _on_told(self, kickoff: RunningKickoff) -> None:
        if kickoff.request.hooks:
            self._parts.deliverer.poke()

    def _on_ended(self, kickoff: RunningKickoff) -> None:
        self._on_told(kickoff)
        if self._parts.shipper is not None:
            self._parts.shipper.poke()
        outcome = kickoff.outcome
        if outcome is not None and outcome.status in ("error", "timeout"):
            self.service.failed(outcome.reason, outcome.error, kickoff.id)
        elif outcome is not None and outcome.memory == "degraded":
            self.service.failed(FailureKind.MEMORY_DEGRADED, kickoff.memory_trouble, kickoff.id)

    def _on_taken_over(self, kickoff_id: str, outcome: state.Outcome) -> None:
        self._parts.deliverer.poke()
        self.service.failed(outcome.reason, outcome.error, kickoff_id)

    def _on_dead_letters(self, total: int) -> None:
        self.service.failed(
            FailureKind.DEAD_LETTER, f"{total} entries of Redis could not be read and were dead-lettered"
        )

    def _on_background_failure(self, name: str, error: Exception | None) -> None:
        self._parts.metrics.background_failures.labels(name).inc()
        self.service.failed(FailureKind.BACKGROUND_TASK, f"{name}: {'it ended' if error is None else repr(error)}")

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._parts.metrics.loop_lag.set(max(0.0, loop.time() - due))


async def _farewell(server: uvicorn.Server, until: float) -> None:
    """Answer on while clients keep connections open, until a time of the loop's clock: each learns from its next answer
    that the connection ends. One that simply closed would fail the request that its client is about to send.
    """
    loop = asyncio.get_running_loop()
    while server.server_state.connections and loop.time() < until:  # noqa: ASYNC110 - uvicorn signals no change of it
        await asyncio.sleep(FAREWELL_LOOK)


def _made_by(settings: Settings, link: WorkerLink) -> dict[str, str]:
    """What a kickoff runs on, for the durable history."""
    worker = link.state().report
    found = {
        "image": settings.image,
        "crewops": crew_server.__version__,
        "crewai": worker.crewai_version,
        "python": worker.python_version,
    }
    return {name: one for name, one in found.items() if one}


def _history_store(settings: Settings) -> Store | None:
    """Of a crew that has a durable history."""
    if not settings.history_postgres:
        return None
    return Store(Postgres(settings.history_postgres, settings.history_ca_file), settings.key_prefix)


def _signing_key(settings: Settings) -> bytes | None:
    return tokens.webhook_key(settings.api_token) if settings.api_token is not None else None


class _Server(uvicorn.Server):
    """uvicorn's, without its signal handlers: there are two of them, and the process drains first."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_keep_alive=IDLE_CONNECTION,
                timeout_graceful_shutdown=1,
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
        # Inherited by the connections: who has vanished without a word would stay a listener of `changes` for ever.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        listener.bind((address, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise SettingsError([f"cannot listen on {address}:{port}: {error.strerror or error}"]) from error
    return listener
