"""`crewctl env`: what a shell needs to use the local cluster: eval "$(crewctl env)"."""

import argparse
import shlex
from pathlib import Path

from localcluster import state
from localcluster.errors import LocalClusterError

HELP = 'print the KUBECONFIG of the local cluster: eval "$(crewctl env)"'
ERRORS = (LocalClusterError,)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dir", type=Path, default=state.default_folder(), help="the cluster's folder")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    print(f"export KUBECONFIG={shlex.quote(str(state.running(options.dir.resolve()).kubeconfig))}")
    return 0
