"""`crewctl status`: whether the local cluster runs, what runs in it and where it logs."""

import argparse
import json
from pathlib import Path

from localcluster import overview, state
from localcluster.errors import LocalClusterError

HELP = "what runs in the local cluster"
ERRORS = (LocalClusterError,)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dir", type=Path, default=state.default_folder(), help="the cluster's folder")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")


def run(options: argparse.Namespace) -> int:
    """Ask the cluster and show it. Exit code 1 when none runs."""
    handle = state.running(options.dir.resolve())
    seen = overview.look(handle)
    if options.output == "json":
        print(json.dumps(seen, indent=1))
        return 0
    print(f"API server   {seen['url']}")
    print(f"kubeconfig   {seen['kubeconfig']}")
    print(f"operator     {seen['operator']}")
    print(f"logs         {seen['logs']}")
    for pod in seen["pods"]:
        pids = " ".join(map(str, pod["pids"]))
        print(f"  {pod['namespace']}/{pod['name']}  {pod['phase']}  {pod['address']}  pids {pids or '-'}")
    return 0
