"""`crewctl down`: end the local cluster."""

import argparse
import shutil
from pathlib import Path

from localcluster import state
from localcluster.errors import LocalClusterError

HELP = "end the local cluster and every process in it"
ERRORS = (LocalClusterError,)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dir", type=Path, default=state.default_folder(), help="the cluster's folder")
    parser.add_argument("--delete-data", action="store_true", help="delete persistent volumes and logs too")


def run(options: argparse.Namespace) -> int:
    """End it; nothing to do is fine."""
    folder = options.dir.resolve()
    handle = state.load(folder)
    if handle is None:
        print(f"no local cluster in {folder}")
    else:
        was_alive = handle.is_alive
        left = handle.stop()
        print("the local cluster is down" if was_alive else f"the supervisor was dead; {left} of its processes killed")
    if options.delete_data:
        for name in ("volumes", "logs"):
            shutil.rmtree(folder / name, ignore_errors=True)
    return 0
