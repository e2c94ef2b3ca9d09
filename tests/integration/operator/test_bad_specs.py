"""Promise: a spec that cannot work gets a reason and what to change; what runs is left as it was."""

import copy
import dataclasses

import pytest

from crew_operator import app
from crew_operator.api import crd as crd_module
from crew_operator.api import names
from crew_operator.errors import RejectedError
from crew_operator.settings import Restrictions
from support.waiting import eventually

EXTERNAL = {"external": {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}}


async def secret(cluster, name, **data):
    about = {"name": name, "namespace": cluster.namespace}
    await cluster.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": data})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replicas": "three"}, "spec.replicas"),
        ({"crew__definition": {"configMapRef": {"name": "x"}}}, "set either image and entrypoint, or definition"),
        ({"crew__entrypoint": "no colon"}, "spec.crew.entrypoint"),
        ({"crew": {"definition": {}}}, "set one of configMapRef and inline"),
        ({"crew": {"definition": {"inline": {"agents": {"crew": {}}, "tasks": [{}]}}}}, "none of them crew"),
        ({"crew": {"definition": {"inline": {"agents": {}, "tasks": [{}]}}}}, "spec.crew.definition.inline.agents"),
        ({"redis": {"managed": {}, **EXTERNAL}}, "set one of managed and external"),
        ({"name": "1st"}, "begin with a letter"),
    ],
)
async def test_api_server_refuses_what_the_schema_can_tell(cluster, changes, said):
    with pytest.raises(RejectedError, match=said):
        await cluster.make(**changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"redis": {"managed": {"storage": {"size": "512Mi"}}}}, "can grow but not shrink"),
        ({"memory": {"keyPrefix": "other"}}, "keyPrefix cannot change"),
        ({"redis": {"managed": None, **EXTERNAL}}, "cannot be exchanged"),
    ],
)
async def test_api_server_refuses_changes_that_would_lose_memories(cluster, change, said):
    await cluster.make()
    with pytest.raises(RejectedError, match=said):
        await cluster.change(change)


async def test_a_claim_that_is_larger_than_the_spec_says_is_used_as_it_is(cluster, operator):
    """It was grown by hand, or by a spec that was deleted and made again smaller."""
    labels = names.selector("concierge", names.REDIS)
    about = {"name": "data-concierge-redis-0", "namespace": cluster.namespace, "labels": labels}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    await cluster.kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": spec})
    await cluster.make()
    await cluster.exists("Deployment", "concierge")
    claim = await cluster.get("PersistentVolumeClaim", "data-concierge-redis-0")
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"


async def without_rules(cluster):
    """A server that knows the schema's types and not its rules on old and new."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.PLURAL}.{names.GROUP}"
    crd = crd_module.manifest()
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for place in (spec, *spec["properties"].values(), *spec["properties"]["redis"]["properties"].values()):
        place.pop("x-kubernetes-validations", None)
    spec["properties"]["redis"]["properties"]["managed"]["properties"]["storage"].pop("x-kubernetes-validations")
    await cluster.patch(path, {"spec": crd["spec"]})


@pytest.mark.local_cluster
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"memory": {"keyPrefix": "other"}}, "keyPrefix cannot change"),
        ({"redis": {"managed": {"storage": {"size": "512Mi"}}}}, "the volume has 1Gi and cannot shrink to 512Mi"),
        ({"redis": {"managed": None, **EXTERNAL}}, "managed and external cannot be exchanged"),
    ],
)
async def test_a_refusal_stops_what_it_refuses_and_nothing_else(cluster, settings, change, said):
    """On a server without CEL, by an operator that saw the crew begin."""
    if cluster.server is None:
        pytest.skip("would change the CRD of a whole cluster")
    await without_rules(cluster)
    async with app.running(settings):
        await cluster.make()
        await cluster.exists("Deployment", "concierge")
        await settled_in_the_status(cluster)
        await cluster.change({**change, "replicas": 5})
        assert said in await cluster.condition("Ready", "False", "ChangeRefused")
        await cluster.kube.merge("StatefulSet", cluster.namespace, "concierge-redis", {"spec": {"replicas": 0}})

        async def followed():
            redis = await cluster.get("StatefulSet", "concierge-redis")
            crew = await cluster.get("Deployment", "concierge")
            return (redis["spec"]["replicas"], crew["spec"]["replicas"]) == (1, 5)

        await eventually(followed, "Redis is scaled back, and the crew to what the spec says")
    assert "CREWOPS_KEY_PREFIX" in str(await cluster.get("Deployment", "concierge"))
    assert "other" not in await prefix(cluster)


async def settled_in_the_status(cluster):
    async def told():
        memory = ((await cluster.crew()).get("status") or {}).get("memory") or {}
        return {"redis", "keyPrefix", "storage"} <= set(memory)

    await eventually(told, "the status holds what may not change")


async def prefix(cluster):
    (container,) = (await cluster.get("Deployment", "concierge"))["spec"]["template"]["spec"]["containers"]
    return next(one["value"] for one in container["env"] if one["name"] == "CREWOPS_KEY_PREFIX")


async def test_what_may_not_change_is_put_right_in_a_child_that_somebody_edited(cluster, settings):
    """As `kubectl set env deployment/concierge CREWOPS_KEY_PREFIX=elsewhere`, also when nobody acts just then."""
    await cluster.make()
    async with app.running(settings):
        await cluster.exists("Deployment", "concierge")
        await settled_in_the_status(cluster)
    variable = {"name": "CREWOPS_KEY_PREFIX", "value": "elsewhere"}
    crew = await cluster.get("Deployment", "concierge")
    containers = crew["spec"]["template"]["spec"]["containers"]
    containers[0]["env"] = [variable if one["name"] == variable["name"] else one for one in containers[0]["env"]]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    await cluster.kube.merge("Deployment", cluster.namespace, "concierge", patch)
    await cluster.delete("StatefulSet", "concierge-redis")
    assert await prefix(cluster) == "elsewhere"
    async with app.running(settings):

        async def right():
            return await prefix(cluster) == f"{cluster.namespace}/concierge"

        await eventually(right, "the prefix is as it was")
        await cluster.exists("StatefulSet", "concierge-redis")
        conditions = (await cluster.crew())["status"]["conditions"]
        assert "ChangeRefused" not in {one["reason"] for one in conditions}


async def test_a_setting_of_the_runtime_that_somebody_added_is_taken_away_and_other_variables_stay(cluster, operator):
    """As `kubectl set env deployment/concierge CREWOPS_SESSION_TTL=1s`, by which sessions would be forgotten."""
    await cluster.make()
    before = (await cluster.exists("Deployment", "concierge"))["spec"]["template"]["spec"]
    await settled_in_the_status(cluster)
    added = [{"name": "CREWOPS_SESSION_TTL", "value": "1s"}, {"name": "TEAM", "value": "guests"}]
    patch = {
        "initContainers": [{"name": "server", "env": added}],
        "containers": [{"name": "crew", "env": added}],
    }
    deployment = {"spec": {"template": {"spec": patch}}}
    await cluster.kube.merge("Deployment", cluster.namespace, "concierge", deployment, strategic=True)

    async def right():
        return "CREWOPS_SESSION_TTL" not in str(await cluster.get("Deployment", "concierge"))

    await eventually(right, "what was added is gone")
    now = (await cluster.get("Deployment", "concierge"))["spec"]["template"]["spec"]
    for field in ("initContainers", "containers"):
        for one, other in zip(before[field], now[field], strict=True):
            left = [each for each in other.get("env") or () if each["name"] != "TEAM"]
            assert sorted(left, key=str) == sorted(one.get("env") or (), key=str)
    assert str(now).count("TEAM") == 2


async def test_a_runtime_that_somebody_put_into_the_deployment_is_put_right(cluster, operator):
    """As `kubectl set image deployment/concierge server=elsewhere/runtime:1`."""
    await cluster.make()
    before = (await cluster.exists("Deployment", "concierge"))["spec"]["template"]
    await settled_in_the_status(cluster)
    edited = copy.deepcopy(before)
    (server,) = (one for one in edited["spec"]["initContainers"] if one["name"] == "server")
    server["image"] = "elsewhere/runtime:1"
    await cluster.kube.merge("Deployment", cluster.namespace, "concierge", {"spec": {"template": edited}})

    async def right():
        return (await cluster.get("Deployment", "concierge"))["spec"]["template"] == before

    await eventually(right, "the runtime is the one that the crew was rolled out with")


async def test_a_secret_that_goes_missing_stops_the_crew_and_not_its_redis(cluster, operator):
    await secret(cluster, "api", token="t")
    await cluster.make(crew__apiTokenFrom={"secretKeyRef": {"name": "api", "key": "token"}})
    await cluster.exists("Deployment", "concierge")
    await cluster.delete("Secret", "api")
    await cluster.change({"replicas": 3})
    await cluster.condition("Ready", "False", "ReferenceNotFound")
    await cluster.kube.merge("StatefulSet", cluster.namespace, "concierge-redis", {"spec": {"replicas": 0}})

    async def right():
        return (await cluster.get("StatefulSet", "concierge-redis"))["spec"]["replicas"] == 1

    await eventually(right, "Redis is scaled back")


@pytest.mark.parametrize("blank", ["", " \n"])
async def test_an_empty_token_is_told_and_opens_nothing(cluster, operator, blank):
    await secret(cluster, "api", token=blank)
    await cluster.make(crew__apiTokenFrom={"secretKeyRef": {"name": "api", "key": "token"}})
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert "the key token of the Secret api is empty" in message
    assert await cluster.get("Deployment", "concierge") is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://default:hunter2/SECRET@127.0.0.1:6379",
        "redis://default:1234/SECRET@127.0.0.1:6379",
        "redis://default:1234?SECRET@127.0.0.1:6379",
        "redis://default:1234#SECRET@127.0.0.1:6379",
        "redis://default:[SECRET@127.0.0.1",
        "redis://default:SECRET@127.0.0.1:notaport",
        "redis://default:SEC\nRET@127.0.0.1:1",
        "SECRET",
    ],
)
async def test_no_piece_of_a_password_that_is_not_encoded_is_shown(cluster, operator, url):
    await secret(cluster, "redis", url=url)
    await cluster.make(redis=EXTERNAL)
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert "percent-encoded" in message
    everything = f"{await cluster.crew()} {await cluster.events()}"
    for piece in ("SECRET", "hunter2", "1234", "RET"):
        assert piece not in everything


async def test_missing_secret_is_named_and_found_once_it_is_there(cluster, operator):
    await cluster.make(redis=EXTERNAL)
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert f"create the Secret redis in namespace {cluster.namespace}" in message
    assert await cluster.get("Deployment", "concierge") is None
    await secret(cluster, "redis", url="redis://127.0.0.1:1/0")
    await cluster.exists("Deployment", "concierge", seconds=15)


async def test_what_a_definition_lacks_is_named(cluster, operator):
    about = {"name": "crew", "namespace": cluster.namespace}
    await cluster.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"agents.yaml": ""}})
    await cluster.make(crew={"definition": {"configMapRef": {"name": "crew"}}})
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert "add tasks.yaml to the ConfigMap crew: it has agents.yaml" in message


async def test_wrong_key_and_wrong_url_in_a_secret_are_told_apart(cluster, operator):
    await secret(cluster, "redis", other="x", url="http://wrong")
    await cluster.make(redis={"external": {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "uri"}}}})
    message = await cluster.condition("Ready", "False", "ReferenceNotFound")
    assert "add the key uri to the Secret redis" in message
    assert "other" not in message, "who may read the status may not read the names of a Secret's keys"
    await cluster.change({"redis": EXTERNAL})

    async def told():
        return "write redis[s]://" in await cluster.condition("Ready", "False", "ReferenceNotFound")

    await eventually(told, "the wrong URL is told")
    assert "http://wrong" not in str((await cluster.crew())["status"])


async def test_unreachable_external_redis_is_told_and_the_crew_is_made(cluster, operator):
    await secret(cluster, "redis", url="redis://:topsecret@127.0.0.1:1/0")
    await cluster.make(redis=EXTERNAL)
    message = await cluster.condition("MemoryReady", "False", "RedisUnreachable")
    assert "External: check the URL" in message
    crew = await cluster.crew()
    assert crew["status"]["memory"]["endpoint"] == "redis://127.0.0.1:1"
    assert "topsecret" not in str(crew)
    await cluster.exists("Deployment", "concierge")


async def test_child_that_the_api_server_refuses_is_told_and_the_old_one_stays(cluster, operator):
    await cluster.make()
    before = await cluster.exists("Deployment", "concierge")
    await cluster.change({"template": {"volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]}})
    message = await cluster.condition("Ready", "False", "ChildRejected")
    assert "the Deployment concierge was refused" in message
    assert "nowhere" in message or "volumeMounts" in message
    after = await cluster.get("Deployment", "concierge")
    assert after["spec"] == before["spec"]


async def test_restricted_templates_are_refused_and_what_runs_is_left_as_it_was(cluster, settings):
    restricted = dataclasses.replace(settings, restrictions=Restrictions())
    beyond = {
        "template": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}], "securityContext": {"runAsUser": 0}}
    }
    async with app.running(restricted):
        await cluster.make()
        before = await cluster.exists("Deployment", "concierge")
        await cluster.change(beyond)
        message = await cluster.condition("Ready", "False", "SpecInvalid")
        assert "not hostPath: this operator restricts templates @ spec.template.volumes[0].hostPath" in message
        assert "@ spec.template.securityContext.runAsUser" in message
        assert (await cluster.get("Deployment", "concierge"))["spec"] == before["spec"]
        await cluster.delete("Deployment", "concierge")
        again = await cluster.exists("Deployment", "concierge")
        assert not any("hostPath" in one for one in again["spec"]["template"]["spec"]["volumes"])

    async def accepted():
        return "SpecInvalid" not in str((await cluster.crew())["status"]["conditions"])

    async with app.running(settings):

        async def mounted():
            made = await cluster.exists("Deployment", "concierge")
            return any("hostPath" in one for one in made["spec"]["template"]["spec"]["volumes"])

        await eventually(mounted, "an operator without the restriction makes it", 30)
        before = await cluster.get("Deployment", "concierge")
        await eventually(accepted, "its status has nothing against the spec", 30)
    async with app.running(restricted):
        await cluster.condition("Ready", "False", "SpecInvalid")
        assert (await cluster.get("Deployment", "concierge"))["spec"] == before["spec"], "a crew that runs runs on"


async def test_ignored_variable_is_said_in_the_condition(cluster, operator):
    await cluster.make(crew__env=[{"name": "CREWOPS_REDIS_URL", "value": "redis://mine"}])
    message = await cluster.condition("Ready", "False")
    assert "CREWOPS_REDIS_URL in spec.crew.env not applied" in message
