"""Real processes on a local cluster: see `support.fixtures`."""

from collections.abc import Iterator

import pytest

from support import artefacts
from support.fixtures import cluster, hotel, model, namespace, slow_hotel, spec, stop_cluster

__all__ = ["cluster", "hotel", "model", "namespace", "slow_hotel", "spec"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A crew's first start is part of a module's first test."""
    for item in items:
        item.add_marker(pytest.mark.timeout(240))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that failed leaves what its namespace looked like, before the next one changes it."""
    report = yield
    known = getattr(item, "funcargs", {})
    if report.failed and report.when in ("setup", "call") and {"cluster", "namespace"} <= set(known):
        folder = artefacts.collect(item.nodeid.partition("tests/e2e/")[2], known["cluster"], known["namespace"])
        report.sections.append(("artefacts", f"pods' logs, Events and resources are in {folder}"))
    return report


def pytest_sessionfinish() -> None:
    stop_cluster()
