"""The children of the zygote: asked for, known by their token, given work, watched, replaced.

In: frames about and from children, and the loop's clock. Out: frames to the zygote and the children, and calls to the
occupant of a slot (the kickoff in it). There are always `concurrency` slots, one spare and one prober, or they are
being forked; only `concurrency` are given work at once. As a rule a slot has one kickoff and then ends; by `processes`
one may be used again, by kickoffs of its session or by all.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from crew_runtime.contract import env, frames
from crew_server.errors import WorkerProtocolError
from crew_server.logs import Log
from crew_server.worker.exits import Exit

log = Log(__name__)

SLOT = "slot"
PROBER = "prober"

STARTING, IDLE, BUSY, CHECKING, LEAVING, GONE = "starting", "idle", "busy", "checking", "leaving", "gone"
ENDING = "ending"
"""It has answered, and ends as its interpreter would: exit handlers send what libraries have gathered."""

START_DEADLINE = 60.0
"""From `fork` to `ready`: loading the user's module in each slot takes 0.2 s as a rule, but it is theirs."""
SILENCE = 30.0
"""A beat comes every second; without one for so long the interpreter is held or stopped."""
LEAVE_DEADLINE = 5.0
"""For a slot that says it goes, or checks whether it is clean."""
END_DEADLINE = 45.0
"""For an ending slot: 30 s until its answer is stored, 10 s for its exit handlers; it keeps both itself."""
EXIT_NEWS = 1.0
"""From the end of a child's connection to the zygote's word on how it ended."""
SETTLE = 0.02
"""From the loss of a slot to the next use of another: when the zygote died, its other children are dead as well, and
its own connection has ended by then. Without it a waiting kickoff was given to a dead slot and lost (seen)."""
BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Before the next fork, by how many children in a row died before they were ready."""

_DEADLINES = {STARTING: START_DEADLINE, CHECKING: LEAVE_DEADLINE, LEAVING: LEAVE_DEADLINE, ENDING: END_DEADLINE}
ENDED_EVERY = 0.05
"""Seconds between two looks at slots that end; of a drain alone."""

Send = Callable[[bytes], None]


class Occupant(Protocol):
    """Who has a child at work."""

    def on_frame(self, frame: frames.Frame) -> None:
        """A frame that the child sent while this occupant had it."""

    def on_lost(self, how: Exit | None, why: str) -> None:
        """The child is gone, or as good as. `why`: ``, `wedged`, `worker` or `protocol`."""


@dataclass(eq=False)
class Child:
    """One process that the zygote forked, or is about to."""

    token: str
    role: str
    asked_at: float
    state: str = STARTING
    pid: int | None = None
    """Known from the zygote alone: what a slot says of itself is not trusted."""
    send: Send | None = None
    close: Callable[[], None] | None = None
    last_frame: float = 0.0
    since: float = 0.0
    """When `state` was entered."""
    occupant: Occupant | None = None
    session: str | None = None
    """Of the kickoffs that it had; None before the first."""
    kill_wanted: bool = False
    how: Exit | None = None
    exited: asyncio.Event = field(default_factory=asyncio.Event)


class Slots:
    """All children of the zygote that is connected now."""

    def __init__(
        self,
        concurrency: int,
        on_idle: Callable[[], None],
        on_lost: Callable[[str], None],
        processes: str = env.PER_KICKOFF,
    ) -> None:
        self._concurrency = concurrency
        self._processes = processes
        self._on_idle = on_idle
        """Called whenever a kickoff may find a slot that did not before."""
        self._on_lost = on_lost
        self._children: dict[str, Child] = {}
        self._departed: dict[str, Child] = {}
        """Their connection ended, and the zygote has not said yet how they did."""
        self._to_zygote: Send | None = None
        self._stopped = True
        self._failed_starts = 0
        self._refilling: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._usable_at: float | None = None

    # -- what others ask ------------------------------------------------------------------------------------------

    @property
    def alive(self) -> int:
        """Slots that are warm: idle, busy or being checked."""
        return sum(1 for one in self._of(SLOT) if one.state in (IDLE, BUSY, CHECKING))

    @property
    def busy(self) -> int:
        """Slots that have a kickoff; also those that take their time to end, beyond as many as may run."""
        ending = sum(1 for one in self._of(SLOT) if one.state == ENDING)
        working = sum(1 for one in self._of(SLOT) if one.state in (BUSY, CHECKING))
        return working + max(0, ending - self._concurrency)

    @property
    def free(self) -> int:
        """How many kickoffs would find a slot now."""
        idle = [one for one in self._of(SLOT) if one.state == IDLE and not one.kill_wanted]
        if self._processes == env.PER_SESSION:
            # The next kickoff may be of any session.
            idle = [one for one in idle if one.session is None]
        return max(0, min(len(idle), self._concurrency - self.busy))

    def idle_for(self, now: float) -> float:
        """Seconds since a slot was last warm; 0 while one is, infinite when none ever was."""
        if self.alive:
            self._usable_at = now
        return float("inf") if self._usable_at is None else now - self._usable_at

    def take(self, occupant: Occupant, session: str) -> Child | None:
        """An idle slot that this session may use, now busy with `occupant`; None when none is free.

        Where a slot belongs to its session, that session's own comes first, then one that had no kickoff yet.
        """
        if self.busy >= self._concurrency:
            return None
        idle = [one for one in self._of(SLOT) if one.state == IDLE and not one.kill_wanted]
        if self._processes == env.PER_SESSION:
            idle = [one for one in idle if one.session in (None, session)]
        if not idle:
            return None
        child = max(idle, key=lambda one: (one.session == session, one.last_frame))
        child.session = session
        self._occupy(child, occupant)
        self._keep_one_fresh()
        return child

    def take_prober(self, occupant: Occupant) -> Child | None:
        """The prober, now busy with `occupant`; None when there is none, or it is busy."""
        idle = (one for one in self._of(PROBER) if one.state == IDLE and not one.kill_wanted)
        child = next(idle, None)
        return None if child is None else self._occupy(child, occupant)

    def tell(self, child: Child, type_: str, /, **fields: object) -> None:
        """Send a child one frame."""
        if child.send is not None:
            child.send(frames.encode(type_, **fields))

    def heard_within(self, child: Child, seconds: float) -> bool:
        """Whether the child gave a sign of life in the last `seconds`."""
        return self._now() - child.last_frame <= seconds

    def kill(self, child: Child) -> None:
        """Have the zygote kill a child and all that it started."""
        child.kill_wanted = True
        if child.pid is not None and child.state != GONE and self._to_zygote is not None:
            self._to_zygote(frames.encode(frames.KILL, pid=child.pid))

    # -- the zygote -----------------------------------------------------------------------------------------------

    def enable(self, to_zygote: Send) -> None:
        """The zygote can fork: keep the pool full from now on."""
        self._to_zygote = to_zygote
        self._stopped = False
        self._failed_starts = 0
        self._refill()

    def disable(self) -> None:
        """Fork no more; what is there goes on."""
        if self._refilling is not None:
            self._refilling.cancel()
            self._refilling = None
        self._stopped = True

    def abandon(self) -> None:
        """The zygote is lost, and with it (PDEATHSIG) all its children."""
        self.disable()
        self._to_zygote = None
        gone = list(self._children.values())
        # All are removed before any is released: the end of a kickoff looks for a slot for the next one.
        for child in gone:
            self._remove(child)
        for child in gone:
            self._release(child, "worker")

    def forked(self, token: str, pid: int) -> None:
        """The zygote forked what it was asked for."""
        child = self._children.get(token)
        if child is None:
            # Asked for, given up and forked nevertheless: nobody will ever use it.
            if self._to_zygote is not None:
                self._to_zygote(frames.encode(frames.KILL, pid=pid))
            return
        child.pid = pid
        if child.kill_wanted:
            self.kill(child)

    def exited(self, token: str, how: Exit) -> None:
        """The zygote reaped a child; what it had sent before may still be on its way."""
        child = self._children.get(token) or self._departed.get(token)
        if child is None:
            return
        child.how = how
        child.exited.set()
        if child.send is None:
            self._remove(child)
            self._release(child, "")
        elif child.close is not None and child.state != GONE:
            # A grandchild may hold the connection open for ever.
            asyncio.get_running_loop().call_later(EXIT_NEWS, child.close)

    # -- the children ---------------------------------------------------------------------------------------------

    def hello(self, token: str, send: Send, close: Callable[[], None]) -> Child:
        """A child connected. Raises WorkerProtocolError when its token was not given out, or used."""
        child = self._children.get(token)
        if child is None or child.send is not None:
            raise WorkerProtocolError("a slot came with a token that was not given out or is used")
        child.send, child.close, child.last_frame = send, close, self._now()
        return child

    def frame(self, child: Child, frame: frames.Frame) -> None:
        """A child sent something."""
        child.last_frame = self._now()
        kind = frame["t"]
        if kind == frames.READY and child.state == STARTING:
            self._failed_starts = 0
            self._enter(child, IDLE)
            self._on_idle()
        elif kind == frames.IDLE and child.state == CHECKING:
            self._checked(child, frame)
        elif child.occupant is not None and kind != frames.BEAT:
            child.occupant.on_frame(frame)

    def done(self, child: Child) -> None:
        """The occupant has all it wanted; a slot now ends, or says whether it is clean."""
        if child.state != BUSY:
            return
        child.occupant = None
        if child.role != SLOT:
            self._enter(child, IDLE)
        elif self._processes != env.PER_KICKOFF:
            self._enter(child, CHECKING)
        else:
            self._enter(child, ENDING)
            # The spare takes its place at once.
            self._refill()
            self._on_idle()

    def leave(self, child: Child) -> bool:
        """Let a slot whose kickoff was stopped end by itself; False for one that would be used again, or is gone."""
        if self._processes != env.PER_KICKOFF or child.state not in (BUSY, ENDING):
            return False
        self.done(child)
        return True

    def stored(self, child: Child, kickoff_id: str, *, quick: bool) -> None:
        """What a slot answered is where it has to be, or is not wanted: it may end. `quick`: it was stopped."""
        if child.state != GONE:
            self.tell(child, frames.STORED, id=kickoff_id, quick=quick)

    async def ended(self, seconds: float) -> bool:
        """End the slots that have had a kickoff and wait for none any more; whether all have gone within `seconds`."""
        for one in list(self._of(SLOT)):
            if one.state == IDLE and one.session is not None:
                # It has run kickoffs and waits for more: it may have something to send as well.
                self.tell(one, frames.EXIT)
                self._enter(one, ENDING)
        until = self._now() + seconds
        while any(one.state == ENDING for one in self._of(SLOT)):
            if self._now() >= until:
                return False
            await asyncio.sleep(ENDED_EVERY)
        return True

    def closed(self, child: Child, why: str = "") -> None:
        """A child's connection ended; nothing more will come from it. `why`: `protocol` when we ended it."""
        if child.state == GONE:
            return
        if not child.exited.is_set():
            self.kill(child)
            self._departed[child.token] = child
        self._remove(child)
        if why:
            self._release(child, why)
        else:
            self._spawn(self._after_close(child))

    def check(self) -> None:
        """Now and then: kill what is silent, does not start or does not leave, and again what should be dead."""
        now = self._now()
        self.idle_for(now)
        for child in list(self._children.values()):
            if child.kill_wanted:
                self.kill(child)
            late = _DEADLINES.get(child.state)
            if late is not None and now - child.since > late:
                self._give_up(child, f"it was {child.state} for more than {late:g} s")
            elif child.send is not None and now - child.last_frame > SILENCE:
                self._give_up(child, f"no beat for {SILENCE:g} s", why="wedged")

    async def close(self) -> None:
        """End what still waits for news."""
        self.disable()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _of(self, role: str) -> Iterator[Child]:
        return (one for one in self._children.values() if one.role == role)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _occupy(self, child: Child, occupant: Occupant) -> Child:
        child.occupant = occupant
        self._enter(child, BUSY)
        return child

    def _keep_one_fresh(self) -> None:
        """Where slots belong to sessions, the one that was used longest ago makes way for the next new session."""
        if self._processes != env.PER_SESSION or self._refilling is not None:
            return
        slots = [one for one in self._of(SLOT) if one.state in (STARTING, IDLE) and not one.kill_wanted]
        owned = [one for one in slots if one.session is not None]
        if owned and len(owned) == len(slots):
            oldest = min(owned, key=lambda one: one.since)
            self.tell(oldest, frames.EXIT)
            self._enter(oldest, ENDING)
            self._refill()

    def _enter(self, child: Child, state: str) -> None:
        child.state, child.since = state, self._now()

    def _checked(self, child: Child, frame: frames.Frame) -> None:
        if frame.get("reusable") is True and not child.kill_wanted:
            self._enter(child, IDLE)
            self._keep_one_fresh()
            self._on_idle()
        else:
            log.info("slot is not reusable", pid=child.pid, reason=frame.get("reason"))
            # The spare takes its place at once.
            self._enter(child, LEAVING)
            self._refill()
            self._on_idle()

    def _give_up(self, child: Child, text: str, why: str = "") -> None:
        log.warning("killing a child of the worker", pid=child.pid, role=child.role, state=child.state, reason=text)
        occupant, child.occupant = child.occupant, None
        self.kill(child)
        self._enter(child, LEAVING)
        child.last_frame = self._now()
        if occupant is not None:
            self._on_lost(why or "late")
            occupant.on_lost(None, why)
        self._refill()
        self._on_idle()

    def _remove(self, child: Child) -> None:
        if child.state == STARTING:
            self._failed_starts += 1
        self._children.pop(child.token, None)
        child.state = GONE
        if child.close is not None:
            child.close()
        self._refill()
        asyncio.get_running_loop().call_later(SETTLE, self._on_idle)

    async def _after_close(self, child: Child) -> None:
        try:
            async with asyncio.timeout(EXIT_NEWS):
                await child.exited.wait()
        except TimeoutError:
            log.warning("the worker did not say how a child ended", pid=child.pid)
        finally:
            self._departed.pop(child.token, None)
        self._release(child, "")

    def _release(self, child: Child, why: str) -> None:
        occupant, child.occupant = child.occupant, None
        if occupant is not None:
            self._on_lost(why or (child.how.reason if child.how and child.how.reason else "died"))
            occupant.on_lost(child.how, why)

    def _refill(self) -> None:
        if self._stopped or self._refilling is not None:
            return
        delay = BACKOFF[min(self._failed_starts, len(BACKOFF) - 1)]
        self._refilling = asyncio.get_running_loop().call_later(delay, self._fork_missing)

    def _fork_missing(self) -> None:
        self._refilling = None
        if self._to_zygote is None:
            return
        for role, wanted in ((SLOT, self._concurrency + 1), (PROBER, 1)):
            have = sum(1 for one in self._of(role) if one.state not in (LEAVING, ENDING))
            for _ in range(wanted - have):
                now = self._now()
                child = Child(token=secrets.token_hex(16), role=role, asked_at=now, since=now, last_frame=now)
                self._children[child.token] = child
                self._to_zygote(frames.encode(frames.FORK, token=child.token, role=role))

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
