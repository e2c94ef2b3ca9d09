"""A real Redis and real replicas: see `support.replica_fixtures`."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.interpreters import crew_python
from support.replica_fixtures import Make, make, redis
from support.replicas import Replica

__all__ = ["make", "redis", "replica"]

TESTS = Path(__file__).parents[2]


@pytest.fixture
async def replica(make: Make) -> Replica:
    return await make()


@pytest.fixture
def real(make: Make) -> Callable[..., Awaitable[Replica]]:
    """`await real("plain:crew")`: a replica that runs this crew."""

    async def start(entrypoint: str, name: str = "r1", **options: str) -> Replica:
        return await make(
            name,
            worker=(crew_python(), "-m", "crew_runtime.worker"),
            CREWOPS_ENTRYPOINT=f"support.user_crews.{entrypoint}",
            PYTHONPATH=str(TESTS),
            CREWAI_DISABLE_TELEMETRY="true",
            OTEL_SDK_DISABLED="true",
            **options,
        )

    return start
