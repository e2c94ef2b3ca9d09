"""A local cluster without the operator, in this process' own event loop thread; its pods are real processes."""

import asyncio
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crew_programs import kubectl
from localcluster.cluster import Cluster, Options
from localcluster.node.images import Image
from support.kube_api import KubeApi

PYTHON = Image("python:test", path=(str(Path(sys.executable).parent),))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started: queue.Queue[Cluster | BaseException] = queue.Queue()
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()
    options = Options(tmp_path_factory.mktemp("cluster"), images=[PYTHON], with_operator=False, with_defaults=False)

    async def serve() -> None:
        try:
            async with Cluster(options) as cluster:
                started.put(cluster)
                await ending.wait()
        except BaseException as error:
            started.put(error)
            raise

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    cluster = started.get(timeout=60)
    if isinstance(cluster, BaseException):
        raise cluster
    yield cluster
    loop.call_soon_threadsafe(ending.set)
    thread.join(30)
    assert not thread.is_alive()
    assert not Path(cluster.run).exists()


@pytest.fixture
def kube(running: Cluster) -> Iterator[KubeApi]:
    with httpx.Client(base_url=running.server.url, timeout=15, trust_env=False) as http:
        api = KubeApi(running.kubeconfig, http, kubectl.find(), is_real=False).in_namespace()
        yield api
        api.ask("DELETE", f"/api/v1/namespaces/{api.namespace}")
