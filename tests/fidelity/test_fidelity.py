"""Each crew of the corpus does through the server what it does bare: `make fidelity`, crew by crew."""

from collections.abc import Iterator

import pytest

from fidelity import compare, halves, services
from fidelity.cases import CASES
from support.redis_server import RedisServer, start_redis


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Services]:
    with services.running(tmp_path_factory.mktemp("services")) as made:
        yield made


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_crew_does_through_the_server_what_it_does_bare(case, where, redis):
    bare = await halves.bare(case, where)
    ours = await halves.ours(case, where, redis.url)
    assert [str(one) for one in compare.differences(case, bare, ours)] == []
