"""`crewctl up`: start the local cluster and, with -f, apply a file to it."""

import argparse
import asyncio
import sys

from crew_programs import kubectl
from crewctl.screen import plain
from localcluster import launch
from localcluster import options as cluster_options
from localcluster.errors import LocalClusterError

HELP = "start a local Kubernetes of processes, with the operator: no Docker, no root"
ERRORS = (LocalClusterError,)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    cluster_options.declare(parser)
    parser.add_argument("--foreground", action="store_true", help="stay, log here, and end with Ctrl-C")
    parser.add_argument("--dry-run", action="store_true", help="print the processes that would run")


def run(options: argparse.Namespace) -> int:
    """Start it, wait until it answers, and say how to use it."""
    wish = cluster_options.wish(options)
    if options.dry_run:
        for component in launch.planned(wish):
            print(f"{component.name}: {component.shown()}")
        return 0
    if options.foreground:
        return asyncio.run(launch.serve(wish, print))
    handle = launch.in_background(wish)
    print(f"the local cluster runs in {handle.folder}")
    for line in launch.explained(wish):
        print(plain(line))
    if wish.file is not None:
        print(plain(kubectl.Kubectl(handle.kubeconfig)("apply", "-f", str(wish.file))), end="")
    print(f"  export KUBECONFIG={handle.kubeconfig}")
    print("  kubectl get crewdeployments            (or: crewctl kubectl -- get crewdeployments)")
    print("  crewctl down")
    sys.stdout.flush()
    return 0
