"""The environment: every problem at once, by the name of its variable."""

import pytest

from crew_runtime.errors import SettingsError
from crew_runtime.settings import Settings

GOOD = {"CREWOPS_REDIS_URL": "redis://r:6379/0", "CREWOPS_NAMESPACE": "ns", "CREWOPS_NAME": "crew"}


def test_defaults():
    settings = Settings.from_env(GOOD)
    assert settings == Settings("redis://r:6379/0", "ns/crew")
    assert (settings.backend_deadline, settings.isolation, settings.session_ttl) == (2.0, "Session", None)


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            **GOOD,
            "CREWOPS_REDIS_PASSWORD": " secret ",
            "CREWOPS_REDIS_CREDENTIALS": "/redis",
            "CREWOPS_REDIS_CA_FILE": "/ca",
            "CREWOPS_KEY_PREFIX": "other",
            "CREWOPS_BACKEND_DEADLINE": "0.5",
            "CREWOPS_MEMORY_ISOLATION": "Crew",
            "CREWOPS_SESSION_TTL": "3600",
            "CREWOPS_MEMORY_ON_FAILURE": "Degrade",
            "CREWOPS_EMBEDDER_PROVIDER": "openai",
            "CREWOPS_EMBEDDER_MODEL": "m",
            "CREWOPS_EMBEDDER_DIMENSION": "1536",
        }
    )
    assert settings == Settings(
        "redis://r:6379/0", "other", " secret ", "/redis", "/ca", 0.5, "Crew", 3600.0, "Degrade", "openai", "m", 1536
    )


def test_folder_of_files_is_absolute_and_known_without_its_slash():
    told = {**GOOD, "CREWOPS_FILES": "/run/files", "CREWOPS_FILES_PREFIX": "/mnt/data/"}
    settings = Settings.from_env(told)
    assert (settings.files, settings.files_prefix) == ("/run/files", "mnt/data")
    with pytest.raises(SettingsError, match="CREWOPS_FILES has to be an absolute path"):
        Settings.from_env({**told, "CREWOPS_FILES": "files"})


def test_all_problems_are_told_at_once():
    wrong = {
        "CREWOPS_REDIS_URL": "http://x",
        "CREWOPS_BACKEND_DEADLINE": "soon",
        "CREWOPS_SESSION_TTL": "-1",
        "CREWOPS_MEMORY_ISOLATION": "None",
        "CREWOPS_EMBEDDER_DIMENSION": "inf",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(wrong)
    told = {problem.split()[0] for problem in caught.value.problems}
    assert told == {*wrong, "CREWOPS_KEY_PREFIX"}


@pytest.mark.parametrize("prefix", ["a{b", "a}b", "a b", "a\nb"])
def test_a_prefix_that_would_split_keys_is_refused(prefix):
    with pytest.raises(SettingsError, match="CREWOPS_KEY_PREFIX"):
        Settings.from_env({**GOOD, "CREWOPS_KEY_PREFIX": prefix})


@pytest.mark.parametrize("ttl", ["0", "0.0", "0.5"])
def test_no_time_to_live_is_not_taken_for_ever_nor_for_at_once(ttl):
    with pytest.raises(SettingsError, match="CREWOPS_SESSION_TTL has to be 1 or more"):
        Settings.from_env({**GOOD, "CREWOPS_SESSION_TTL": ttl})
