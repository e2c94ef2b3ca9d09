"""Promise: a replica takes up another password of Redis by itself, says so, and no kickoff fails for it."""

import asyncio

from crew_runtime.contract import env
from support.replicas import wait_until


def hand(folder, password, version):
    """As the kubelet writes a Secret's volume."""
    folder.mkdir(exist_ok=True)
    for name, text in (("password", password), ("version", version)):
        fresh = folder / f".{name}"
        fresh.write_text(text)
        fresh.replace(folder / name)


async def reports(replica, version):
    async def look():
        return (await replica.report())["backend"]["credentials"] == version

    await wait_until(look, f"the replica reports {version}", 30)


async def test_kickoffs_go_on_while_the_password_is_rotated_twice(make, redis, tmp_path):
    with redis.client() as admin:

        def lets_in(*passwords):
            admin.execute_command("ACL", "SETUSER", "default", "resetpass", *(f">{one}" for one in passwords))

        lets_in("first")
        hand(tmp_path / "redis", "first", "v1")
        replicas = [await make(name, **{env.REDIS_CREDENTIALS: str(tmp_path / "redis")}) for name in ("r1", "r2")]
        servers = [one.server.pid for one in replicas]
        rotated = asyncio.Event()

        async def load(replica):
            ended = []
            while not rotated.is_set() or len(ended) < 3:
                ended.append(await replica.ended(await replica.kickoff(seconds=0.2)))
            return ended

        callers = [asyncio.create_task(load(one)) for one in replicas for _ in range(2)]
        for old, new, version in (("first", "second", "v2"), ("second", "third", "v3")):
            lets_in(old, new)
            hand(tmp_path / "redis", new, version)
            for one in replicas:
                await reports(one, version)
            lets_in(new)
            admin.client_kill_filter(_type="normal", skipme=True)
        rotated.set()
        ended = [one for each in await asyncio.gather(*callers) for one in each]
    assert {one["status"] for one in ended} == {"completed"}
    assert [one.server.pid for one in replicas] == servers


async def test_a_password_that_redis_does_not_take_is_told_and_not_reported_as_in_use(make, redis, tmp_path):
    with redis.client() as admin:
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">first")
        hand(tmp_path / "redis", "first\n", "v1")
        replica = await make(**{env.REDIS_CREDENTIALS: str(tmp_path / "redis"), env.REDIS_PASSWORD: "stale"})
        await reports(replica, "v1")
        hand(tmp_path / "redis", "second", "v2")
        await replica.ready(wanted=False, reason="MemoryAuthFailed", seconds=30)
        assert (await replica.report())["backend"]["credentials"] == "v1"
        admin.execute_command("ACL", "SETUSER", "default", ">second")
        await replica.ready(seconds=30)
        await reports(replica, "v2")
