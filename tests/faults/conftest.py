"""Real processes on a local cluster: see `support.fixtures`."""

import pytest

from support.fixtures import cluster, hotel, namespace, slow_hotel, spec, stop_cluster
from support.replica_fixtures import make, redis

__all__ = ["cluster", "hotel", "make", "namespace", "redis", "slow_hotel", "spec"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A crew's first start is part of a module's first test."""
    for item in items:
        item.add_marker(pytest.mark.timeout(240))


def pytest_sessionfinish() -> None:
    stop_cluster()
