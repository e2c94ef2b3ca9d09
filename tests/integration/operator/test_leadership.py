"""Two operators of one Lease: one acts, and the other does when that is gone."""

import asyncio
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from crew_operator import kube_client, leadership
from crew_operator.errors import LeadershipLostError
from crew_operator.lease import Candidate
from crew_operator.metrics import Metrics
from support.relay import relay

BEGINS = 20.0
"""Seconds until another acts; the promise."""


class Operators:
    """Candidates that note when they act."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.acting: set[str] = set()
        self.most = 0

    def start(self, name, kube=None):
        async def act():
            self.acting.add(name)
            self.most = max(self.most, len(self.acting))
            try:
                await asyncio.Event().wait()
            finally:
                self.acting.discard(name)

        lease = f"{self._cluster.namespace}/crew-operator"
        return asyncio.create_task(leadership.lead(kube or self._cluster.kube, lease, act), name=name)

    async def wait(self, *names):
        async with asyncio.timeout(BEGINS):
            while self.acting != set(names):
                await asyncio.sleep(0.05)


@pytest.fixture
def operators(cluster):
    return Operators(cluster)


async def _stop(*tasks):
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_acts_and_gives_the_lease_to_the_next_when_it_is_shut_down(operators):
    first = operators.start("first")
    await operators.wait("first")
    second = operators.start("second")
    await asyncio.sleep(3)
    assert operators.acting == {"first"}
    begun = time.monotonic()
    await _stop(first)
    await operators.wait("second")
    assert time.monotonic() - begun < 10, "it was given back, not run out"
    assert operators.most == 1
    await _stop(second)


async def test_one_that_dies_is_followed_within_the_promise(operators, monkeypatch):
    first = operators.start("first")
    await operators.wait("first")
    second = operators.start("second")
    with monkeypatch.context() as dead:
        # As a process that was killed: it neither renews nor gives back.
        dead.setattr(Candidate, "release", _nothing)
        await _stop(first)
    await operators.wait("second")
    await _stop(second)


@pytest.mark.local_cluster
async def test_one_that_is_cut_off_stops_before_another_begins(operators, cluster, tmp_path):
    kubeconfig = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    server = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
    if not _is_here(server.hostname):
        pytest.skip("needs an API server on this machine, to be cut off from it")
    async with relay(server.port) as way:
        kubeconfig["clusters"][0]["cluster"]["server"] = f"{server.scheme}://127.0.0.1:{way.port}"
        path = tmp_path / "through-the-relay"
        path.write_text(yaml.safe_dump(kubeconfig))
        async with kube_client.connect(str(path), Metrics()) as kube:
            first = operators.start("first", kube)
            await operators.wait("first")
            second = operators.start("second")
            await asyncio.sleep(3)
            way.cut()
            with pytest.raises(LeadershipLostError, match="could not be renewed"):
                await first
            assert operators.acting == set()
            await operators.wait("second")
            assert operators.most == 1
            await _stop(second)


async def test_what_ends_by_itself_ends_its_leadership(cluster):
    async def fail():
        raise ZeroDivisionError

    lease = f"{cluster.namespace}/crew-operator"
    with pytest.raises(ZeroDivisionError):
        await leadership.lead(cluster.kube, lease, fail)
    async with asyncio.timeout(10):
        with pytest.raises(ZeroDivisionError):
            await leadership.lead(cluster.kube, lease, fail)


def _is_here(host):
    """Whether an address is this machine's."""
    with socket.socket() as one:
        try:
            one.bind((host, 0))
        except OSError:
            return False
    return True


async def _nothing(_):
    pass
