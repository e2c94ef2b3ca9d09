"""One Redis of three: looks at its members, decides, acts, and again. One task a Redis, by which its primary is chosen.

Each step begins with what is found. Nothing of a step is remembered but what speaks against the primary, so it may end
anywhere: by an error, by another operator, by the process.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from crew_operator.api.names import PRIMARY, REPLICA
from crew_operator.desired.redis_users import RedisUsers
from crew_operator.errors import ConflictError, OperatorError
from crew_operator.failover import decide
from crew_operator.failover.decide import Adopt, Alone, Elect, Keep, Seal, Switch, Wait
from crew_operator.failover.facts import NOBODY, Contact, Leaving, Look, Member, Picture, Record, Suspicion
from crew_operator.failover.member import Door, MemberError
from crew_operator.failover.record import Board, Found
from crew_operator.status.observed import Members
from crew_runtime.contract import REDIS_PORT

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks while all is well; a connection that ends is looked after at once."""
SUSPICIOUS: Final = 0.2
"""Seconds between two looks while it is not."""
AFTER_ERROR: Final = 1.0
STEP_DEADLINE: Final = 15.0
"""Seconds for a whole step."""
STUCK_FOR: Final = 20.0
"""Seconds that a member which is no primary may give no answer before its pod is replaced."""
REPLACED_EVERY: Final = 120.0
"""Seconds between two of them."""
SWITCH_AGAIN: Final = 60.0
"""Seconds after a planned switch that failed: each try lets writes wait for some seconds."""
RECORD_TRIES: Final = 10
FILE_AFTER: Final = 150.0
"""Seconds after which a kubelet has brought a changed ConfigMap to a pod that runs: a minute and a half by default."""
GRACE: Final = 5
"""Seconds for a pod that is replaced to end by itself."""


@dataclass(frozen=True)
class News:
    """What an Event is to tell."""

    failed_over: bool
    """By a fault, and not as planned."""
    message: str


class Controller:
    """Of one Redis."""

    def __init__(
        self,
        board: Board,
        key_prefix: str,
        wanted: int,
        users: RedisUsers,
        *,
        port: int = REDIS_PORT,
        tell: Callable[[News | None], Awaitable[None]],
        crew_should_wait: bool = False,
        leaving: bool = False,
    ) -> None:
        """
        Args:
            wanted: how many members there should be.
            crew_should_wait: the spec asks the crew to wait for the next primary when one goes. Those of its pods that
                were made before do not: an update of the primary is not to begin before they are gone.
            leaving: the spec wants the first member alone.
            tell: called when the state has changed, with what an Event should say of it.
        """
        self.state = Members(wanted=wanted)
        self._board = board
        self._key_prefix = key_prefix
        self._wanted = wanted
        self._users = users
        self._crew_should_wait = crew_should_wait
        self._leaving = leaving
        self._port = port
        self._tell = tell
        self._doors: dict[str, Door] = {}
        """By address."""
        self._wake = asyncio.Event()
        self._suspicion = Suspicion()
        self._stuck: dict[str, float] = {}
        """Pod's uid -> since when it gives no answer."""
        self._replaced_at = 0.0
        self._switch_at = 0.0
        """When the next planned switch may be tried."""
        self._alone_since = 0.0
        """Since when the StatefulSet has one member; 0: it has more."""

    def aim(self, users: RedisUsers, *, crew_should_wait: bool, leaving: bool) -> None:
        """Who the members should know from now on, and what the crew's pods and the members should do."""
        self._crew_should_wait = crew_should_wait
        self._leaving = leaving
        if users != self._users:
            self._users = users
            self._close()  # each new connection brings a member to its users

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._wake.clear()
                pause = await self._step()
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            self._close()

    async def _step(self) -> float:
        """One step; the answer is the pause in seconds until the next one."""
        try:
            async with asyncio.timeout(STEP_DEADLINE):
                return await self.step()
        except ConflictError:
            return 0.0  # somebody has changed the StatefulSet: read it again
        except (OperatorError, MemberError, TimeoutError) as error:
            log.warning("a step of the failover failed", extra={"error": str(error) or type(error).__name__})
        except Exception:
            log.exception("a step of the failover failed")
        return AFTER_ERROR

    async def step(self) -> float:
        """Look, decide, act. Raises OperatorError and MemberError; whatever was done stays done."""
        found = await self._board.read()
        if found is None:
            await self._show(Members(wanted=self._wanted, waits="there is no StatefulSet yet"))
            return EVERY
        now = time.monotonic()
        picture = Picture(
            found.members,
            await self._look(found.members),
            found.record,
            self._wanted,
            self._port,
            self._leaving,
            found.replicas,
        )
        self._suspicion = decide.suspicion(picture, self._suspicion, now)
        step = decide.step(picture, self._suspicion, time.monotonic())
        if not isinstance(step, Alone):
            self._alone_since = 0.0
        match step:
            case Keep():
                return await self._keep(found, picture, step)
            case Adopt():
                return await self._adopt(found, step)
            case Seal():
                return await self._seal(picture, step)
            case Elect():
                return await self._elect(found, step)
            case Alone():
                return await self._alone(found, picture, step)
        if step.sure:
            await self._wait(picture, step)
        return SUSPICIOUS

    # What is seen

    async def _look(self, members: tuple[Member, ...]) -> dict[str, Look]:
        addresses = {one.ip for one in members if one.is_there}
        for gone in set(self._doors) - addresses:
            self._doors.pop(gone).close()
        asked = [one for one in members if one.is_there]
        looks = await asyncio.gather(*(self._door(one).look() for one in asked))
        return {one.name: look for one, look in zip(asked, looks, strict=True)}

    def _door(self, member: Member) -> Door:
        door = self._doors.get(member.ip)
        if door is None:
            door = Door(member.ip, self._key_prefix, self._users, self._wake.set, self._port)
            self._doors[member.ip] = door
        return door

    def _close(self) -> None:
        for door in self._doors.values():
            door.close()
        self._doors.clear()

    # What is done

    async def _keep(self, found: Found, picture: Picture, keep: Keep) -> float:
        if keep.name_term:
            self._board.fence()
            await self._door(keep.primary).name_term(keep.term)
        if keep.fence:
            self._board.fence()
            await self._door(keep.primary).need_replicas()
        await self._let_follow(keep)
        await self._label(picture, keep.primary)
        if found.record is not None and (record := self._newer(found.record, found, picture, keep)) != found.record:
            await self._put_on_record(record, found)
            return 0.0  # what was found is old by now
        await self._show(_serving(picture, keep))
        match decide.rollout(picture, keep, crew_is_ready=all(found.crew) or not self._crew_should_wait):
            case Switch(member) if time.monotonic() >= self._switch_at:
                self._switch_at = time.monotonic() + SWITCH_AGAIN
                await self._switch(found, keep, member)
                self._switch_at = 0.0
                return 0.0
            case decide.Replace(member):
                log.info("replacing a member of Redis", extra={"pod": member.name})
                await self._board.delete(member, 30)
                return SUSPICIOUS
        await self._replace_stuck(picture, keep)
        return SUSPICIOUS if keep.follow else EVERY

    def _newer(self, record: Record, found: Found, picture: Picture, keep: Keep) -> Record:
        """What is to be on record of this primary."""
        whole = record.whole or keep.whole
        if not self._leaving or not decide.is_ready_to_leave(picture, keep):
            return replace(record, whole=whole, leaving=Leaving.NO)
        if record.leaving is Leaving.NO or any(found.crew):
            return replace(record, whole=whole, leaving=Leaving.READY)
        return replace(record, whole=False, leaving=Leaving.ALONE)

    async def _alone(self, found: Found, picture: Picture, alone: Alone) -> float:
        """Nothing that it takes from now on needs a replica. The pass lets the others go meanwhile, and changes the
        file that it would be started with: before that is sure to have reached its pod it is not left to itself."""
        if alone.fenced:
            self._board.fence()
            await self._door(alone.member).need_no_replicas()
            await self._tell(News(False, f"{alone.member.name} goes on alone, as spec.redis.managed.replicas says"))
        await self._label(picture, alone.member)  # its pod may have been made anew while another one is still there
        others = ", ".join(one.name for one in picture.members if one.name != alone.member.name)
        record, now = found.record, time.monotonic()
        self._alone_since = (self._alone_since or now) if picture.replicas == 1 else 0.0
        settled = self._alone_since and now - self._alone_since >= FILE_AFTER
        if settled and record is not None and record.leaving is Leaving.ALONE:
            await self._put_on_record(replace(record, leaving=Leaving.OVER), found)
            return 0.0
        missing, stage = f"{others} leave" if others else "", record.leaving if record is not None else ""
        await self._show(Members(alone.member, alone.term, 1, missing=missing, leaving=stage))
        return EVERY

    async def _let_follow(self, keep: Keep) -> None:
        """Those that cannot be told now are told by the next step: it must not end for them."""
        self._board.fence()
        told = (
            self._door(one).follow((keep.primary.ip, self._port), end_clients=one in keep.demoted)
            for one in keep.follow
        )
        for one, result in zip(keep.follow, await asyncio.gather(*told, return_exceptions=True), strict=True):
            if isinstance(result, MemberError):
                log.warning("a member cannot be told to follow", extra={"pod": one.name, "error": str(result)})
            elif isinstance(result, BaseException):
                raise result
            elif one in keep.demoted:
                message = (
                    f"{one.name} was still a primary, and follows {keep.primary.name} now: what it took is dropped"
                )
                await self._tell(News(True, message))

    async def _adopt(self, found: Found, adopt: Adopt) -> float:
        """Its data are named before it is on record: from then on they count in an election."""
        self._board.fence()
        await self._door(adopt.member).name_term(adopt.term)
        await self._board.label(adopt.member, PRIMARY)
        await self._board.write(Record(adopt.term, adopt.member.name), found.version)
        log.info("Redis has its first primary on record", extra={"pod": adopt.member.name, "term": adopt.term})
        return 0.0

    async def _seal(self, picture: Picture, seal: Seal) -> float:
        self._board.fence()
        log.warning("sealing members of Redis", extra={"pods": [one.name for one in seal.members], "why": seal.why})
        was = {one.name for one, said in picture.answering if said.is_primary}
        told = (self._door(one).follow(NOBODY, end_clients=one.name in was) for one in seal.members)
        for result in await asyncio.gather(*told, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, MemberError):
                raise result
        return 0.0

    async def _elect(self, found: Found, elect: Elect) -> float:
        before = found.record
        # whole: a write that two members have acknowledged is known to be one from then on, whatever happens to them
        stage = before.leaving if before is not None and elect.alone else Leaving.NO
        await self._put_on_record(Record(elect.term, elect.member.name, _is_whole(before), stage), found)
        self._board.fence()
        door = self._door(elect.member)
        await (door.need_no_replicas() if elect.alone else door.need_replicas())  # whatever it began with
        await door.promote(elect.term)
        log.warning("Redis has another primary", extra={"pod": elect.member.name, "term": elect.term, "why": elect.why})
        await self._board.label(elect.member, PRIMARY)
        if before is not None:
            await self._tell(
                News(True, f"{elect.member.name} is the primary of Redis now (term {elect.term}): {elect.why}")
            )
        return 0.0

    async def _switch(self, found: Found, keep: Keep, heir: Member) -> None:
        """By Redis' own FAILOVER, which lets writes wait. An operator that dies in it is followed by one that finds a
        primary on record which is none, and elects: among members that all have the same."""
        self._board.fence()
        log.info("handing over the primary's part", extra={"pod": keep.primary.name, "to": heir.name})
        await self._door(heir).need_replicas()  # one that ran alone takes writes without
        await self._door(keep.primary).hand_over((heir.ip, self._port))
        term = keep.term + 1
        await self._put_on_record(Record(term, heir.name, _is_whole(found.record)), found)
        self._board.fence()
        await self._door(heir).name_term(term)
        await self._board.label(heir, PRIMARY)
        await self._door(keep.primary).end_clients()
        await self._tell(News(False, f"{heir.name} is the primary of Redis now (term {term}), as planned"))

    async def _put_on_record(self, record: Record, found: Found) -> None:
        """In the place of what was found. The StatefulSet changes for other reasons, too, and most of all now: that is
        no other record. Raises ConflictError when another one was put there.
        """
        for _ in range(RECORD_TRIES):
            try:
                return await self._board.write(record, found.version)
            except ConflictError:
                now = await self._board.read()
                if now is None or now.record != found.record:
                    raise
                found = now
        raise ConflictError(409, "the StatefulSet does not keep still")

    async def _label(self, picture: Picture, primary: Member) -> None:
        """The new primary first: for a moment two are selected, and never none."""
        for one in sorted(picture.members, key=lambda one: one.name != primary.name):
            role = PRIMARY if one.name == primary.name else REPLICA
            if one.role != role:
                await self._board.label(one, role)

    async def _replace_stuck(self, picture: Picture, keep: Keep) -> None:
        """A replica that takes connections and answers nothing is seen by no kubelet."""
        now = time.monotonic()
        silent = {
            one.uid: one
            for one in picture.members
            if one.name != keep.primary.name
            and (look := picture.look(one.name)) is not None
            and look.contact is Contact.SILENT
            and not one.terminating
        }
        self._stuck = {uid: self._stuck.get(uid, now) for uid in silent}
        longest = min(self._stuck, key=self._stuck.__getitem__, default="")
        if not longest or now - self._stuck[longest] < STUCK_FOR or now - self._replaced_at < REPLACED_EVERY:
            return
        self._replaced_at = now
        member = silent[longest]
        await self._board.delete(member, GRACE)
        message = f"{member.name} gave no answer for {STUCK_FOR:g} s: its pod was replaced"
        await self._tell(News(True, f"{message}; {keep.primary.name} is the primary"))

    # What is told

    async def _wait(self, picture: Picture, wait: Wait) -> None:
        term = picture.record.term if picture.record is not None else 0
        missing, whole = _missing(picture, ()), _is_whole(picture.record)
        await self._show(Members(None, term, self._wanted, (), missing, wait.why, whole))

    async def _show(self, state: Members) -> None:
        if state != self.state:
            self.state = state
            await self._tell(None)


def _is_whole(record: Record | None) -> bool:
    """All members have once held the same, as far as is on record."""
    return record is not None and record.whole


def _serving(picture: Picture, keep: Keep) -> Members:
    following = tuple(
        one.name
        for one, said in picture.answering
        if one.name != keep.primary.name and said.linked and not said.is_primary and one not in keep.follow
    )
    missing = _missing(picture, (keep.primary.name, *following))
    leaving = picture.record.leaving if picture.record is not None else ""
    return Members(
        keep.primary, keep.term, picture.wanted, following, missing, whole=_is_whole(picture.record), leaving=leaving
    )


def _missing(picture: Picture, there: tuple[str, ...]) -> str:
    """Why the others do not follow, the first three."""
    found = []
    for one in picture.members:
        if one.name in there:
            continue
        look = picture.look(one.name)
        if look is None:
            found.append(f"{one.name} has no address")
        elif look.answer is None:
            found.append(f"{one.name}: {look.message or look.contact.value}")
        else:
            found.append(f"{one.name} copies from the primary" if look.answer.syncing else f"{one.name} is not linked")
    if (absent := picture.wanted - len(picture.members)) > 0:
        found.append(f"{absent} without a pod")
    return "; ".join(found[:3])
