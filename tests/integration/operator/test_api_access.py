"""Promise: a new crew's API asks for a token, and an upgrade closes it to no client of a crew that ran before."""

import base64

import pytest

from crew_operator import app
from crew_operator.api import names
from crew_operator.children import Children
from support.waiting import eventually

FROM_BEFORE = {"observedGeneration": 1, "replicas": 0}
"""As an operator left it that knew nothing of the API's protection."""


async def server_token(cluster):
    """The reference by which the replicas get their token; None: they get none."""
    pod = (await cluster.exists("Deployment", "concierge"))["spec"]["template"]["spec"]
    (server,) = (one for one in pod["initContainers"] if one["name"] == "server")
    found = {one["name"]: one for one in server["env"]}
    return found.get("CREWOPS_API_TOKEN", {}).get("valueFrom", {}).get("secretKeyRef")


async def revision(cluster):
    """What rolls the replicas when the token is another one."""
    template = (await cluster.exists("Deployment", "concierge"))["spec"]["template"]
    return template["metadata"].get("annotations", {}).get(names.AUTH_ANNOTATION)


async def told(cluster, **wanted):
    """status.api as soon as it has these fields."""

    async def look():
        found = (await cluster.crew()).get("status", {}).get("api") or {}
        return found if wanted.items() <= found.items() else None

    return await eventually(look, f"status.api has {wanted}")


async def write(cluster, token, name="concierge-api-token"):
    data = {"token": base64.b64encode(token).decode()}
    await cluster.kube.merge("Secret", cluster.namespace, name, {"data": data})


async def make_from_before(cluster, **changes):
    """A crew as it is when a new operator finds it."""
    await cluster.make(**changes)
    about = {"namespace": cluster.namespace, "name": "concierge"}
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": about, "status": FROM_BEFORE}
    await cluster.kube.apply_status(body)


async def test_a_new_crew_is_closed_and_says_where_its_token_lies(cluster, operator):
    await cluster.make()
    found = await told(cluster, auth="Token")
    ref = found["tokenFrom"]["secretKeyRef"]
    assert ref == await server_token(cluster) == {"name": "concierge-api-token", "key": "token"}
    secret = await cluster.get("Secret", ref["name"])
    assert len(base64.b64decode(secret["data"]["token"])) == 64


async def test_the_token_is_made_once(cluster, settings):
    await cluster.make()
    async with app.running(settings):
        before = (await cluster.exists("Secret", "concierge-api-token"))["data"]
        await told(cluster, auth="Token")
    async with app.running(settings):
        await cluster.change({"replicas": 3})

        async def scaled():
            return (await cluster.get("Deployment", "concierge"))["spec"]["replicas"] == 3

        await eventually(scaled, "a pass of the next operator")
    assert (await cluster.get("Secret", "concierge-api-token"))["data"] == before


@pytest.mark.parametrize("how", ["deleted", "written", "emptied"])
async def test_another_token_rolls_the_replicas(cluster, operator, how):
    await cluster.make()
    secret = await cluster.exists("Secret", "concierge-api-token")
    before = await revision(cluster)
    assert before
    if how == "deleted":
        await cluster.delete("Secret", "concierge-api-token")
    else:
        await write(cluster, b"my-own" if how == "written" else b"\n")

    async def rolled():
        return await revision(cluster) not in (None, before)

    await eventually(rolled, "the template has another token", 40)
    now = base64.b64decode((await cluster.exists("Secret", "concierge-api-token"))["data"]["token"])
    assert now == b"my-own" if how == "written" else len(now) == 64
    assert now != base64.b64decode(secret["data"]["token"])


async def test_a_crew_from_before_stays_open_until_its_spec_speaks(cluster, settings):
    await make_from_before(cluster)
    async with app.running(settings):
        assert (await told(cluster, auth="None"))["asBefore"] == ["allowFrom", "auth"]
        assert await server_token(cluster) is None
        assert await cluster.get("Secret", "concierge-api-token") is None
    # Neither another operator nor a child that somebody deletes makes it another crew.
    await cluster.delete("Deployment", "concierge")
    async with app.running(settings):
        assert await server_token(cluster) is None
        await cluster.change({"crew": {"api": {"auth": "Token"}}})
        assert (await told(cluster, auth="Token"))["asBefore"] == ["allowFrom"]
        await cluster.exists("Secret", "concierge-api-token")

        async def closed():
            return await server_token(cluster)

        assert (await eventually(closed, "the replicas get the token"))["name"] == "concierge-api-token"


async def test_no_child_that_somebody_edits_opens_a_crew(cluster, operator):
    await cluster.make()
    await told(cluster, auth="Token")
    wanted = await server_token(cluster)
    path = f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/concierge"
    live = await cluster.get("Deployment", "concierge")
    containers = live["spec"]["template"]["spec"]["initContainers"]
    for one in containers:
        one["env"] = [variable for variable in one.get("env", ()) if variable["name"] != "CREWOPS_API_TOKEN"]
    await cluster.patch(path, {"spec": {"template": {"spec": {"initContainers": containers}}}})

    async def put_right():
        return await server_token(cluster) == wanted

    await eventually(put_right, "the token is back", 40)
    assert (await cluster.crew())["status"]["api"]["auth"] == "Token"


async def test_a_new_crew_that_could_not_be_made_at_first_is_none_from_before(cluster, operator):
    """It has a status by the time that its Deployment is made, as a crew from before has."""
    url = {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
    await cluster.make(redis={"external": url})
    await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert (await told(cluster, auth="Token")).get("asBefore") is None
    about = {"namespace": cluster.namespace, "name": "redis"}
    data = {"url": base64.b64encode(b"redis://127.0.0.1:1/0").decode()}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data})
    assert await server_token(cluster) == {"name": "concierge-api-token", "key": "token"}


@pytest.mark.parametrize("before", [None, FROM_BEFORE], ids=["new", "from before"])
async def test_passes_that_fail_make_no_crew_another_one(cluster, settings, monkeypatch, before):
    """Their status is written without a look at what the crew is."""
    await (make_from_before(cluster) if before else cluster.make())
    async with app.running(settings):
        with monkeypatch.context() as bug:

            async def bring(*_, **__):
                raise KeyError("unforeseen")

            bug.setattr(Children, "bring", bring)
            await cluster.condition("Ready", "Unknown", "InternalError", seconds=30)
        await cluster.change({"replicas": 1})
        await told(cluster, auth="None" if before else "Token")
        assert (await server_token(cluster) is None) is bool(before)
    # Nor does it open one that was closed before.
    async with app.running(settings):
        with monkeypatch.context() as bug:
            bug.setattr(Children, "bring", bring)
            await cluster.change({"replicas": 2})
            await cluster.condition("Ready", "Unknown", "InternalError", seconds=30)
        await cluster.change({"replicas": 3})

        async def over():
            conditions = (await cluster.crew())["status"]["conditions"]
            return "InternalError" not in {one["reason"] for one in conditions}

        await eventually(over, "passes end again", 30)
        await told(cluster, auth="None" if before else "Token")
        assert (await server_token(cluster) is None) is bool(before)


async def test_a_token_in_a_secret_of_somebody_else_is_not_taken(cluster, operator):
    about = {"namespace": cluster.namespace, "name": "concierge-api-token"}
    data = {"token": base64.b64encode(b"known to others").decode()}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data})
    await cluster.make()
    await cluster.condition("Ready", "False", "NameTaken")
    assert await cluster.get("Deployment", "concierge") is None
    assert (await cluster.get("Secret", "concierge-api-token"))["data"] == data


@pytest.mark.parametrize("spelling", ["apiTokenFrom", "api"])
@pytest.mark.parametrize("empty", [b"", b" \n"])
async def test_an_empty_token_is_refused_and_nothing_is_rolled_out(cluster, operator, spelling, empty):
    about = {"namespace": cluster.namespace, "name": "mine"}
    data = {"token": base64.b64encode(empty).decode()}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data})
    source = {"secretKeyRef": {"name": "mine", "key": "token"}}
    await cluster.make(**{f"crew__{spelling}": source if spelling == "apiTokenFrom" else {"tokenFrom": source}})
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert "the key token of the Secret mine is empty" in message
    assert await cluster.get("Deployment", "concierge") is None
    await write(cluster, b"t0ken\n", "mine")
    assert await server_token(cluster) == {"name": "mine", "key": "token"}


async def test_what_contradicts_itself_is_refused_by_the_api_server(cluster):
    source = {"secretKeyRef": {"name": "mine", "key": "token"}}
    for crew in (
        {"apiTokenFrom": source, "api": {"tokenFrom": source}},
        {"apiTokenFrom": source, "api": {"auth": "None"}},
        {"api": {"auth": "None", "tokenFrom": source}},
        {"api": {"allowFrom": [{}]}},
    ):
        with pytest.raises(Exception, match=r"keep one of the two|asks for no token|minProperties|at least 1"):
            await cluster.make(**{f"crew__{name}": value for name, value in crew.items()})
