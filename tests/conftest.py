"""For every test: its CPU time, for the table at a run's end."""

import gc

import pytest

from support import cpu_time


def pytest_configure(config: pytest.Config) -> None:
    """In each process of a run."""
    config.pluginmanager.register(cpu_time.plugin(config), "cpu-time")


def pytest_collection_finish() -> None:
    """What was imported until now stays: the collector need not walk it, nor a forked child copy it."""
    gc.collect()
    gc.freeze()
