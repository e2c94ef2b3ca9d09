"""Promise: the crew's password is no administrator's at Redis, and a Redis that runs learns that without a restart."""

import asyncio
import dataclasses
import random
import socket

import pytest
import redis

from crew_operator import desired, redis_client
from crew_operator.api import names, parse
from crew_operator.desired.redis_users import OPERATOR, RedisUsers
from crew_operator.redis_client import Target
from crew_operator.status.observed import RedisState
from crew_runtime import contract
from crew_runtime.contract import rights
from support.crews import crew_manifest
from support.redis_server import RedisServer, find
from support.waiting import wait_until

PREFIX = "hotel/concierge"
USERS = RedisUsers(PREFIX, "of-the-crew", "of-the-operator")
ANOTHER = RedisUsers(PREFIX, "another", USERS.operator_password)
FORBIDDEN = (
    "ACL LIST", "ACL SETUSER default +@all", "BGREWRITEAOF", "BGSAVE", "CLIENT KILL TYPE normal", "CLIENT LIST",
    "CLIENT PAUSE 1", "CLUSTER RESET", "CONFIG GET *", "CONFIG SET requirepass x", "CONFIG SET appendonly no",
    "CONFIG REWRITE", "DEBUG SLEEP 0", "FAILOVER", "FLUSHALL", "FLUSHDB", "FUNCTION FLUSH", "KEYS *", "LATENCY RESET",
    "MEMORY PURGE", "MIGRATE 127.0.0.1 1 k 0 1", "MODULE LIST", "MODULE LOAD /x", "MONITOR", "PUBLISH a b",
    "REPLICAOF 127.0.0.1 1", "RESTORE k 0 x", "ROLE", "SAVE", "SCRIPT FLUSH", "SHUTDOWN NOSAVE", "SLAVEOF NO ONE",
    "SLOWLOG RESET", "SUBSCRIBE a", "SWAPDB 0 1", "SYNC",
)  # fmt: skip
LATER = ("DBSIZE", "GETDEL cs:{hotel/concierge}:x", "OBJECT HELP", "RANDOMKEY")
MODULE = ("FT._LIST", "FT.CONFIG GET *", f"FT.DROPINDEX cs:{{{PREFIX}}}:ix")


class Managed(RedisServer):
    """As the StatefulSet's pod runs it: the operator's own redis.conf and the Secret's users."""

    def __init__(self, folder, *, search):
        crew = parse.crew_deployment(crew_manifest(namespace="hotel", uid="1"))
        inputs = desired.Inputs("runtime:1", "redis:8", USERS.crew_password, USERS.operator_password)
        config = next(one for one in desired.children(crew, inputs) if one["kind"] == "ConfigMap")
        folder.mkdir()
        (folder / names.CONFIG_FILE).write_text(config["data"][names.CONFIG_FILE])
        self.auth = folder / names.AUTH_FILE
        self.auth.write_text(USERS.configuration())
        self.host = f"127.{random.randint(32, 250)}.{random.randint(1, 250)}.3"
        binary = find(with_search=search)
        command = [str(binary.path), str(folder / names.CONFIG_FILE), "--include", str(self.auth), "--dir", str(folder)]
        command += [part for one in binary.modules for part in ("--loadmodule", str(one))]
        super().__init__(folder, contract.REDIS_PORT, [*command, "--bind", self.host], search=search)
        self.alone = USERS.operator_password
        """Set: whoever asks has to be the operator."""

    def as_older_operators_made_it(self):
        self.auth.write_text(f"requirepass {USERS.crew_password}\n")
        self.alone = ""

    def client(self, **options):
        who = {"username": OPERATOR, "password": USERS.operator_password} if self.alone else {}
        return self._client(**who or {"password": USERS.crew_password}, **options)

    @property
    def crew(self):
        return self._client(password=USERS.crew_password)

    def _client(self, **options):
        return redis.Redis(host=self.host, port=self.port, protocol=2, decode_responses=True, **options)


@pytest.fixture(params=["search", "plain"])
def server(request, tmp_path):
    made = Managed(tmp_path / "redis", search=request.param == "search")
    yield made
    made.kill()


def target(server, users=USERS):
    return Target(PREFIX, host=server.host, users=users)


def done(client, commands):
    """Those of the commands that were not refused, and what Redis said instead."""
    return [why for one in commands if (why := refused(client, one)) is not True]


def refused(client, command):
    try:
        client.execute_command(*command.split())
    except redis.exceptions.NoPermissionError:
        return True
    except redis.exceptions.RedisError as error:
        # Those whom even an administrator has to ask for in the configuration.
        return "command not allowed. If the enable-" in str(error) or f"{command}: {error}"
    return f"{command}: done"


async def test_the_crew_may_do_nothing_to_the_server_from_its_start_on(server):
    server.start()
    assert done(server.crew, FORBIDDEN) == []
    assert (await redis_client.look(target(server))).state is RedisState.OK
    assert [
        why
        for one in (*FORBIDDEN, *LATER, *(MODULE if server.search else ()))
        if (why := refused(server.crew, one)) is not True
    ] == []


async def test_the_crew_may_do_with_its_own_keys_what_it_needs_and_nothing_with_others(server):
    server.start()
    await redis_client.look(target(server))
    crew, own = server.crew, f"cs:{{{PREFIX}}}:"
    crew.hset(f"{own}m:1", "d", "remembered")
    assert script(crew, "return redis.call('HGET', KEYS[1], 'd')", f"{own}m:1") == "remembered"
    with pytest.raises(redis.exceptions.NoPermissionError):
        crew.get("cs:{hotel/concierge2}:m:1")
    with pytest.raises(redis.exceptions.ResponseError, match=r"[Nn]o permission|can't access"):
        script(crew, "return redis.call('SET', 'cs:{hotel/other}:x', 1)", f"{own}m:1")


def script(client, text, key):
    return client.evalsha(client.script_load(text), 1, key)


async def test_the_rules_say_exactly_what_is_granted(server):
    """Of every command that this server has."""
    server.start()
    granted = {*rights.COMMANDS, *(rights.SEARCH_COMMANDS if server.search else ())}
    with server.client() as operator:
        assert granted <= allowed(operator)
        await redis_client.look(target(server))
        assert allowed(operator) == granted


async def test_a_restart_reads_back_all_that_was_written(server):
    """Redis plays its file back with the rights of `default`."""
    server.start()
    await redis_client.look(target(server))
    own = f"cs:{{{PREFIX}}}:"
    writes = """
        redis.call('SET', KEYS[1] .. 'lock', 'x', 'PX', 600000)
        redis.call('SET', KEYS[1] .. 'run', 'x')
        redis.call('PEXPIRE', KEYS[1] .. 'run', 600000)
        redis.call('SADD', KEYS[1] .. 's', 'a', 'b', 'c')
        redis.call('SPOP', KEYS[1] .. 's', 2)
        for n = 1, 3 do redis.call('XADD', KEYS[1] .. 'log', 'MAXLEN', 2, '*', 'n', n) end
    """
    script(server.crew, writes, own)
    with server.client() as operator:
        operator.pipeline(transaction=True).set("of-somebody-else", "kept").expire("of-somebody-else", 600).execute()
        before = shape(operator)
    server.kill()
    server.start()
    with server.client() as operator:
        assert shape(operator) == before
        assert operator.acl_log() == []


def shape(operator):
    return {key: (operator.type(key), operator.ttl(key) > 500, size(operator, key)) for key in operator.scan_iter()}


def size(operator, key):
    return {"set": operator.scard, "stream": operator.xlen, "string": operator.strlen}[operator.type(key)](key)


def allowed(operator):
    """Without what Redis refuses nobody, and commands of which one subcommand is granted."""
    found = {one for name in operator.execute_command("COMMAND LIST") if may(operator, one := name.lower())}
    return {one for one in found - {"quit", "reset"} if "|" in one or not any(o.startswith(f"{one}|") for o in found)}


def may(operator, command):
    """DRYRUN looks at the right to the command before anything else but the number of arguments."""
    for count in range(8):
        try:
            answer = operator.execute_command("ACL DRYRUN", "default", *command.split("|"), *["1"] * count)
        except redis.exceptions.ResponseError as error:
            if "wrong number" in str(error):
                continue
            return "not found" not in str(error)
        return "no permissions to run" not in answer
    raise AssertionError(f"{command} takes no number of arguments")


async def test_a_server_of_an_older_operator_gets_its_users_while_it_runs(server):
    server.as_older_operators_made_it()
    server.start()
    connected = server.crew
    connected.hset(f"cs:{{{PREFIX}}}:m:1", "d", "remembered")
    assert refused(connected, "CONFIG GET *") is not True
    run_id = connected.info("server")["run_id"]
    look = await redis_client.look(target(server))
    assert (look.state, look.run_id) == (RedisState.OK, run_id)
    assert connected.hget(f"cs:{{{PREFIX}}}:m:1", "d") == "remembered"
    assert refused(connected, "CONFIG GET *") is True
    assert refused(server.crew, "FLUSHALL") is True


async def test_an_older_operator_can_still_look_after_it(server):
    """Who goes back to it loses nothing."""
    server.start()
    await redis_client.look(target(server))
    crew = server.crew
    assert crew.ping()
    crew.set(f"cs:{{{PREFIX}}}:health:operator", "1", ex=60)
    assert crew.info("server")["run_id"]


async def test_users_are_brought_once_a_start_and_no_more(
    server,
):
    server.start()
    await redis_client.look(target(server))
    with server.client() as operator:
        operator.execute_command("ACL LOG", "RESET")
        before = operator.info("commandstats").get("cmdstat_acl|setuser", {}).get("calls")
        await redis_client.look(target(server))
        assert operator.info("commandstats")["cmdstat_acl|setuser"]["calls"] == before, "a look that changes nothing"
    server.kill()
    server.start()
    await redis_client.look(target(server))
    assert refused(server.crew, "FT._LIST" if server.search else "KEYS *") is True


async def test_another_password_of_the_crew_holds_at_once_and_cuts_nobody_off(server):
    server.start()
    await redis_client.look(target(server))
    connected = server.crew
    connected.ping()
    assert (await redis_client.look(target(server, ANOTHER))).state is RedisState.OK
    assert connected.ping()
    with pytest.raises(redis.exceptions.AuthenticationError):
        server.crew.ping()


async def test_an_earlier_password_holds_until_it_is_taken_back(server):
    server.start()
    await redis_client.look(target(server))
    both = dataclasses.replace(ANOTHER, retiring=USERS.accepted)
    assert (await redis_client.look(target(server, both))).state is RedisState.OK
    assert server.crew.ping()
    assert server._client(password="another").ping()
    server.auth.write_text(both.configuration())
    server.kill()
    server.start()
    assert server.crew.ping(), "a server that starts anew lets both in as well"
    assert server._client(password="another").ping()


@pytest.mark.parametrize(("pods", "left"), [({"127.9.9.1", "127.9.9.2"}, [True, False]), ({"10.1.1.1"}, [True, True])])
async def test_who_stays_connected_with_a_password_that_was_taken_back_is_cut_off(server, pods, left):
    """Known by where it comes from; where no replica does, as behind a proxy, that says nothing."""
    server.start()
    await redis_client.look(target(server))
    peers = [Peer(server, one) for one in ("127.9.9.1", "127.9.9.3")]
    for one in peers:
        one.is_in_the_middle()
    retiring = target(server, dataclasses.replace(ANOTHER, retiring=USERS.accepted))
    await redis_client.look(dataclasses.replace(retiring, peers=frozenset(pods)))
    assert [one.lives() for one in peers] == [True, True]
    await redis_client.look(dataclasses.replace(target(server, ANOTHER), peers=frozenset(pods)))
    assert [one.lives() for one in peers] == left


async def test_replicas_connections_that_do_nothing_or_wait_for_news_are_made_anew(server):
    """They may be from before the replica took up the new password; who is in the middle of something goes on."""
    server.start()
    await redis_client.look(target(server))
    idle, waits, busy = (Peer(server, "127.9.9.1") for _ in range(3))
    waits.send(b"XREAD BLOCK 0 STREAMS cs:{hotel/concierge}:news $")
    busy.is_in_the_middle()
    with server.client() as operator:

        def seen():
            found = {one["cmd"]: int(one["idle"]) for one in operator.client_list() if one["user"] == "default"}
            return "xread" in found and min(found.values()) >= 2

        await asyncio.to_thread(wait_until, seen, "one waits, and none has done anything for a moment", 30)
    await redis_client.look(dataclasses.replace(target(server, ANOTHER), peers=frozenset({"127.9.9.1"})))
    assert [idle.lives(), waits.is_open(), busy.lives()] == [False, False, True]


class Peer:
    """A client of the crew that comes from an address of its own."""

    def __init__(self, server, address):
        self._socket = socket.create_connection((server.host, server.port), timeout=10, source_address=(address, 0))
        assert self._ask(b"AUTH of-the-crew") == b"+OK"

    def is_in_the_middle(self):
        """Of what must not be cut off."""
        assert self._ask(b"WATCH cs:{hotel/concierge}:x") == b"+OK"

    def lives(self):
        try:
            return self._ask(b"PING") == b"+PONG"
        except ConnectionError:
            return False

    def is_open(self):
        """Whether an answer may still come."""
        self._socket.settimeout(0.5)
        try:
            return self._socket.recv(100) != b""
        except TimeoutError:
            return True
        except ConnectionError:
            return False

    def send(self, command):
        self._socket.sendall(command + b"\r\n")

    def _ask(self, command):
        self.send(command)
        return self._socket.recv(100).strip()


async def test_a_server_that_knows_neither_says_that_the_password_is_wrong(server):
    server.start()
    look = await redis_client.look(target(server, RedisUsers(PREFIX, "no", "neither")))
    assert look.state is RedisState.AUTH_FAILED


async def test_the_crews_password_alone_makes_nobody_the_operator(server):
    server.start()
    await redis_client.look(target(server))
    look = await redis_client.look(target(server, RedisUsers(PREFIX, USERS.crew_password, "made up")))
    assert look.state is RedisState.AUTH_FAILED
