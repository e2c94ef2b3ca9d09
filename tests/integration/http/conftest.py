"""A real Redis and real replicas: see `support.replica_fixtures`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.replica_fixtures import Make, make, redis
from support.replicas import Replica, real_worker

__all__ = ["make", "redis", "replica"]

TESTS = Path(__file__).parents[2]


@pytest.fixture
async def replica(make: Make) -> Replica:
    return await make()


@pytest.fixture
def real(make: Make) -> Callable[..., Awaitable[Replica]]:
    """`await real("plain:crew")`: a replica that runs this crew. `fresh`: its worker imports CrewAI itself."""

    async def start(entrypoint: str, name: str = "r1", *, fresh: bool = False, **options: Any) -> Replica:
        return await make(
            name,
            worker=real_worker(fresh=fresh),
            CREWOPS_ENTRYPOINT=f"support.user_crews.{entrypoint}",
            **{"PYTHONPATH": str(TESTS), **options},
        )

    return start
