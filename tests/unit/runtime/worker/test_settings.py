"""Environment -> settings of the processes, or all that is wrong with it."""

import pytest

from crew_runtime.worker import settings
from crew_runtime.worker.errors import StartError


def test_defaults_are_those_of_the_contract():
    read = settings.read({})
    assert read.socket == "/crewops/run/worker.sock"
    assert read.slot_memory == 1024 * 1024 * 1024
    assert read.grace_period == 30
    assert read.fail_closed is True


def test_degrade_is_not_closed():
    assert settings.read({"CREWOPS_MEMORY_ON_FAILURE": "Degrade"}).fail_closed is False


def test_all_problems_are_told_at_once():
    with pytest.raises(StartError) as error:
        settings.read({"CREWOPS_SLOT_MEMORY": "-1", "CREWOPS_GRACE_PERIOD": "x", "CREWOPS_MEMORY_ON_FAILURE": "Hope"})
    assert error.value.reason == "InvalidSettings"
    for name in ("CREWOPS_SLOT_MEMORY", "CREWOPS_GRACE_PERIOD", "CREWOPS_MEMORY_ON_FAILURE"):
        assert name in error.value.message


def test_history_is_given_where_it_is_kept():
    assert settings.read({}).history_turns == 0
    assert settings.read({"CREWOPS_HISTORY_TURNS": "5"}).history_turns == 0
    assert settings.read({"CREWOPS_HISTORY_FORMAT": "LangChain"}).history_turns == 10
    assert settings.read({"CREWOPS_HISTORY_FORMAT": "LangChain", "CREWOPS_HISTORY_TURNS": "5"}).history_turns == 5
    for name, value in (("FORMAT", "json"), ("TURNS", "0"), ("TURNS", "nan"), ("TURNS", "9" * 5000)):
        with pytest.raises(StartError, match=f"CREWOPS_HISTORY_{name} has to be"):
            settings.read({"CREWOPS_HISTORY_FORMAT": "LangChain", f"CREWOPS_HISTORY_{name}": value})
