"""What the replica does for those who ask it: the two ports are thin over this.

In: requests as types. Out: what to answer, or an error of `errors`.
"""

import asyncio
import collections
import dataclasses
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

import crew_server
from crew_runtime.contract import report as reports
from crew_server import health
from crew_server.backend import Backend
from crew_server.errors import BackendError, NotReadyError, UnknownKickoffError
from crew_server.http import requests
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.prober import Prober
from crew_server.runs import state
from crew_server.runs.dispatch import Dispatcher
from crew_server.runs.store import RunStore
from crew_server.sessions.service import Sessions
from crew_server.sessions.store import SessionStore
from crew_server.settings import Settings
from crew_server.worker.link import WorkerLink
from crew_server.worker.slots import Slots

log = Log(__name__)

KEEP_FAILURES = 20
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the service speaks for."""

    settings: Settings
    metrics: Metrics
    slots: Slots
    link: WorkerLink
    store: RunStore
    dispatcher: Dispatcher
    backend: Backend
    sessions: SessionStore
    prober: Prober


class Service:
    """One replica."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.metrics = parts.metrics
        self.sessions = Sessions(parts.sessions, self.cancel)
        self.draining = False
        self._failures: collections.deque[reports.Failure] = collections.deque(maxlen=KEEP_FAILURES)

    # -- the crew's API -------------------------------------------------------------------------------------------

    def input_names(self) -> Sequence[str]:
        """The inputs that the crew's texts ask for. Raises NotReadyError while the crew is not loaded."""
        worker = self._parts.link.state()
        if not worker.report.kind and worker.phase != "ready":
            verdict = health.startup(self._facts())
            raise NotReadyError(verdict.reason, verdict.message)
        return worker.report.crew_inputs

    async def kickoff(self, body: requests.KickoffRequest, session_header: str | None) -> requests.KickoffAccepted:
        """Accept a kickoff. Raises RequestError, NotReadyError, BackendError."""
        session = requests.session_id(body.session_id, session_header) or uuid.uuid4().hex
        self._refuse_unless_ready()
        inputs = requests.checked_inputs(body.inputs, self.input_names())
        timeout = self._parts.settings.kickoff_timeout
        tasks = self._parts.link.state().report.tasks
        request = state.Request(str(uuid.uuid4()), session, inputs, body.meta or {}, timeout, tasks)
        log.info("kickoff", kickoff_id=request.kickoff_id, session_id=session, inputs=sorted(inputs))
        try:
            await self._parts.dispatcher.submit(request)
        except (NotReadyError, BackendError) as error:
            self.metrics.refused.labels(error.reason).inc()
            log.warning("kickoff refused", kickoff_id=request.kickoff_id, session_id=session, reason=error.reason)
            raise
        return requests.KickoffAccepted(kickoff_id=request.kickoff_id, session_id=session)

    async def wait(self, kickoff_id: str, seconds: float) -> dict[str, Any] | None:
        """A kickoff's status when it ends within `seconds`, else None."""
        kickoff = self._parts.dispatcher.get(kickoff_id)
        if kickoff is not None:
            try:
                async with asyncio.timeout(seconds):
                    await kickoff.recorded.wait()
            except TimeoutError:
                return None
        return await self.status(kickoff_id)

    async def status(self, kickoff_id: str) -> dict[str, Any]:
        """What a client sees of a kickoff. Raises UnknownKickoffError, BackendError."""
        _check_id(kickoff_id)
        try:
            fields, now = await self._parts.store.read(kickoff_id)
        except BackendError:
            # Its own kickoffs are known here whatever Redis does.
            if seen := self._own(kickoff_id):
                return seen
            raise
        if not fields:
            if seen := self._own(kickoff_id):
                return seen
            raise UnknownKickoffError(kickoff_id)
        return state.view(fields, now)

    async def cancel(self, kickoff_id: str) -> dict[str, Any]:
        """Stop a kickoff of any replica; an end stays as it is. Raises UnknownKickoffError, BackendError."""
        _check_id(kickoff_id)
        kickoff = self._parts.dispatcher.get(kickoff_id)
        if kickoff is not None:
            self._parts.dispatcher.cancel(kickoff, state.BY_CLIENT)
            return await self.wait(kickoff_id, self._parts.settings.backend_deadline) or await self.status(kickoff_id)
        await self._parts.store.cancel(kickoff_id)
        return await self.status(kickoff_id)

    # -- the second port ------------------------------------------------------------------------------------------

    def phase(self) -> str:
        """Of the worker."""
        return self._parts.link.state().phase

    def startup(self) -> health.Verdict:
        """Whether the worker has come up."""
        return health.startup(self._facts())

    def readiness(self) -> health.Verdict:
        """Whether this replica should be given kickoffs."""
        return health.readiness(self._facts())

    async def proof(self, action: str, nonce: str) -> dict[str, Any]:
        """A proof by the prober. Raises NotReadyError when there is none."""
        answer = await self._parts.prober.prove(action, nonce)
        if not answer["ok"]:
            self.failed("proof", f"{action}: {answer['error']}")
        return answer

    def report(self) -> reports.Report:
        """All that this replica says of itself."""
        parts, worker, verdict = self._parts, self._parts.link.state(), self.readiness()
        return reports.Report(
            replica=parts.settings.replica,
            phase=worker.phase,
            reason="" if verdict.ready else verdict.reason,
            message=verdict.message,
            server_version=crew_server.__version__,
            ready=verdict.ready,
            draining=self.draining,
            concurrency=parts.settings.concurrency,
            running=parts.dispatcher.running,
            slots=parts.slots.alive,
            worker=worker.report,
            backend=parts.backend.health,
            failures=tuple(self._failures),
        )

    def failed(self, kind: str, message: str, kickoff_id: str = "") -> None:
        """Keep a failure for the report."""
        self._failures.append(reports.Failure(time.time(), kind, message[:1000], kickoff_id))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _refuse_unless_ready(self) -> None:
        verdict = self.readiness()
        if not verdict.ready:
            self.metrics.refused.labels(verdict.reason).inc()
            raise NotReadyError(verdict.reason, verdict.message)

    def _facts(self) -> health.Facts:
        worker = self._parts.link.state()
        return health.Facts(
            phase=worker.phase,
            worker_reason=worker.reason,
            worker_message=worker.message,
            ping_age=worker.ping_age,
            crashes=worker.crashes,
            no_slot_for=self._parts.slots.idle_for(asyncio.get_running_loop().time()),
            backend=self._parts.backend.health,
            fail_closed=self._parts.settings.fail_closed,
            draining=self.draining,
        )

    def _own(self, kickoff_id: str) -> dict[str, Any] | None:
        kickoff = self._parts.dispatcher.get(kickoff_id)
        return None if kickoff is None else kickoff.view(self._parts.settings.replica)


def _check_id(kickoff_id: str) -> None:
    """Redis is not asked for what cannot be an id."""
    if not _ID.fullmatch(kickoff_id):
        raise UnknownKickoffError(kickoff_id[:100])
