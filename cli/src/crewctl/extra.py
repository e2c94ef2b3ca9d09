"""The local cluster is an extra: `verify` and `doctor` do without it, and its verbs say what to install."""

import argparse
import importlib.util
from pathlib import Path
from typing import NoReturn

from crewctl.errors import ClusterError, UsageError

NEEDED = "needs the local cluster: pip install 'crewctl[local]'"


class MissingExtraError(UsageError):
    """What was asked for is not installed."""


def is_installed() -> bool:
    """Whether the local cluster can be imported; a folder of its name, where this happens to run, is no package."""
    spec = importlib.util.find_spec("localcluster")
    return spec is not None and spec.origin is not None


def refuse(options: argparse.Namespace) -> NoReturn:
    """Run no verb. Raises MissingExtraError."""
    raise _missing(f"'{options.verb}'")


def kubeconfig(folder: Path | None) -> Path | None:
    """Of the local cluster that runs in a folder, by default in its usual one; None when none does.

    Raises MissingExtraError when a folder is named and nothing is installed that could look into it, ClusterError when
    it holds what cannot be read.
    """
    if not is_installed():
        if folder is not None:
            raise _missing("--dir")
        return None
    from localcluster import state
    from localcluster.errors import LocalClusterError

    try:
        found = state.load((folder or state.default_folder()).resolve())
    except LocalClusterError as error:
        raise ClusterError(str(error)) from error
    return found.kubeconfig if found is not None and found.is_alive else None


def _missing(what: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} needs the local cluster, which is not installed: pip install 'crewctl[local]', "
        "or uvx --from 'crewctl[local]' crewctl"
    )
