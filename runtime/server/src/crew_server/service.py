"""What the replica does for those who ask it: the two ports are thin over this.

In: requests as types. Out: what to answer, or an error of `errors`.
"""

import asyncio
import collections
import dataclasses
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import crew_server
from crew_runtime.contract import report as reports
from crew_runtime.contract.replica_reasons import ApiReason
from crew_server import health, requests
from crew_server.backend import Backend
from crew_server.errors import (
    BackendError,
    EndedError,
    IdempotencyKeyReusedError,
    NotReadyError,
    QueueFullError,
    ResumeError,
    UnknownKickoffError,
    UnreadableError,
)
from crew_server.events.ends import Ends
from crew_server.events.following import Following, Told
from crew_server.execution.claiming import Claimer
from crew_server.execution.dispatch import Dispatcher
from crew_server.execution.takeover import Takeover
from crew_server.history.outbox import Outbox
from crew_server.history.service import History
from crew_server.history.shipper import Shipper
from crew_server.logs import Log
from crew_server.metrics import Metrics
from crew_server.prober import Prober
from crew_server.queue import human, queue, state
from crew_server.queue.queue import Idempotency, Queue
from crew_server.sessions.service import Sessions
from crew_server.sessions.store import SessionStore
from crew_server.settings import Settings
from crew_server.waits import within
from crew_server.webhooks.delivery import Deliverer
from crew_server.worker.link import WorkerLink
from crew_server.worker.slots import Slots

log = Log(__name__)

KEEP_FAILURES = 20
LOOK_AGAIN = 2.0
"""Seconds after which somebody who waits looks again though nothing was heard of an end."""
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the service speaks for."""

    settings: Settings
    metrics: Metrics
    slots: Slots
    link: WorkerLink
    queue: Queue
    dispatcher: Dispatcher
    claimer: Claimer
    takeover: Takeover
    ends: Ends
    following: Following
    deliverer: Deliverer
    backend: Backend
    sessions: SessionStore
    prober: Prober
    outbox: Outbox
    shipper: Shipper | None
    """None: the crew has no durable history."""
    history: History


@dataclasses.dataclass(frozen=True)
class Headers:
    """What a kickoff's request may say in its headers as well."""

    session_id: str | None = None
    idempotency_key: str | None = None


@dataclasses.dataclass(frozen=True)
class AcceptedKickoff:
    """An accepted kickoff."""

    kickoff_id: str
    session_id: str
    known: bool = False
    """It was accepted before, under the same idempotency key."""


class Service:
    """One replica."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.metrics = parts.metrics
        self.history = parts.history
        self.sessions = Sessions(parts.sessions, self.cancel, self._note_erasure)
        self.draining = False
        self._leaving = False
        self._served = False
        """Whether it was ready once."""
        self._failures: collections.deque[reports.Failure] = collections.deque(maxlen=KEEP_FAILURES)

    # -- the crew's API -------------------------------------------------------------------------------------------

    def input_names(self) -> Sequence[str]:
        """The inputs that the crew's texts ask for. Raises NotReadyError while the crew is not loaded."""
        worker = self._parts.link.state()
        if not worker.report.kind and worker.phase != "ready":
            verdict = health.startup(self._facts())
            raise NotReadyError(verdict.reason, verdict.message)
        return worker.report.crew_inputs

    async def kickoff(self, body: requests.KickoffRequest, headers: Headers) -> AcceptedKickoff:
        """Accept a kickoff: from then on it survives this replica. Raises RequestError, NotReadyError, BackendError."""
        named = requests.session_id(body.session_id, headers.session_id)
        key = requests.idempotency_key(body.idempotency_key, headers.idempotency_key)
        self._refuse_unless_ready()
        inputs = self._checked_inputs(body)
        hooks = requests.hooks(body, self._parts.settings.webhook_hosts)
        # A session that nobody named has one kickoff, which need not wait for others.
        request = state.Request(
            kickoff_id=str(uuid.uuid4()),
            session_id=named or uuid.uuid4().hex,
            inputs=inputs,
            meta=body.meta or {},
            timeout=self._parts.settings.kickoff_timeout,
            hooks=hooks,
            ordered=named is not None,
        )
        idempotency = Idempotency(requests.digest(key), requests.fingerprint(body, named)) if key else None
        fields = {"kickoff_id": request.kickoff_id, "session_id": request.session_id}
        log.info("kickoff", inputs=sorted(inputs), **fields)
        try:
            return await self._accept(request, idempotency)
        except (NotReadyError, BackendError) as error:
            self.metrics.refused.labels(error.reason).inc()
            log.warning("kickoff refused", reason=error.reason, **fields)
            raise

    async def kickoff_for_each(
        self, body: requests.ForEachRequest, headers: Headers
    ) -> list[AcceptedKickoff | NotReadyError | BackendError]:
        """Accept one after the other, in their order. From the first that is refused on none is; that is no kickoff.

        Raises what `kickoff` does when not even the first is taken, and RequestError when any of them is no request.
        """
        key = requests.idempotency_key(body.idempotency_key, headers.idempotency_key)
        each = body.each()
        for one in each:
            self._checked_inputs(one)
        found: list[AcceptedKickoff | NotReadyError | BackendError] = []
        for number, one in enumerate(each):
            of_one = Headers(headers.session_id, f"{requests.digest(key)}:{number}" if key else None)
            try:
                found.append(await self.kickoff(one, of_one))
            except (NotReadyError, BackendError) as error:
                if not found:
                    raise
                return found + [error] * (len(each) - number)
        return found

    def events(self, kickoff_id: str, after: str, client: str) -> AsyncIterator[Told]:
        """What a kickoff tells of itself, from behind the event `after` until its end, whichever replica runs it."""
        return self._parts.following.follow(kickoff_id, after, client)

    async def told_all(self, kickoff_id: str, after: str = "") -> bool:
        """Whether a kickoff has ended, or is gone, and has nothing more to tell: behind the event `after`, or at all.

        Raises RequestError, BackendError.
        """
        status = await self._parts.queue.status(kickoff_id)
        if status is not None and status not in state.ENDS:
            return False
        return not after or not await self._parts.following.anything(kickoff_id, after)

    async def wait(self, kickoff_id: str, seconds: float) -> dict[str, Any] | None:
        """A kickoff's status when it ends, or asks a person, within `seconds`, wherever it runs; else None."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with self._parts.ends.of(kickoff_id) as ended:
            while True:
                ended.clear()
                try:
                    seen = await self.status(kickoff_id)
                except BackendError as error:
                    log.debug("cannot check on a kickoff", kickoff_id=kickoff_id, error=error.message)
                else:
                    if seen["status"] != state.RUNNING:
                        return seen
                left = until - loop.time()
                if left <= 0 or self._leaving:
                    return None
                await within(ended, min(left, LOOK_AGAIN))

    def leave(self) -> None:
        """Let nobody wait any longer: an answer without the end is better than none at all."""
        self._leaving = True
        self._parts.ends.wake()

    async def status(self, kickoff_id: str) -> dict[str, Any]:
        """What a client sees of a kickoff. Raises UnknownKickoffError, BackendError."""
        _check_id(kickoff_id)
        try:
            fields, now = await self._parts.queue.read(kickoff_id)
        except BackendError:
            # Its own kickoffs are known here whatever Redis does.
            if seen := self._own(kickoff_id):
                return seen
            raise
        if not fields:
            if seen := self._own(kickoff_id):
                return seen
            raise UnknownKickoffError(kickoff_id)
        try:
            return state.view(fields, now)
        except queue.UNREADABLE as error:
            raise UnreadableError(kickoff_id, error) from error

    async def resume(self, body: requests.ResumeRequest) -> requests.Resumed:
        """Give a person's answer to a kickoff. Raises RequestError, UnknownKickoffError, ResumeError, BackendError."""
        feedback, kickoff_id = requests.checked_feedback(body), body.execution_id
        _check_id(kickoff_id)
        hooks = requests.hooks(body, self._parts.settings.webhook_hosts)
        answer = human.answer_fields(feedback, approved=body.is_approve)
        what, more = await self._parts.queue.resume(kickoff_id, body.task_id, answer, hooks)
        if what == "unknown":
            raise UnknownKickoffError(kickoff_id)
        if what != "resumed":
            raise _not_waiting(what, more)
        fields = {"kickoff_id": kickoff_id, "session_id": more}
        log.info("kickoff resumed", task_id=body.task_id, approved=body.is_approve, **fields)
        if body.is_approve:
            return requests.Resumed(status="resumed", message="the kickoff goes on with what was approved", **fields)
        return requests.Resumed(status="retrying", message="the kickoff goes on with the feedback", **fields)

    async def cancel(self, kickoff_id: str) -> dict[str, Any]:
        """Stop a kickoff of any replica; an end stays as it is. Raises UnknownKickoffError, BackendError."""
        _check_id(kickoff_id)
        kickoff = self._parts.dispatcher.get(kickoff_id)
        if kickoff is not None:
            self._parts.dispatcher.cancel(kickoff, state.BY_CLIENT)
            await within(kickoff.recorded, self._parts.settings.backend_deadline)
            if kickoff.outcome is None or kickoff.outcome.pause is None:
                return await self.status(kickoff_id)
        applied, _ = await self._parts.queue.cancel(kickoff_id)
        if applied:
            self._parts.deliverer.poke()
            self.metrics.kickoffs.labels(state.CANCELLED, state.BY_CLIENT.reason).inc()
            log.info("kickoff cancelled", kickoff_id=kickoff_id)
        return await self.status(kickoff_id)

    async def stop(self, kickoff_id: str) -> None:
        """Cancel a kickoff that has not ended. Raises EndedError, UnknownKickoffError, BackendError."""
        if ended := state.PLATFORM_STATES.get((seen := await self.status(kickoff_id))["status"]):
            raise EndedError(seen["status"], ended)
        seen = await self.cancel(kickoff_id)
        if seen["status"] != state.CANCELLED and (ended := state.PLATFORM_STATES.get(seen["status"])):
            # Its end was first.
            raise EndedError(seen["status"], ended)

    # -- the second port ------------------------------------------------------------------------------------------

    def phase(self) -> str:
        """Of the worker."""
        return self._parts.link.state().phase

    def startup(self) -> health.Verdict:
        """Whether the worker has come up."""
        return health.startup(self._facts())

    def readiness(self) -> health.Verdict:
        """Whether this replica should be given kickoffs."""
        verdict = health.readiness(self._facts())
        self._served = self._served or verdict.ready
        return verdict

    def serving(self) -> health.Verdict:
        """Whether requests should come here: they do while Redis is away, and are told so."""
        self.readiness()
        return health.serving(self._facts(), served=self._served)

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
            time=time.time(),
            phase=worker.phase,
            reason="" if verdict.ready else verdict.reason,
            message=verdict.message,
            server_version=crew_server.__version__,
            ready=verdict.ready,
            draining=self.draining,
            concurrency=parts.settings.concurrency,
            running=parts.dispatcher.running,
            backlog=parts.takeover.seen.backlog,
            slots=parts.slots.alive,
            worker=worker.report,
            backend=parts.backend.health,
            history=parts.shipper.health if parts.shipper else None,
            # Their texts quote inputs and results, and who asks needs no token.
            failures=tuple(dataclasses.replace(one, message="") for one in self._failures),
        )

    def condition_facts(self) -> object:
        """What conditions are made of in `report`, to be compared: no latency, and nothing that moves with kickoffs."""
        worker, verdict, backend = self._parts.link.state(), self.readiness(), self._parts.backend.health
        history = self._parts.shipper.health if self._parts.shipper else None
        return (
            (worker.phase, worker.report, self.draining),
            (verdict.ready, verdict.reason, verdict.message),
            (backend.ready, backend.reason, backend.message, backend.server_version),
            history and (history.reason, history.message, history.lag > reports.HISTORY_LAG, history.lost),
        )

    def failures(self) -> Sequence[reports.Failure]:
        """The last failures with their texts, for who may read kickoffs."""
        return tuple(self._failures)

    def failed(self, kind: str, message: str, kickoff_id: str = "") -> None:
        """Keep a failure for `failures` and, without its text, for the report."""
        self._failures.append(reports.Failure(time.time(), kind, message[:1000], kickoff_id))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _checked_inputs(self, body: requests.KickoffRequest) -> Mapping[str, Any]:
        names = self.input_names()
        return requests.checked_inputs(body.inputs, names, always=self._parts.link.state().report.inputs_always)

    async def _accept(self, request: state.Request, idempotency: Idempotency | None) -> AcceptedKickoff:
        parts = self._parts
        with parts.claimer.reserve() as slot:
            limits = parts.settings.queue_limit, parts.settings.budget(parts.backend.max_memory)
            accepted = await parts.queue.accept(request, idempotency, *limits, start=slot)
            if accepted.claim is not None:
                parts.claimer.start(accepted.claim)
        if accepted.what == "full":
            text = (
                f"{accepted.kickoff_id} kickoffs of the crew wait for a slot already; run more replicas, or try later"
            )
            raise QueueFullError(ApiReason.QUEUE_FULL, text, retry_after=2)
        if accepted.what == "bytes":
            text = (
                f"the crew's kickoffs take {accepted.kickoff_id} bytes of Redis already, of {limits[1]} that they may: "
                "each goes spec.kickoffs.retention after its end; shorten that, raise spec.kickoffs.maxBytes, or try "
                "later"
            )
            raise QueueFullError(ApiReason.KICKOFF_BYTES, text, retry_after=30)
        if accepted.what == "conflict":
            raise IdempotencyKeyReusedError(accepted.kickoff_id)
        known = accepted.what == "known"
        if known:
            log.info("kickoff is known by its idempotency key", kickoff_id=accepted.kickoff_id)
        return AcceptedKickoff(accepted.kickoff_id, accepted.session_id, known)

    async def _note_erasure(self, session_id: str, counts: Mapping[str, Any]) -> None:
        """Raises BackendError."""
        budget, shipper = self._parts.settings.history_bytes, self._parts.shipper
        await self._parts.outbox.erase(session_id, counts, budget, writes=shipper is not None)
        if shipper is not None:
            shipper.poke()

    def _refuse_unless_ready(self) -> None:
        verdict = health.acceptance(self._facts())
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
            state=worker.report.state,
        )

    def _own(self, kickoff_id: str) -> dict[str, Any] | None:
        kickoff = self._parts.dispatcher.get(kickoff_id)
        return None if kickoff is None else kickoff.view(self._parts.settings.replica)


def _not_waiting(what: str, more: str) -> ResumeError:
    match what:
        case "answered":
            text = "this question was answered before; an answer counts once. GET /status says how the kickoff goes"
            return ResumeError(ApiReason.ALREADY_ANSWERED, text, more)
        case "other":
            text = f"the kickoff asks another question by now: {more}. GET /status shows it"
            return ResumeError(ApiReason.OTHER_QUESTION, text, state.PENDING)
    text = f"the kickoff does not wait for a person, it is {more}"
    return ResumeError(ApiReason.NOT_PENDING, text, more)


def _check_id(kickoff_id: str) -> None:
    """Redis is not asked for what cannot be an id."""
    if not _ID.fullmatch(kickoff_id):
        raise UnknownKickoffError(kickoff_id[:100])
