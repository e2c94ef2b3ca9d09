"""`crewctl up`: start the local cluster and, with -f, apply a file to it."""

import argparse
import asyncio
import sys
from pathlib import Path

from crewctl.errors import UsageError
from crewctl.local import kubectl, launch, state
from crewctl.local.launch import Wish

HELP = "start a local Kubernetes of processes, with the operator: no Docker, no root"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("-f", "--file", type=Path, metavar="FILE", help="apply it; its unknown images run from its folder")
    add("--image", action="append", default=[], metavar="NAME=DIR[,python=PATH]",
        help="run an image's containers from a folder of code; repeatable")  # fmt: skip
    add("--dir", type=Path, default=state.default_folder(), help="the cluster's folder (default: %(default)s)")
    add("--port", type=int, default=0, help="of the API server (default: any free one)")
    add("--without-operator", action="store_true", help="an empty cluster")
    add("--foreground", action="store_true", help="stay, log here, and end with Ctrl-C")
    add("--dry-run", action="store_true", help="print the processes that would run")


def run(options: argparse.Namespace) -> int:
    """Start it, wait until it answers, and say how to use it."""
    if options.file is not None and not options.file.is_file():
        raise UsageError(f"-f {options.file}: there is no such file")
    wish = Wish(
        folder=options.dir.resolve(),
        images=tuple(options.image),
        file=options.file.resolve() if options.file else None,
        port=options.port,
        with_operator=not options.without_operator,
    )
    if options.dry_run:
        for component in launch.planned(wish):
            print(f"{component.name}: {component.shown()}")
        return 0
    if options.foreground:
        return asyncio.run(launch.serve(wish, print))
    handle = launch.in_background(wish)
    print(f"the local cluster runs in {handle.folder}")
    for line in launch.explained(wish):
        print(line)
    if wish.file is not None:
        print(kubectl.Kubectl(handle.kubeconfig)("apply", "-f", str(wish.file)), end="")
    print(f"  export KUBECONFIG={handle.kubeconfig}")
    print("  kubectl get crewdeployments            (or: crewctl kubectl -- get crewdeployments)")
    print("  crewctl down")
    sys.stdout.flush()
    return 0
