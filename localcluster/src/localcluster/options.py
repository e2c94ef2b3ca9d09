"""A cluster's options on a command line: those of `python -m localcluster`, which `crewctl up` has as well."""

import argparse
from pathlib import Path

from localcluster import state
from localcluster.errors import UsageError
from localcluster.launch import Wish


def declare(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    add = parser.add_argument
    add("-f", "--file", type=Path, metavar="FILE", help="apply it; its unknown images run from its folder")
    add("--image", action="append", default=[], metavar="NAME=DIR[,python=PATH]",
        help="run an image's containers from a folder of code; repeatable")  # fmt: skip
    add("--dir", type=Path, default=state.default_folder(), help="the cluster's folder (default: %(default)s)")
    add("--port", type=int, default=0, help="of the API server (default: any free one)")
    add("--without-operator", action="store_true", help="an empty cluster")


def wish(options: argparse.Namespace) -> Wish:
    """What they ask for. Raises UsageError."""
    if options.file is not None and not options.file.is_file():
        raise UsageError(f"-f {options.file}: there is no such file")
    return Wish(
        folder=options.dir.resolve(),
        images=tuple(options.image),
        file=options.file.resolve() if options.file else None,
        port=options.port,
        with_operator=not options.without_operator,
    )
