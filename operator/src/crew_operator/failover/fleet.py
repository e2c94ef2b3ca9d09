"""The controllers of all replicated Redis that this operator acts for."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from crew_operator.desired.redis_users import RedisUsers
from crew_operator.failover.controller import Controller, News
from crew_operator.failover.record import Board
from crew_operator.status.observed import Members

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
Tell = Callable[[Key, News | None], Awaitable[None]]
"""Something has changed that the status tells, and what an Event should say of it."""


@dataclass
class _Running:
    uid: str
    """Of the CrewDeployment."""
    wanted: int
    controller: Controller
    task: "asyncio.Task[None]"


class Failovers(Generic[Key]):
    """One controller for each CrewDeployment that has more than one member."""

    def __init__(self, tell: Tell[Key]) -> None:
        self._tell = tell
        self._running: dict[Key, _Running] = {}

    def follow(
        self,
        key: Key,
        uid: str,
        board: Callable[[], Board],
        key_prefix: str,
        wanted: int,
        users: RedisUsers,
        *,
        crew_should_wait: bool,
        leaving: bool = False,
    ) -> None:
        """See to it that its primary is chosen from now on. To be called within a pass: what the controller writes goes
        through the same fence as what the pass does.

        Args:
            uid: of the CrewDeployment: another one of the same name begins anew.
            board: makes where its record is kept.
            wanted: how many members it should have.
            crew_should_wait, leaving: as `Controller` has it.
        """
        there = self._running.get(key)
        if there is not None and (there.uid, there.wanted) == (uid, wanted) and not there.task.done():
            there.controller.aim(users, crew_should_wait=crew_should_wait, leaving=leaving)
            return
        self.forget(key)

        async def tell(news: News | None) -> None:
            await self._tell(key, news)

        made = Controller(
            board(), key_prefix, wanted, users, tell=tell, crew_should_wait=crew_should_wait, leaving=leaving
        )
        self._running[key] = _Running(uid, wanted, made, asyncio.create_task(made.run(), name=f"failover {key}"))

    def state(self, key: Key) -> Members | None:
        """What there is to tell; None: its Redis has one member."""
        there = self._running.get(key)
        return there.controller.state if there is not None else None

    def forget(self, key: Key) -> None:
        """It is gone, has one member, or another operator acts for it."""
        if (there := self._running.pop(key, None)) is not None:
            there.task.cancel()

    async def aclose(self) -> None:
        """End all of them."""
        tasks = [one.task for one in self._running.values()]
        for key in list(self._running):
            self.forget(key)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
