"""Promise: a newer operator takes over what an older one made, and nothing of it is made anew or lost."""

import base64

import pytest
import redis

from crew_operator import app
from crew_operator.api import names, parse
from crew_operator.desired import metadata

OLD_PASSWORD = "of-before"


def as_text(value):
    return base64.b64encode(value.encode()).decode()


async def test_a_redis_with_one_password_for_all_gets_its_users_and_keeps_its_memory(cluster, settings, node):
    crew = parse.crew_deployment(await cluster.make(replicas=2))
    await cluster.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata.of(crew, names.redis_auth(crew.name), names.REDIS),
            "data": {"password": as_text(OLD_PASSWORD), "auth.conf": as_text(f"requirepass {OLD_PASSWORD}\n")},
        }
    )
    await node.start_redis(password=OLD_PASSWORD, told=False)
    as_crew = redis.Redis(host=node.redis_ip, password=OLD_PASSWORD, protocol=2, decode_responses=True)
    before = as_crew.info("server")["run_id"]
    as_crew.hset(f"cs:{{{crew.key_prefix}}}:m:1", "d", "remembered")
    as_crew.config_get("*")
    async with app.running(settings):
        await cluster.exists("Deployment", "concierge")
        await node.tell_redis()
        for number in range(2):
            await node.start_replica(f"concierge-{number}")
        await cluster.condition("Ready", "True", "AllGood", seconds=30)
        secret = await cluster.exists("Secret", "concierge-redis-auth")
    assert base64.b64decode(secret["data"]["password"]).decode() == OLD_PASSWORD
    assert "requirepass" not in base64.b64decode(secret["data"]["auth.conf"]).decode()
    assert as_crew.info("server")["run_id"] == before, "restarted"
    assert as_crew.hget(f"cs:{{{crew.key_prefix}}}:m:1", "d") == "remembered"
    with pytest.raises(redis.exceptions.NoPermissionError):
        as_crew.config_get("*")
