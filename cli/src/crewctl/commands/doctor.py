"""`crewctl doctor`: a deployment that runs, asked where its state is and whether its replicas agree."""

import argparse
import json

from crewctl import target
from crewctl.doctor import gather, judge, show
from crewctl.errors import CrewctlError, UsageError
from crewctl.findings import failed
from crewctl.kube import Kube, Manifest

HELP = "ask a running deployment where its state is, and whether its replicas agree"


class CannotAskError(CrewctlError):
    """Nothing is known of the deployment: neither good nor bad."""

    exit_code = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help="the CrewDeployment (default: all of the namespace)")
    target.configure(parser)
    add("--json", action="store_true", help="print one JSON array")


def run(options: argparse.Namespace) -> int:
    """Exit code 0: nothing is wrong. 1: a FAIL. 2: it could not be asked."""
    try:
        kube = target.connect(options)
        namespace = kube.namespace
        try:
            looked = [(crew, judge.judge(gather.gather(kube, crew))) for crew in _crews(kube, options.name)]
        finally:
            kube.close()
    except UsageError:
        raise
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
