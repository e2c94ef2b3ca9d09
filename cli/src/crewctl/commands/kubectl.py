"""`crewctl kubectl -- get pods`: a stock kubectl on the local cluster."""

import argparse
import os
from pathlib import Path

from crew_programs import kubectl
from localcluster import state
from localcluster.errors import LocalClusterError

HELP = "run kubectl on the local cluster: crewctl kubectl -- get pods"
ERRORS = (LocalClusterError,)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dir", type=Path, default=state.default_folder(), help="the cluster's folder")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="kubectl's own, after --")


def run(options: argparse.Namespace) -> int:
    """Become kubectl."""
    words = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    config = state.running(options.dir.resolve()).kubeconfig
    found = kubectl.find()
    os.execve(found, [str(found), *words], {**os.environ, "KUBECONFIG": str(config)})  # noqa: S606 - as if typed
