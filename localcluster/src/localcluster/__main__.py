"""`python -m localcluster`: a cluster's supervisor, in the foreground until SIGTERM or SIGINT."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from crew_programs.errors import ProgramError
from localcluster import launch, options
from localcluster.errors import LocalClusterError


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the supervisor; the exit code."""
    parser = argparse.ArgumentParser("python -m localcluster", description=__doc__)
    options.declare(parser)
    try:
        return asyncio.run(launch.serve(options.wish(parser.parse_args(arguments)), _say))
    except (LocalClusterError, ProgramError) as error:
        sys.stderr.write(f"localcluster: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
