"""The environment, right and wrong."""

import pytest

from crew_runtime.errors import SettingsError
from crew_runtime.settings import Settings

LEAST = {"CREWOPS_REDIS_URL": "redis://r:6379/0", "CREWOPS_NAMESPACE": "hotel", "CREWOPS_NAME": "concierge"}


def test_the_least_has_the_documented_defaults():
    assert Settings.from_env(LEAST) == Settings("redis://r:6379/0", "hotel/concierge")
    found = Settings.from_env(LEAST)
    assert (found.backend_deadline, found.isolation, found.on_failure) == (2.0, "Session", "FailClosed")
    assert (found.session_ttl, found.dimension, found.redis_password) == (None, None, None)


def test_everything_is_read():
    found = Settings.from_env(
        {
            **LEAST,
            "CREWOPS_REDIS_URL": " rediss://r:6380/1 ",
            "CREWOPS_REDIS_PASSWORD": " with blanks ",
            "CREWOPS_REDIS_CA_FILE": "/ca.pem",
            "CREWOPS_KEY_PREFIX": "shared",
            "CREWOPS_BACKEND_DEADLINE": "0.5",
            "CREWOPS_MEMORY_ISOLATION": "Crew",
            "CREWOPS_SESSION_TTL": "60",
            "CREWOPS_MEMORY_ON_FAILURE": "Degrade",
            "CREWOPS_EMBEDDER_PROVIDER": "openai",
            "CREWOPS_EMBEDDER_MODEL": "m",
            "CREWOPS_EMBEDDER_DIMENSION": "384",
        }
    )
    assert found == Settings("rediss://r:6380/1", "shared", " with blanks ", "/ca.pem", 0.5, "Crew", 60.0, "Degrade",
                             "openai", "m", 384)  # fmt: skip


@pytest.mark.parametrize(("name", "field"), [("SESSION_TTL", "session_ttl"), ("EMBEDDER_DIMENSION", "dimension")])
def test_nothing_is_said_by_a_zero(name, field):
    assert getattr(Settings.from_env({**LEAST, f"CREWOPS_{name}": "0"}), field) is None


def test_every_problem_is_told_at_once():
    wrong = {
        "CREWOPS_REDIS_URL": "http://r",
        "CREWOPS_KEY_PREFIX": "a{b}",
        "CREWOPS_BACKEND_DEADLINE": "soon",
        "CREWOPS_MEMORY_ISOLATION": "session",
        "CREWOPS_SESSION_TTL": "-1",
        "CREWOPS_MEMORY_ON_FAILURE": "Ignore",
        "CREWOPS_EMBEDDER_DIMENSION": "nan",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(wrong)
    assert len(caught.value.problems) == len(wrong)
    for name in wrong:
        assert any(one.startswith(f"{name} ") for one in caught.value.problems), name


def test_an_empty_environment_names_what_is_missing():
    with pytest.raises(SettingsError, match=r"CREWOPS_REDIS_URL has to be set.*CREWOPS_KEY_PREFIX has to be set"):
        Settings.from_env({})


@pytest.mark.parametrize("number", ["inf", "1e999", "-0.1", "1,5", "2s"])
def test_a_deadline_has_to_be_a_number(number):
    with pytest.raises(SettingsError, match="CREWOPS_BACKEND_DEADLINE has to be a number"):
        Settings.from_env({**LEAST, "CREWOPS_BACKEND_DEADLINE": number})


@pytest.mark.parametrize("dimension", ["384.5", "0.5"])
def test_a_dimension_has_to_be_whole(dimension):
    with pytest.raises(SettingsError, match="CREWOPS_EMBEDDER_DIMENSION"):
        Settings.from_env({**LEAST, "CREWOPS_EMBEDDER_DIMENSION": dimension})
