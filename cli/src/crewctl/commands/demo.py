"""`crewctl demo`: the main job on a local cluster of its own, with a verdict at the end."""

import argparse
import shutil
import signal
import time
from pathlib import Path
from types import FrameType

from rich.console import Console

from crew_programs import kubectl
from crewctl.demo import play, script, show
from crewctl.demo.stage import Stage
from crewctl.errors import UsageError
from crewctl.kube import Kube
from crewctl.screen import PlainConsole
from localcluster import launch, state
from localcluster.errors import LocalClusterError

HELP = "show that a crew keeps its memory when it scales, restarts and fails over"
ERRORS = (LocalClusterError,)

IMAGE = "localhost/concierge:dev"
EXAMPLE = Path("examples", "concierge")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--without-memory", action="store_true", help="switch the crew's memory off, to see the steps fail")
    add("--keep", action="store_true", help="leave the cluster running, and say how to use it")
    add("--example", type=Path, help="the concierge's folder (default: examples/concierge of this repository)")
    add("--dir", type=Path, default=_folder(), help="the cluster's folder (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Play the demo; exit code 1 when a step failed."""
    example = _example(options.example)
    folder = options.dir.resolve()
    console = PlainConsole()
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    console.print("A local cluster starts: an API server, controllers, a node, the operator. No Docker, no root.")
    # Memories of the demo before would be known without being told.
    shutil.rmtree(folder / "volumes", ignore_errors=True)
    handle = launch.in_background(launch.Wish(folder=folder, images=(f"{IMAGE}={example}",)))
    passed = False
    try:
        console.print(f"  up after {time.monotonic() - began:.1f} s; kubeconfig: {handle.kubeconfig}", soft_wrap=True)
        passed = _play(handle, example, console, with_memory=not options.without_memory)
        console.print(f"{time.monotonic() - began:.0f} s in all.")
    finally:
        if options.keep:
            console.print(_usage(handle), soft_wrap=True)
        else:
            handle.stop()
            if not passed:
                console.print(f"The cluster is down; its logs are in {folder}/logs", soft_wrap=True)
    return 0 if passed else 1


def _play(handle: state.Handle, example: Path, console: Console, *, with_memory: bool) -> bool:
    screen = show.Screen(console, len(script.STEPS))
    stage = Stage(
        api=Kube(handle.kubeconfig),
        kubectl=kubectl.Kubectl(handle.kubeconfig),
        pids=handle.pod_processes,
        manifest=example / "crewdeployment.yaml",
        tell=screen.line,
        with_memory=with_memory,
    )
    rows = play.play(script.STEPS, stage, screen)
    stage.api.close()
    console.print()
    console.print(show.table(rows))
    passed = all(row.passed for row in rows)
    console.print(show.verdict(rows, with_memory=with_memory))
    return passed


def _folder() -> Path:
    """Beside the user's own cluster, so that neither disturbs the other."""
    return state.default_folder().with_name("crewctl-demo")


def _example(named: Path | None) -> Path:
    """The example's folder: as named, below the working folder, or in the repository that this file lies in."""
    roots = [named] if named else [Path.cwd() / EXAMPLE, Path(__file__).parents[4] / EXAMPLE]
    for folder in roots:
        if (folder / "crewdeployment.yaml").is_file():
            return folder.resolve()
    raise UsageError(f"there is no crewdeployment.yaml in {roots[-1]}: name the concierge's folder by --example")


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _usage(handle: state.Handle) -> str:
    return "\n".join(
        (
            "It keeps running. To use it:",
            f"  export KUBECONFIG={handle.kubeconfig}",
            "  kubectl get crewdeployments,pods -o wide",
            "  kubectl describe crewdeployment concierge",
            "  token=$(kubectl get secret concierge-api-token -o jsonpath='{.data.token}' | base64 -d)",
            """  curl -s 'http://POD-IP:8000/kickoff?wait=30' -H "Authorization: Bearer $token" \\""",
            "    -H 'content-type: application/json' \\",
            """    -d '{"inputs": {"message": "What should the kitchen avoid?"}, "session_id": "ada"}'""",
            f"  crewctl down --dir {handle.folder}",
        )
    )
