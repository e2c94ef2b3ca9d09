import pytest

from crew_operator import redis_url
from crew_runtime.contract import env
from crew_server import settings
from crew_server.errors import SettingsError

GOOD = {env.NAME: "concierge", env.REPLICA: "concierge-1", env.REDIS_URL: "redis://concierge-redis:6379/0"}


def test_least_environment_gets_documented_defaults():
    chosen = settings.from_environ(GOOD)
    assert (chosen.concurrency, chosen.kickoff_timeout, chosen.slot_memory, chosen.grace_period) == (4, 1800, 1024, 30)
    assert (chosen.http_port, chosen.health_port, chosen.socket) == (8000, 8081, "/crewops/run/worker.sock")
    assert chosen.key_prefix == "default/concierge"
    assert chosen.fail_closed
    assert chosen.retry_lost
    assert chosen.queue_limit == 1000
    assert chosen.log_json
    assert chosen.api_token is None
    assert (chosen.history, chosen.history_input, chosen.history_messages) == (False, "", 200)


def test_history_is_kept_as_the_environment_says():
    told = {env.HISTORY_FORMAT: "LangChain", env.HISTORY_INPUT: "message", env.HISTORY_MAX_MESSAGES: "50"}
    chosen = settings.from_environ({**GOOD, **told})
    assert (chosen.history, chosen.history_input, chosen.history_messages) == (True, "message", 50)
    assert not settings.from_environ({**GOOD, env.HISTORY_FORMAT: ""}).history
    with pytest.raises(SettingsError, match=r"CREWOPS_HISTORY_FORMAT is 'json'; set it to one of LangChain"):
        settings.from_environ({**GOOD, env.HISTORY_FORMAT: "json"})


def test_every_wrong_variable_is_named_at_once():
    wrong = {
        env.REDIS_URL: "http://x",
        env.CONCURRENCY: "four",
        env.KICKOFF_TIMEOUT: "nan",
        env.MEMORY_ON_FAILURE: "Ignore",
        env.LOG_FORMAT: "xml",
        env.ON_REPLICA_LOSS: "Ignore",
        env.HTTP_PORT: "99999",
        env.REDIS_CA_FILE: "/nowhere/ca.pem",
        env.BACKEND_DEADLINE: "-1",
        env.HISTORY_MAX_MESSAGES: "1",
    }
    with pytest.raises(SettingsError) as caught:
        settings.from_environ(wrong)
    told = "\n".join(caught.value.problems)
    for name in (*wrong, env.NAME, env.REPLICA):
        assert name in told
    assert len(caught.value.problems) == len(wrong) + 2


def test_password_in_a_wrong_url_is_not_repeated():
    with pytest.raises(SettingsError) as caught:
        settings.from_environ({**GOOD, env.REDIS_URL: "redis//:hunter2@host"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://default:1234/SECRET@host",
        "redis://default:1234?SECRET@host",
        "redis://default:1234#SECRET@host",
        "redis://1234/SECRET@host:6379",
        "redis://:1234@SECRET@host\x1b:6379",
        "redis://host:6379 1234",
        "redis://default:x1234SECRET@[abc",
        "redis://host:1234SECRET",
    ],
)
def test_a_password_that_is_not_percent_encoded_is_refused_without_a_piece_of_it(url: str):
    with pytest.raises(SettingsError, match="percent-encoded") as caught:
        settings.from_environ({**GOOD, env.REDIS_URL: url})
    assert "1234" not in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://store",
        "rediss://me:p%40ss%2Fword@store.example:6380/2",
        "redis://:pass@10.0.0.1:6379/0?protocol=3",
        "redis://:pass@[fd00::1]:6379",
        "redis://me@store_1?password=x",
    ],
)
def test_a_url_that_the_operator_takes_is_taken(url: str):
    redis_url.parse(url)
    assert settings.from_environ({**GOOD, env.REDIS_URL: url}).redis_url == url


def test_redis_url_of_other_software_is_not_read():
    with pytest.raises(SettingsError, match=env.REDIS_URL):
        settings.from_environ({env.NAME: "a", env.REPLICA: "b", "REDIS_URL": "redis://x:1/0"})


@pytest.mark.parametrize(("grace", "budget"), [("30", 20), ("10", 0), ("3", 0), ("600", 590)])
def test_drain_leaves_ten_seconds_to_stop_what_runs(grace: str, budget: float):
    assert settings.from_environ({**GOOD, env.GRACE_PERIOD: grace}).drain_budget == budget


@pytest.mark.parametrize("given", ["", " ", "\n", "se\xe4me"])
def test_a_token_that_is_none_does_not_open_the_api(given: str):
    with pytest.raises(SettingsError, match=env.API_TOKEN):
        settings.from_environ({**GOOD, env.API_TOKEN: given})


def test_a_line_end_is_not_part_of_the_token():
    assert settings.from_environ({**GOOD, env.API_TOKEN: "t0ken\n"}).api_token == "t0ken"
