"""The command: registers one verb a module, and says a `CrewctlError` once, in one place."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from crewctl import __version__, commands
from crewctl.errors import CrewctlError

_FIRST = ("demo", "verify", "up", "down", "status", "doctor", "env", "kubectl")


def _verbs() -> list[str]:
    """The modules of `commands`, those that come first in a user's day first."""
    found = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    return sorted(found, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def parser() -> argparse.ArgumentParser:
    """The command line. A verb's module has `HELP`, `configure(parser)` and `run(options)`."""
    whole = argparse.ArgumentParser(
        "crewctl",
        description="CrewDeployments: a local cluster for them, the demo, checks before and after a deployment.",
    )
    whole.add_argument("--version", action="version", version=__version__)
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in _verbs():
        module = importlib.import_module(f"crewctl.commands.{name}")
        one = verbs.add_parser(name, help=module.HELP, description=module.HELP)
        module.configure(one)
        one.set_defaults(run=module.run)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; its exit code, or the error's."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except CrewctlError as error:
        print(f"crewctl: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return code
