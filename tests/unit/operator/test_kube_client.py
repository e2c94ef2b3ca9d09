import asyncio
import contextlib
import inspect
import json

import pytest
from aiohttp import web
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from crew_operator.errors import ConflictError, LeadershipLostError, RejectedError
from crew_operator.kube_client import KubeClient, _error, bearer
from crew_operator.metrics import Metrics


@pytest.mark.parametrize("header", ["abc", "Bearer abc", "bearer abc", "bearer abc\n"])
def test_token_is_found_however_its_scheme_is_written(header):
    assert bearer(header) == "abc"


@pytest.mark.parametrize("header", ["", "Basic abc"])
def test_what_is_no_token_is_none(header):
    assert bearer(header) is None


def test_an_operator_that_is_newer_than_its_crd_is_told_what_to_do():
    """What Kubernetes 1.36 answers to an apply with a field that the schema does not have."""
    what = "failed to create typed patch object (lobby/concierge; crewops.dev/v1alpha1, Kind=CrewDeployment)"
    said = f"{what}: .status.memory.lastProof.subject: field not declared in schema"
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert isinstance(found, RejectedError)
    assert found.message.startswith(said)
    assert "apply crds/crewdeployments.yaml" in found.message


def test_a_field_that_a_child_cannot_have_is_a_refusal_and_no_fault_of_the_crd():
    """It came out of a piece of the spec that is handed on as it is; Kubernetes answers 500 and not 422."""
    what = "failed to create typed patch object (lobby/concierge; apps/v1, Kind=Deployment)"
    said = f"{what}: .spec.template.spec.affinity.nodes: field not declared in schema"
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert isinstance(found, RejectedError)
    assert "crds/crewdeployments.yaml" not in found.message


def test_a_value_of_another_type_is_a_refusal():
    """Likewise, of Kubernetes 1.36."""
    what = "failed to create typed patch object (lobby/concierge; apps/v1, Kind=Deployment)"
    said = f'{what}: .spec.template.spec.containers[name="crew"].envFrom[0].secretRef.name: expected string, got map'
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert isinstance(found, RejectedError)
    assert found.message == said


def test_a_patch_that_was_meant_for_another_object_is_a_conflict():
    """Kubernetes answers a patch with another uid by 422, a replacement by 409."""
    said = 'ConfigMap "one" is invalid: metadata.uid: Invalid value: "another": field is immutable'
    found = _error(ApiException(status=422, reason="Unprocessable Entity", body=json.dumps({"message": said})))
    assert isinstance(found, ConflictError)


# What goes out -------------------------------------------------------------------------------------------------------

OURS = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "lobby", "name": "concierge"}}
LEASE = {**OURS, "apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
WRITES = {
    "create": lambda kube, one: kube.create(one),
    "apply": lambda kube, one: kube.apply(one, uid="u"),
    "apply_new": lambda kube, one: kube.apply_new(one),
    "apply_status": lambda kube, one: kube.apply_status(one),
    "replace": lambda kube, one: kube.replace(one),
    "merge": lambda kube, one: kube.merge(one["kind"], "lobby", "concierge", {}, uid="u"),
    "delete": lambda kube, one: kube.delete(one["kind"], "lobby", "concierge", uid="u", grace=0),
}
READS = {
    "get": lambda kube: kube.get("Service", "lobby", "concierge"),
    "list": lambda kube: kube.list("Service", "lobby", {}),
    "events": lambda kube: kube.events("lobby", "u"),
}


class Server:
    """An API server that answers anything with an object, and what came to it."""

    def __init__(self):
        self.came = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def answer(self, request):
        self.came.append((request.method, request.path.rpartition("/namespaces/lobby/")[2]))
        await self.answers.wait()
        return web.json_response(OURS)


@contextlib.asynccontextmanager
async def connected(**options):
    """A server and a client of it."""
    server, made = Server(), web.Application()
    made.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(made)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    configuration.retries = False
    try:
        async with client.ApiClient(configuration) as api:
            yield server, KubeClient(api, Metrics(), **options)
    finally:
        server.answers.set()
        await runner.cleanup()


def closed():
    raise LeadershipLostError("the term is over")


def test_every_method_that_writes_is_tried_below():
    found = {name for name, _ in inspect.getmembers(KubeClient, inspect.iscoroutinefunction) if name[0] != "_"}
    assert found == WRITES.keys() | READS.keys()


@pytest.mark.parametrize("method", WRITES)
async def test_a_process_that_must_not_write_sends_nothing_but_what_is_about_its_lease(method):
    write = WRITES[method]
    async with connected() as (server, kube):
        await write(kube, OURS)
        assert len(server.came) == 1, "it would come"
        kube.fence = closed
        with pytest.raises(LeadershipLostError):
            await write(kube, OURS)
        assert len(server.came) == 1
        for read in READS.values():
            await read(kube)
        await write(kube, LEASE)
        assert [path.partition("/")[0] for _, path in server.came[1:]] == ["services", "services", "events", "leases"]


async def test_the_fence_is_asked_when_a_write_has_its_turn_and_a_lease_waits_for_none():
    async with connected(at_once=1) as (server, kube):
        server.answers.clear()
        reading = asyncio.create_task(kube.get("Service", "lobby", "concierge"))
        writing = asyncio.create_task(kube.apply(OURS))
        renewing = asyncio.create_task(kube.replace(LEASE))
        async with asyncio.timeout(30):
            while len(server.came) < 2:
                await asyncio.sleep(0.01)
        assert sorted(server.came) == [("GET", "services/concierge"), ("PUT", "leases/concierge")]
        kube.fence = closed
        server.answers.set()
        await asyncio.gather(reading, renewing)
        with pytest.raises(LeadershipLostError):
            await writing
        assert len(server.came) == 2
