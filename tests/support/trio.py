"""A Redis of three members as real processes at addresses of their own, the operator's controller of them, and writers
that count what was acknowledged."""

import asyncio
import contextlib
import itertools
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis.asyncio
import redis.exceptions

from crew_operator.api.names import PRIMARY
from crew_operator.desired.redis_users import OPERATOR, RedisUsers
from crew_operator.errors import ConflictError
from crew_operator.failover.controller import Controller, News
from crew_operator.failover.facts import Member, Record
from crew_operator.failover.member import Door
from crew_operator.failover.record import Found
from crew_programs import redis_binary
from crew_runtime.contract import durability, keys
from support.ports import free_port

PREFIX = "hotel/concierge"
USERS = RedisUsers(PREFIX, "crew-password", "operator-password")
_addresses = itertools.count(1)


class OperatorDiesError(BaseException):
    """As a SIGKILL would end it."""


@dataclass
class Server:
    """One member: its process is started as its pod's container would be, and keeps its folder."""

    member: Member
    folder: Path
    port: int
    search: bool
    client_ip: str = ""
    """Where clients find it: a test may cut off the other address alone."""
    process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """As replica of nobody, unless options say otherwise."""
        binary = redis_binary.find_redis(with_search=self.search)
        self.folder.mkdir(parents=True, exist_ok=True)
        users = self.folder / "users.conf"
        users.write_text(USERS.configuration())
        command = [
            *(
                str(binary.path),
                "--port",
                str(self.port),
                "--bind",
                self.member.ip,
                self.client_ip,
                "--dir",
                str(self.folder),
            ),
            *("--save", "", "--appendonly", "yes", "--protected-mode", "no", "--include", str(users)),
            *("--min-replicas-to-write", "1", "--min-replicas-max-lag", "3", "--repl-ping-replica-period", "1"),
            *("--repl-timeout", "10", "--repl-diskless-sync-delay", "0", "--bind-source-addr", self.member.ip),
            *(options or ("--replicaof", "127.0.0.1", "1")),
        ]
        for module in binary.modules:
            command += ["--loadmodule", str(module)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """SIGSTOP."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Board:
    """A StatefulSet's record and labels in this process: what an API server would keep."""

    servers: list[Server]
    record: Record | None = None
    version: int = 1
    roles: dict[str, str] = field(default_factory=dict)
    outdated: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    restart_after: float = 0.3
    busy: int = 0
    """Writes that meet another version: its StatefulSet was changed for another reason meanwhile."""
    crew: tuple[bool, ...] = ()
    """For each of the crew's pods whether it asks for replicas."""
    options: tuple[str, ...] = ()
    """Of the newest template."""
    dies_in: int = -1
    """The number of the act, of Redis or here, before which the operator dies; negative: none."""

    async def read(self) -> Found | None:
        """What there is."""
        members = tuple(
            replace(one.member, role=self.roles.get(one.member.name, ""), outdated=one.member.name in self.outdated)
            for one in self.servers
        )
        return Found(members, self.record, str(self.version), self.crew)

    async def write(self, record: Record, version: str) -> None:
        """Compare and swap."""
        async with self.acting():
            await asyncio.sleep(0.005)
            if self.busy > 0:
                self.busy, self.version = self.busy - 1, self.version + 1
            if version != str(self.version):
                raise ConflictError(409, "another version")
            self.record, self.version = record, self.version + 1

    async def label(self, member: Member, role: str) -> None:
        """A label of a pod."""
        async with self.acting():
            await asyncio.sleep(0.005)
            self.roles[member.name] = role

    async def delete(self, member: Member, grace: int) -> None:
        """Its process ends as a pod's does, and begins anew."""
        self.deleted.append(member.name)
        server = next(one for one in self.servers if one.member.name == member.name)
        assert server.process is not None
        server.go_on()
        server.process.terminate()
        await asyncio.to_thread(server.process.wait)
        self.outdated.discard(member.name)
        await asyncio.sleep(self.restart_after)
        server.start(*self.options)

    def fence(self) -> None:
        """Always open."""

    @contextlib.asynccontextmanager
    async def acting(self) -> AsyncIterator[None]:
        """Around each act."""
        self.dies_in -= 1
        if self.dies_in == 0:
            raise OperatorDiesError
        yield

    def primary_ip(self) -> str:
        """Where the Service would lead; empty: nowhere."""
        found = [one for one in self.servers if self.roles.get(one.member.name) == PRIMARY]
        if len(found) > 1:
            found = [one for one in found if self.record is not None and self.record.primary == one.member.name]
        return found[0].client_ip if found else ""


class Mortal(Controller):
    """Its commands to members count as acts, too."""

    def _door(self, member: Member) -> Door:
        door = super()._door(member)
        board = self._board
        assert isinstance(board, Board)
        if not hasattr(door, "counted"):
            for name in ("follow", "promote", "name_term", "hand_over", "end_clients", "need_no_replicas"):
                setattr(door, name, _counted(board, getattr(door, name)))
            door.counted = True  # type: ignore[attr-defined]
        return door


def _counted(board: Board, act: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def counted(*args: object, **options: object) -> None:
        async with board.acting():
            await act(*args, **options)

    return counted


@dataclass
class Trio:
    """All of it."""

    servers: list[Server]
    board: Board
    port: int
    controllers: list[tuple[Controller, "asyncio.Task[None]"]] = field(default_factory=list)
    told: list[News] = field(default_factory=list)

    def begin(self, *, leaving: bool = False) -> Controller:
        """One more operator's controller. `leaving`: the first member should go on alone."""

        async def tell(news: News | None) -> None:
            if news is not None:
                self.told.append(news)

        made = Mortal(self.board, PREFIX, 3, USERS, port=self.port, tell=tell, crew_should_wait=True, leaving=leaving)
        self.controllers.append((made, asyncio.ensure_future(made.run())))
        return made

    async def end(self, controller: Controller) -> None:
        """That operator dies."""
        for one, task in self.controllers:
            if one is controller:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def server(self, name: str) -> Server:
        """By its member's name."""
        return next(one for one in self.servers if one.member.name == name)

    def primary(self) -> Server:
        """On record."""
        assert self.board.record is not None
        return self.server(self.board.record.primary)

    def replicas(self) -> list[Server]:
        """The others."""
        return [one for one in self.servers if one is not self.primary()]

    def client(self, ip: str, **options: object) -> redis.asyncio.Redis:
        """As the crew."""
        limits = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": None, "decode_responses": True}
        return redis.asyncio.Redis(host=ip, port=self.port, password=USERS.crew_password, **{**limits, **options})

    def admin(self, ip: str) -> redis.asyncio.Redis:
        """As the operator."""
        return redis.asyncio.Redis(
            host=ip, port=self.port, username=OPERATOR, password=USERS.operator_password, socket_timeout=3.0,
            decode_responses=True,
        )  # fmt: skip

    async def whole(self, seconds: float = 30.0) -> None:
        """Wait until some controller says that all members follow."""
        end = time.monotonic() + seconds
        while not any(
            len(one.state.following) == 2
            and one.state.primary is not None
            and self.board.record is not None
            and one.state.term == self.board.record.term  # and not what it said of the one before
            for one, task in self.controllers
            if not task.done()
        ):
            if time.monotonic() > end:
                states = [(one.state.waits, one.state.missing) for one, _ in self.controllers]
                raise AssertionError(f"not whole: {states} {self.board.record} {self.logs()}")
            await asyncio.sleep(0.02)

    def logs(self) -> str:
        """The last lines of each member's log."""
        return "\n".join((one.folder / "redis.log").read_text("utf-8", "replace")[-500:] for one in self.servers)


@contextlib.asynccontextmanager
async def trio(folder: Path, *, search: bool = False, started: bool = True) -> AsyncIterator[Trio]:
    """Three members that run, and no controller yet."""
    port, number = free_port(), next(_addresses)
    servers = [
        Server(
            Member(f"concierge-redis-{one}", one, uid=f"uid-{one}", ip=f"127.88.{number % 250}.{one + 1}", ready=True),
            folder / str(one), port, search, client_ip=f"127.89.{number % 250}.{one + 1}",
        )
        for one in range(3)
    ]  # fmt: skip
    found = Trio(servers, Board(servers), port)
    try:
        if started:
            for one in servers:
                one.start()
        yield found
    finally:
        for _, task in found.controllers:
            task.cancel()
        await asyncio.gather(*(task for _, task in found.controllers), return_exceptions=True)
        for one in servers:
            if one.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    one.go_on()
                one.kill()


@dataclass
class Writers:
    """Clients that write through the Service and count what was acknowledged."""

    trio: Trio
    acknowledged: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    """When each of them was."""
    refused: int = 0
    durability: str = durability.REPLICATED
    """What they ask for."""
    ended: bool = False

    async def write(self, number: int) -> None:
        """Until `ended`: one write after the other, each with an id of its own."""
        prefix = keys.root(PREFIX)
        ip, client = "", None
        for count in itertools.count():
            if self.ended:
                break
            name = f"{number}-{count}"
            now = self.trio.board.primary_ip()
            try:
                if client is None or now != ip:
                    if client is not None:
                        await client.aclose()
                    if not now:
                        client = None
                        await asyncio.sleep(0.02)
                        continue
                    ip, client = now, self.trio.client(now)
                async with client.pipeline(transaction=False) as pipe:
                    pipe.hset(f"{prefix}run:{name}", mapping={"status": "pending"})
                    replicated = self.durability == durability.REPLICATED
                    if replicated:
                        pipe.execute_command(*durability.count(durability.REPLICATED, PREFIX))
                        pipe.execute_command(*durability.wait(durability.REPLICATED, 500))
                    answers = await pipe.execute()
            except (redis.exceptions.RedisError, OSError, TimeoutError):
                self.refused += 1
                if client is not None:
                    with contextlib.suppress(Exception):
                        await client.aclose()
                client = None
                await asyncio.sleep(0.02)
                continue
            if not replicated or int(answers[-1]) >= 1:
                self.acknowledged.append(name)
                self.at.append(time.monotonic())
            else:
                self.refused += 1

    @contextlib.asynccontextmanager
    async def running(self, count: int = 16) -> AsyncIterator["Writers"]:
        """So many of them."""
        tasks = [asyncio.ensure_future(self.write(one)) for one in range(count)]
        try:
            yield self
        finally:
            self.ended = True  # and not by cancelling them: asyncio.wait_for of Python 3.11 may swallow that
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until_acknowledged(self, since: float, seconds: float = 30.0) -> float:
        """Seconds from `since` (monotonic) until the first write after it was acknowledged."""
        end = time.monotonic() + seconds
        while not self.at or self.at[-1] <= since:
            if time.monotonic() > end:
                raise AssertionError(f"no write was acknowledged: {self.trio.board.record} {self.trio.told}")
            await asyncio.sleep(0.01)
        return next(one for one in self.at if one > since) - since

    async def lost(self) -> list[str]:
        """Acknowledged ones that the primary does not have."""
        prefix = keys.root(PREFIX)
        async with self.trio.admin(self.trio.primary().member.ip) as client:
            found: list[str] = []
            for begin in range(0, len(self.acknowledged), 1000):
                part = self.acknowledged[begin : begin + 1000]
                async with client.pipeline(transaction=False) as pipe:
                    for name in part:
                        pipe.exists(f"{prefix}run:{name}")
                    there = await pipe.execute()
                found += [name for name, one in zip(part, there, strict=True) if not one]
        return found
