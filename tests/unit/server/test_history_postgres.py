"""What is told of a Postgres that cannot be used: never a password, nor a part of one."""

import pytest

from crew_runtime.contract.replica_reasons import HistoryReason
from crew_server.errors import HistoryError
from crew_server.history.postgres import SHAPE, Postgres


async def refused(url: str) -> HistoryError:
    """What is told of a Postgres that cannot be connected to."""
    with pytest.raises(HistoryError) as told:
        async with Postgres(url, None).connection():
            pass
    return told.value


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost:Sec/ret@db:5432/audit",
        "postgresql://crew:1234/ret@db:5432/audit",
        "postgresql://crew:Sec@ret@db:5432/audit",
        "postgresql://crew:Sec@c,ret@db:5432/audit",
        "postgresql://crew:Sec@localhost:ret@db/audit",
        "postgresql://crew:Sec@localhost/ret@db/audit",
        "postgresql://crew:Sec@localhost/ret:db",
        "postgresql://crew:Sec@localhost:1?ret@db/audit",
        "postgresql://crew:Sec%ret@db/audit",
        "host=db password=Secret",
    ],
)
async def test_url_whose_password_is_not_encoded_is_told_by_its_shape_alone(url):
    told = await refused(url)
    assert (told.reason, told.message) == (
        HistoryReason.ERROR, f"the URL of Postgres has to be {SHAPE}",
    )  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://crew:Sec%2Fret@localhost:1/audit",
        "postgres://crew@[::1]:1/audit?sslmode=disable",
        "postgresql://crew@localhost:1,localhost:1/audit",
        "postgresql:///audit?host=/nowhere",
        "postgresql://%2Fnowhere/audit",
    ],
)
async def test_url_that_is_one_is_tried(url):
    told = await refused(url)
    assert told.reason == HistoryReason.UNREACHABLE
    assert "Sec" not in told.message


@pytest.mark.parametrize("host", ["no-such-host.invalid", "no-such-host.invalid,neither.invalid", "a..b", "x" * 300])
async def test_host_that_nobody_knows_is_told_without_its_name(host):
    told = await refused(f"postgresql://crew@{host}/audit")
    assert told.reason == HistoryReason.UNREACHABLE
    assert told.message == "Postgres cannot be reached: its host's name cannot be resolved"
