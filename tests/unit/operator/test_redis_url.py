import inspect

import pytest
import redis.asyncio.connection
from hypothesis import example, given
from hypothesis import strategies as st

from crew_operator import redis_url
from crew_operator.redis_url import RedisUrl, UrlError

SECRET = "hunter2SECRET"


@pytest.mark.parametrize(
    "url",
    [
        "redis://store",
        "rediss://me:p%40ss%2Fword@store.example:6380/2",
        "redis://:pass@10.0.0.1:6379/0?protocol=3&ssl_check_hostname=no",
        "redis://:pass@[fd00::1]:6379",
        "rediss://store?db=3&ssl_cert_reqs=none",
        "redis://store/nonsense",
        "redis://me@store?password=x",
    ],
)
def test_a_url_is_read_as_redis_py_reads_it(url):
    theirs = redis.asyncio.connection.parse_url(url)
    ours = redis_url.parse(url)
    assert ours.host == theirs["host"]
    assert ours.port == theirs.get("port", 6379)
    assert ours.username == theirs.get("username", "")
    assert ours.password == theirs.get("password", "")
    assert ours.database == theirs.get("db", 0)
    assert ours.tls == ("connection_class" in theirs)


def test_the_parameters_are_those_that_redis_py_takes_from_a_url():
    classes = (redis.asyncio.connection.AbstractConnection, redis.asyncio.connection.SSLConnection)
    taken = {name for one in classes for name in inspect.signature(one.__init__).parameters}
    pools = {"max_connections", "timeout"}
    assert taken | {"socket_keepalive"} | pools >= redis_url.PARAMETERS


@pytest.mark.parametrize(
    "url",
    [
        f"redis://default:{SECRET}/abc@store:6379",
        f"redis://default:{SECRET}?abc@store:6379",
        f"redis://default:{SECRET}#abc@store:6379",
        f"redis://default:x{SECRET}@[abc",
        f"redis://default@{SECRET}:{SECRET}",
        f"redis://store?{SECRET}=1",
        f"redis://store?db={SECRET}",
        f"http://{SECRET}@store",
        f"redis://store:6379 {SECRET}",
        f"redis://st\x1b[31m{SECRET}ore:6379",
        "redis://store:99999",
        "redis://store:0",
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_a_piece_of_it(url):
    with pytest.raises(UrlError) as told:
        redis_url.parse(url)
    assert "SECRET" not in str(told.value).upper().replace("INTO THE SECRET", "")
    assert "write redis[s]://" in str(told.value)


@given(st.text(max_size=200).map(lambda one: f"redis://{one}"))
@example("redis://:%zz@[::1%25]:1")
def test_any_text_is_read_or_refused(url):
    try:
        found = redis_url.parse(url)
    except UrlError:
        return
    assert isinstance(found, RedisUrl)
    assert found.address.startswith("redis://")
    assert found.address.isprintable()
