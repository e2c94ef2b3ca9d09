"""A real Redis and real replicas: see `support.replica_fixtures`."""

import pytest

from support.replica_fixtures import Make, make, redis
from support.replicas import Replica

__all__ = ["make", "redis", "replica"]


@pytest.fixture
async def replica(make: Make) -> Replica:
    return await make()
