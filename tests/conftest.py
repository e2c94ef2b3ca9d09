"""For every test: its CPU time, for the table at a run's end, and examples that are the same in every run."""

import gc
import os

import pytest
from hypothesis import settings

from support import cpu_time

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
"""Hypothesis' own: what one run finds the next one finds as well, and no example is timed. `default` searches on."""


def pytest_configure(config: pytest.Config) -> None:
    """In each process of a run."""
    config.pluginmanager.register(cpu_time.plugin(config), "cpu-time")


def pytest_collection_finish() -> None:
    """What was imported until now stays: the collector need not walk it, nor a forked child copy it."""
    gc.collect()
    gc.freeze()
