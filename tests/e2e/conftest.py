"""Real processes on a local cluster: see `support.fixtures`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import artefacts, real_cluster, selection
from support.fixtures import cluster, hotel, model, namespace, slow_hotel, spec, stop_cluster

__all__ = ["cluster", "hotel", "model", "namespace", "slow_hotel", "spec"]

FOLDER = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    selection.declare(config)
    config.addinivalue_line("markers", "alone: it ends the operator, or makes it another, which other tests rely on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A crew's first start is part of a module's first test."""
    ours = [item for item in items if item.path.is_relative_to(FOLDER)]
    for item in ours:
        item.add_marker(pytest.mark.timeout(420))
        if real_cluster.wanted() and item.get_closest_marker(selection.LOCAL_CLUSTER):
            item.add_marker(pytest.mark.skip("needs the local cluster, whose processes and folders are this machine's"))
    if selection.only_local():
        theirs = set(ours)
        selection.leave_out(config, items, lambda item: item in theirs and not selection.is_local(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that failed leaves what its namespace looked like, before the next one changes it."""
    report = yield
    known = getattr(item, "funcargs", {})
    if report.failed and report.when in ("setup", "call") and {"cluster", "namespace"} <= set(known):
        folder = artefacts.collect(item.nodeid.partition("tests/e2e/")[2], known["cluster"], known["namespace"])
        report.sections.append(("artefacts", f"pods' logs, Events and resources are in {folder}"))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A real cluster's operator serves all processes of a run: of several the one that began them, which ends last,
    removes it; and none that ran no test, as with --collect-only: it is somebody's cluster.
    """
    option, is_worker = session.config.option, "PYTEST_XDIST_WORKER" in os.environ
    if not real_cluster.wanted() or not (is_worker or option.numprocesses):
        stop_cluster()
    elif not is_worker and not option.collectonly and exitstatus != pytest.ExitCode.NO_TESTS_COLLECTED:
        real_cluster.disconnect()
