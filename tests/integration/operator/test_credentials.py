"""Promise: credentials that change in a Secret reach the pods that use them, and nothing else rolls any."""

import asyncio
import base64
import dataclasses
import hashlib
import time

import pytest
import redis as redis_py

from crew_operator import app
from crew_operator.api import names
from crew_operator.desired import environment
from crew_operator.status import conditions
from crew_runtime.contract import env
from support.waiting import eventually

TEMPLATES = (("StatefulSet", "concierge-redis"), ("Deployment", "concierge"))
TOKEN = {"crew__apiTokenFrom": {"secretKeyRef": {"name": "own", "key": "token"}}}
VARIABLE = {
    "crew__env": [{"name": "HISTORY_URL", "value": "redis://:$(CREWOPS_REDIS_PASSWORD)@concierge-redis:6379/0"}]
}
EXTERNAL = {"redis": {"external": {"urlFrom": {"secretKeyRef": {"name": "own", "key": "url"}}}}}


@pytest.fixture
def settings(settings):
    """Secrets of the user are not watched: they are read again and again."""
    return dataclasses.replace(settings, reread=0.5)


async def own_secret(cluster, **data):
    about = {"name": "own", "namespace": cluster.namespace}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": data})


async def write(cluster, name, **data):
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    await cluster.kube.merge("Secret", cluster.namespace, name, {"data": encoded})


async def label(cluster, name, value):
    await cluster.kube.merge("Secret", cluster.namespace, name, {"metadata": {"labels": {"note": value}}})


async def templates(cluster):
    found = [await cluster.get(kind, name) for kind, name in TEMPLATES]
    return [one and one["spec"]["template"] for one in found]


async def recorded(cluster):
    """What the status says of the Secrets' versions."""
    return ((await cluster.crew()).get("status") or {}).get("credentials") or {}


async def settled(cluster):
    await cluster.exists("Deployment", "concierge")
    await eventually(lambda: recorded(cluster), "the status names the versions")
    return await templates(cluster)


async def noticed(cluster, change):
    """Makes a change and waits until the operator has seen it."""
    before = await recorded(cluster)
    await change

    async def seen():
        return await recorded(cluster) != before

    await eventually(seen, "the status names the new versions")


async def auth(cluster, key="auth.conf"):
    secret = await cluster.get("Secret", "concierge-redis-auth")
    return base64.b64decode(secret["data"][key]).decode()


def hashed(password):
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


@pytest.mark.parametrize("spec", [{}, VARIABLE], ids=["file", "variable of the user's"])
async def test_a_new_password_rolls_no_redis_and_the_old_one_holds(cluster, operator, spec):
    """And the crew where its own code was given the old one, when it began."""
    await cluster.make(**spec)
    redis, crew = await settled(cluster)
    old = await auth(cluster, "password")
    await noticed(cluster, write(cluster, "concierge-redis-auth", password="Rotated-1\n"))
    redis_now, crew_now = await templates(cluster)
    assert redis_now == redis
    assert (crew_now["metadata"] != crew["metadata"]) is bool(spec)
    assert "Rotated" not in f"{redis_now} {crew_now} {await cluster.crew()}"
    assert f"user default on {hashed('Rotated-1')} {hashed(old)} " in await auth(cluster)
    assert await auth(cluster, "password") == "Rotated-1", "echo's newline is no part of a password"
    assert await auth(cluster, "replica-password") == old, "there is no Redis yet that takes the new one"


@pytest.mark.local_cluster
async def test_the_old_password_is_taken_back_when_no_pod_has_it_any_more(cluster, node, operator):
    if cluster.server is None:
        pytest.skip("its controllers roll out by themselves: test_a_new_password_fails_no_kickoff")
    await cluster.make(replicas=1, **VARIABLE)
    await node.start_redis()
    await node.start_replica("concierge-1")
    await cluster.condition("Ready", "True", seconds=30)
    url = node.redis_url
    await noticed(cluster, write(cluster, "concierge-redis-auth", password="Rotated-1"))
    new = redis_py.Redis(node.redis_ip, password="Rotated-1", protocol=2)
    await eventually(lambda: lets_in(new), "Redis takes the new password")
    assert await lets_in(redis_py.Redis.from_url(url)), "and the old one, which pods still have"
    await node.tell_deployment()
    await eventually(lambda: taken_back(cluster, url, "Rotated-1"), "the old password is taken back")
    assert await lets_in(new)


async def hastened(cluster):
    """Each replica's pod has an annotation with the version of the password that replicas are given now."""
    version = await auth(cluster, "replica-password-version")
    pods = await cluster.kube.list("Pod", cluster.namespace, {names.COMPONENT_LABEL: "crew"})
    said = {(one["metadata"].get("annotations") or {}).get("crewops.dev/mounted-credentials") for one in pods}
    return len(pods) == 2 and said == {version}


async def taken_back(cluster, url, password):
    """What came before this password, in the Secret and of the server that runs. `url`: with an earlier one."""
    alone = f"user default on {hashed(password)} " in await auth(cluster)
    return alone and not await lets_in(redis_py.Redis.from_url(url))


@pytest.mark.local_cluster
async def test_a_new_password_is_taken_up_without_a_restart_and_then_the_old_one_is_taken_back(cluster, node, operator):
    if cluster.server is None:
        pytest.skip("replicas are pods there: test_a_new_password_fails_no_kickoff")
    replicas = await two_replicas(cluster, node)
    await cluster.condition("Ready", "True", seconds=30)
    before, crew, pids = node.redis_url, await templates(cluster), [one.server.pid for one in replicas]
    for password in ("Rotated-1", "Rotated-2"):
        await write(cluster, "concierge-redis-auth", password=password)
        await eventually(lambda now=password: handed_on(cluster, now), "replicas are given what Redis takes")
        url = node.redis_url.replace(node.redis_url.split(":")[2].split("@")[0], password)
        assert await lets_in(redis_py.Redis.from_url(url))
        await eventually(lambda: hastened(cluster), "the kubelets are told to bring it to the pods")
        await noticed_again(cluster)
        assert await lets_in(redis_py.Redis.from_url(before)), "no replica has read the new one yet"
        await node.mount_password()
        await eventually(lambda last=before, now=password: taken_back(cluster, last, now), "the old one is taken back")
        before = url
    await cluster.condition("Ready", "True", seconds=30)
    assert await templates(cluster) == crew
    assert [one.server.pid for one in replicas] == pids


@pytest.mark.local_cluster
async def test_a_rotation_goes_on_wherever_the_operator_ends(cluster, node, settings):
    if cluster.server is None:
        pytest.skip("replicas are pods there")
    async with app.running(settings):
        replicas = await two_replicas(cluster, node)
        await cluster.condition("Ready", "True", seconds=30)
    old, url = await auth(cluster, "password"), node.redis_url
    await write(cluster, "concierge-redis-auth", password="Rotated-1")
    await node.mount_password()
    version = await auth(cluster, "replica-password-version")
    assert await auth(cluster, "replica-password") == old, "without an operator replicas keep what Redis takes"
    async with app.running(settings):
        await eventually(lambda: handed_on(cluster, "Rotated-1"), "replicas are given the new one")
    assert await auth(cluster, "replica-password-version") != version
    async with app.running(settings):
        for _ in range(3):
            await noticed_again(cluster)
        assert await lets_in(redis_py.Redis.from_url(url)), "who has just begun takes nothing back unseen"
    await node.mount_password()
    for one in replicas:
        await one.ready()
    async with app.running(settings):
        await eventually(lambda: taken_back(cluster, url, "Rotated-1"), "the old one is taken back")
        await cluster.condition("Ready", "True", seconds=30)


@pytest.mark.local_cluster
async def test_a_password_of_age_is_replaced_and_told_and_others_are_not(cluster, node, operator):
    if cluster.server is None:
        pytest.skip("replicas are pods there")
    await two_replicas(cluster, node, redis__managed={"passwordRotation": {"every": "24h"}})
    await cluster.condition("Ready", "True", seconds=30)
    old, url, crew = await auth(cluster, "password"), node.redis_url, await templates(cluster)
    await of_age(cluster, hours=23)
    await noticed_again(cluster)
    assert await auth(cluster, "password") == old
    await of_age(cluster, hours=25)

    async def replaced():
        return await auth(cluster, "password") != old

    await eventually(replaced, "there is another password")
    password = await auth(cluster, "password")
    await eventually(lambda: handed_on(cluster, password), "replicas are given what Redis takes")
    await node.mount_password()
    await eventually(lambda: taken_back(cluster, url, password), "the old one is taken back")
    await eventually(lambda: told(cluster, "RedisPasswordRotated"), "an Event tells of it")
    assert await told(cluster, "RedisPasswordChanged")
    for _ in range(3):
        await noticed_again(cluster)
    assert await auth(cluster, "password") == password, "it is new"
    assert await templates(cluster) == crew


async def of_age(cluster, *, hours):
    """As if the password had been changed so long ago."""
    when = conditions.timestamp(time.time() - hours * 3600)
    about = {"annotations": {names.PASSWORD_TIME_ANNOTATION: when}}
    await cluster.kube.merge("Secret", cluster.namespace, "concierge-redis-auth", {"metadata": about})


async def told(cluster, reason):
    events = await cluster.kube.list("Event", cluster.namespace, {})
    return [one for one in events if one.get("reason") == reason]


@pytest.mark.local_cluster
async def test_a_crew_that_an_older_operator_made_is_rolled_for_the_next_password_and_no_more(
    cluster, node, settings, monkeypatch
):
    if cluster.server is None:
        pytest.skip("replicas are pods there")
    with monkeypatch.context() as older:
        older.setattr(environment, "reads_password", lambda crew: False)
        async with app.running(settings):
            await cluster.make()
            before = await settled(cluster)
            await node.start_redis()
            await cluster.condition("MemoryDurable", "True", seconds=30)
    async with app.running(settings):
        for _ in range(2):
            await noticed_again(cluster)
        assert await templates(cluster) == before
        for password in ("Rotated-1", "Rotated-2"):
            await noticed(cluster, write(cluster, "concierge-redis-auth", password=password))
            await eventually(lambda now=password: handed_on(cluster, now), "replicas are given what Redis takes")
            before, last = await templates(cluster), before
            assert (before[1] == last[1]) is (password == "Rotated-2")
        assert env.REDIS_CREDENTIALS in str(before)


async def two_replicas(cluster, node, **spec):
    """That read the password out of a file, as a pod's do."""
    await cluster.make(replicas=2, **spec)
    await node.start_redis()
    await cluster.exists("Deployment", "concierge")
    folder = {env.REDIS_CREDENTIALS: await node.mount_password()}
    return [await node.start_replica(f"concierge-{one}", **folder) for one in (1, 2)]


async def handed_on(cluster, password):
    return await auth(cluster, "replica-password") == password


async def noticed_again(cluster):
    """When the operator has looked at everything once more since now: a pass that it is called for writes this back."""
    await cluster.kube.merge("Service", cluster.namespace, "concierge", {"spec": {"selector": {"x": "y"}}})

    async def put_right():
        return "x" not in (await cluster.get("Service", "concierge"))["spec"]["selector"]

    await eventually(put_right, "a whole pass was made")


async def lets_in(client):
    try:
        return await asyncio.to_thread(client.ping)
    except redis_py.AuthenticationError:
        return False
    finally:
        client.connection_pool.disconnect()


@pytest.mark.parametrize(
    ("spec", "key"), [(TOKEN, "token"), (EXTERNAL, "url")], ids=["token of the API", "URL of Redis"]
)
async def test_what_the_user_rotates_rolls_the_crew_and_no_redis(cluster, operator, spec, key):
    await own_secret(cluster, url="redis://:old@127.0.0.1:1/0", token="old")
    await cluster.make(**spec)
    redis, crew = await settled(cluster)
    await noticed(cluster, write(cluster, "own", **{key: "redis://:new@127.0.0.1:1/0"}))
    redis_now, crew_now = await templates(cluster)
    assert redis_now == redis
    assert crew_now["metadata"] != crew["metadata"]
    assert crew_now["spec"] == crew["spec"]


async def test_a_label_or_another_key_of_the_secret_rolls_nothing(cluster, operator):
    await own_secret(cluster, token="old")
    await cluster.make(**TOKEN)
    before = await settled(cluster)
    await noticed(cluster, label(cluster, "own", "1"))
    await noticed(cluster, write(cluster, "own", other="x"))
    await noticed(cluster, label(cluster, "concierge-redis-auth", "1"))
    assert await templates(cluster) == before


async def test_a_label_of_a_secret_that_the_operator_made_rolls_nothing(cluster, operator):
    await cluster.make()
    before = await settled(cluster)
    for name in ("concierge-api-token", "concierge-redis-auth"):
        await noticed(cluster, label(cluster, name, "1"))
    assert await templates(cluster) == before


async def test_an_operator_that_starts_rolls_nothing_and_notices_what_changed_in_its_absence(cluster, settings):
    await own_secret(cluster, token="old")
    await cluster.make(**TOKEN)
    async with app.running(settings):
        before = await settled(cluster)
    async with app.running(settings) as second:
        await cluster.change({"replicas": 3})

        async def scaled():
            return (await cluster.get("Deployment", "concierge"))["spec"]["replicas"] == 3

        await eventually(scaled, "the second operator acts")
        assert await templates(cluster) == before
        assert second.metrics.writes.labels("apply", "StatefulSet")._value.get() == 0
    await write(cluster, "own", token="new")
    async with app.running(settings):

        async def rolled():
            redis, crew = await templates(cluster)
            return redis == before[0] and crew["metadata"] != before[1]["metadata"]

        await eventually(rolled, "the crew is rolled, and Redis is not")


async def test_a_crew_of_an_operator_that_kept_no_record_is_not_rolled(cluster, settings):
    """And from then on there is a record."""
    await cluster.make(**VARIABLE)
    async with app.running(settings):
        before = await settled(cluster)
    path = f"/apis/crewops.dev/v1alpha1/namespaces/{cluster.namespace}/crewdeployments/concierge/status"
    await cluster.patch(path, {"status": {"credentials": None}})
    assert await recorded(cluster) == {}
    async with app.running(settings):
        await eventually(lambda: recorded(cluster), "the status names the versions again")
        assert await templates(cluster) == before
        await noticed(cluster, write(cluster, "concierge-redis-auth", password="new"))
        assert (await templates(cluster))[1]["metadata"] != before[1]["metadata"]
