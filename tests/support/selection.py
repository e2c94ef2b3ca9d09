"""What a run leaves out because another run of the same CI shows it: `make test E2E=local` what real clusters show."""

import os
from collections.abc import Callable

import pytest

WANTED, ALL, LOCAL = "CREWOPS_E2E", "all", "local"
"""`local` is for those who run tests/e2e and tests/integration/operator on a real cluster as well."""
FAILOVER_ROUNDS = int(os.environ.get("FAILOVER_ROUNDS", "1"))
"""How many times each fault of failover is tried."""
FAILOVER_ASKED_FOR = "FAILOVER_ROUNDS" in os.environ
"""Whether somebody wants them wherever they can be had, however long that takes."""
LOCAL_CLUSTER, BOTH_CLUSTERS = "local_cluster", "both_clusters"


def declare(config: pytest.Config) -> None:
    """The markers."""
    config.addinivalue_line("markers", f"{LOCAL_CLUSTER}: what it looks at, only the local cluster shows")
    config.addinivalue_line("markers", f"{BOTH_CLUSTERS}: on the local cluster it looks at more than on a real one")


def only_local() -> bool:
    """Whether the real cluster's share is to be left out. Raises pytest.UsageError for a value that is none."""
    wanted = os.environ.get(WANTED) or ALL
    if wanted not in (ALL, LOCAL):
        raise pytest.UsageError(f"{WANTED} is {ALL} or {LOCAL}, not {wanted!r}")
    return wanted == LOCAL


def is_local(item: pytest.Item) -> bool:
    """Whether the local cluster shows more of it than a real one."""
    return any(map(item.get_closest_marker, (LOCAL_CLUSTER, BOTH_CLUSTERS)))


def leave_out(config: pytest.Config, items: list[pytest.Item], left: Callable[[pytest.Item], bool]) -> None:
    """Deselect those."""
    out = [item for item in items if left(item)]
    config.hook.pytest_deselected(items=out)
    gone = set(out)
    items[:] = [item for item in items if item not in gone]
