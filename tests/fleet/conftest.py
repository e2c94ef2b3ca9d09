"""An operator and a namespace for many crews, on the cluster of KUBECONFIG; its nodes have to be kwok's."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support import fleet as fleets


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[fleets.Fleet]:
    """No crew yet."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("needs a Kubernetes with kwok's nodes: make test-fleet KUBECONFIG=PATH")
    try:
        async with fleets.fleet(kubeconfig, tmp_path) as made:
            yield made
    except LookupError as error:
        pytest.skip(f"{error}: see docs/bench.md")
