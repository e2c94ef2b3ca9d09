"""The command: registers one verb a module, and says what it fails with once, in one place."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from crew_programs.errors import ProgramError
from crewctl import __version__, commands, extra
from crewctl.errors import CrewctlError
from crewctl.screen import plain

_FIRST = (
    "demo", "verify", "up", "down", "status", "doctor", "memory", "history", "rotate", "webhook_key", "env", "kubectl",
)  # fmt: skip


def _verbs() -> list[str]:
    """The modules of `commands`, those that come first in a user's day first."""
    found = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    return sorted(found, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def parser(asked: str | None = None) -> argparse.ArgumentParser:
    """The command line: of the verb that is asked for alone, or of all when that is none.

    A verb's module has `HELP`, `configure(parser)`, `run(options)` and, where it fails with more than ours, `ERRORS`.
    """
    whole = argparse.ArgumentParser(
        "crewctl",
        description="CrewDeployments: a local cluster for them, the demo, checks before and after a deployment.",
    )
    whole.add_argument("--version", action="version", version=__version__)
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    known = _verbs()
    for name in [name for name in known if _spelled(name) == asked] or known:
        try:
            module = importlib.import_module(f"crewctl.commands.{name}")
        except ImportError:
            if extra.is_installed():
                raise
            # Its words are the extra's, which is not here: any are taken, none is an option.
            one = verbs.add_parser(_spelled(name), help=extra.NEEDED, prefix_chars="\0", add_help=False)
            one.add_argument("words", nargs="*")
            one.set_defaults(run=extra.refuse, errors=())
            continue
        one = verbs.add_parser(_spelled(name), help=module.HELP, description=module.HELP)
        module.configure(one)
        one.set_defaults(run=module.run, errors=getattr(module, "ERRORS", ()))
    return whole


def _spelled(name: str) -> str:
    return name.replace("_", "-")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; its exit code, or the error's."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser(words[0] if words else None).parse_args(words)
    try:
        code: int = options.run(options)
    except (CrewctlError, ProgramError, *options.errors) as error:
        print(plain(f"crewctl: {error}"), file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    return code
