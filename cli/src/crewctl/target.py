"""Which cluster and namespace a command asks, by its options."""

import argparse
import os
from pathlib import Path

from crewctl import extra
from crewctl.errors import UsageError
from crewctl.kube import Kube
from crewctl.kubeconfigs import namespace_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("-n", "--namespace", help="default: that of the kubeconfig's context")
    add("--kubeconfig", type=Path, help="default: $KUBECONFIG, the local cluster's, or ~/.kube/config")
    add("--dir", type=Path, help="the local cluster's folder")


def connect(options: argparse.Namespace) -> Kube:
    """To be closed. Raises UsageError, or ClusterError when the kubeconfig names no cluster."""
    config = _kubeconfig(options)
    return Kube(config, options.namespace or namespace_of(config))


def _kubeconfig(options: argparse.Namespace) -> Path:
    named = options.kubeconfig or os.environ.get("KUBECONFIG")
    if named is None:
        named = extra.kubeconfig(options.dir) or Path("~/.kube/config").expanduser()
    if os.pathsep in str(named):
        raise UsageError(f"KUBECONFIG names several files ({named}): name one of them by --kubeconfig")
    path = Path(named)
    if not path.is_file():
        raise UsageError(f"there is no kubeconfig {path}: name one by --kubeconfig, or start a cluster by 'crewctl up'")
    return path
