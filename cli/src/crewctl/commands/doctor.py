"""`crewctl doctor`: a deployment that runs, asked where its state is and whether its replicas agree."""

import argparse
import json
import os
from pathlib import Path

from crewctl.doctor import gather, judge, show
from crewctl.errors import CrewctlError, UsageError
from crewctl.findings import failed
from crewctl.kube import Kube, Manifest, namespace_of
from crewctl.local import state

HELP = "ask a running deployment where its state is, and whether its replicas agree"


class CannotAskError(CrewctlError):
    """Nothing is known of the deployment: neither good nor bad."""

    exit_code = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help="the CrewDeployment (default: all of the namespace)")
    add("-n", "--namespace", help="default: that of the kubeconfig's context")
    add("--kubeconfig", type=Path, help="default: $KUBECONFIG, the local cluster's, or ~/.kube/config")
    add("--dir", type=Path, default=state.default_folder(), help="the local cluster's folder")
    add("--json", action="store_true", help="print one JSON array")


def run(options: argparse.Namespace) -> int:
    """Exit code 0: nothing is wrong. 1: a FAIL. 2: it could not be asked."""
    config = _kubeconfig(options)
    try:
        namespace = options.namespace or namespace_of(config)
        kube = Kube(config, namespace)
        try:
            looked = [(crew, judge.judge(gather.gather(kube, crew))) for crew in _crews(kube, options.name)]
        finally:
            kube.close()
    except CrewctlError as error:
        raise CannotAskError(str(error)) from error
    if options.json:
        print(json.dumps([show.as_data(namespace, _name(crew), found) for crew, found in looked], indent=1))
    else:
        screen = show.console()
        for crew, found in looked:
            show.on_screen(screen, f"CrewDeployment {namespace}/{_name(crew)}", found)
    return 1 if any(failed(section.findings) for _, found in looked for section in found) else 0


def _crews(kube: Kube, name: str | None) -> list[Manifest]:
    """Those that were asked for; at least one."""
    found = [crew for crew in kube.crews() if name in (None, _name(crew))]
    if not found:
        what = f"no CrewDeployment {name}" if name else "no CrewDeployment"
        raise CannotAskError(f"there is {what} in the namespace {kube.namespace}: name another by -n")
    return found


def _name(crew: Manifest) -> str:
    return str(crew["metadata"]["name"])


def _kubeconfig(options: argparse.Namespace) -> Path:
    named = options.kubeconfig or os.environ.get("KUBECONFIG")
    if named is None:
        local = state.load(options.dir.resolve())
        usual = Path("~/.kube/config").expanduser()
        named = local.kubeconfig if local is not None and local.is_alive else usual
    if os.pathsep in str(named):
        raise UsageError(f"KUBECONFIG names several files ({named}): name one of them by --kubeconfig")
    path = Path(named)
    if not path.is_file():
        raise UsageError(f"there is no kubeconfig {path}: name one by --kubeconfig, or start a cluster by 'crewctl up'")
    return path
