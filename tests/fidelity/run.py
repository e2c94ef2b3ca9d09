"""Runs each crew of the corpus bare and through the server, and prints what differs: `make fidelity`.

`run.py [NAME...] [--jobs N] [--details FILE]`. Exits 1 when a row says "different". Two cases at once by default: a
case's kickoffs take one or two cores, and eight at once where it says so.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fidelity import compare, halves, services
from fidelity.cases import CASES
from fidelity.model import Case
from support.redis_server import start_redis


@dataclass(frozen=True)
class Row:
    """What the table says of a case."""

    case: Case
    differences: Sequence[str]
    seconds: float
    seen: tuple[Any, Any] = field(default=((), ()))

    @property
    def same(self) -> bool:
        """Nothing differs that is not promised."""
        return not self.differences


async def judge(case: Case, where: services.Services, redis_url: str) -> Row:
    """Run both halves. Never raises: a half that fails is a difference."""
    begun = time.monotonic()
    try:
        bare = await halves.bare(case, where)
        ours = await halves.ours(case, where, redis_url)
        found = [str(one) for one in compare.differences(case, bare, ours)]
        return Row(case, found, time.monotonic() - begun, (bare, ours))
    except Exception as error:
        return Row(case, [f"it did not run: {type(error).__name__}: {error}"], time.monotonic() - begun)


async def judge_all(cases: Sequence[Case], jobs: int) -> list[Row]:
    """In the cases' order; each row is printed when it is done."""
    limit = asyncio.Semaphore(jobs)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_redis(Path(folder) / "crews") as redis,
        services.running(Path(folder)) as where,
    ):

        async def one(case: Case) -> Row:
            async with limit:
                row = await judge(case, where, redis.url)
                tell(row)
                return row

        return list(await asyncio.gather(*(one(case) for case in cases)))


def tell(row: Row) -> None:
    """One line of the table, and the differences below it."""
    declared = f" ({len(row.case.differs)} declared)" if row.case.differs and row.same else ""
    word = "same" if row.same else "different"
    print(f"{row.case.name:<26} {row.case.kind:<58} {word}{declared:<13} {row.seconds:5.1f} s", flush=True)
    for one in row.differences:
        print("    " + one[:3000].replace("\n", "\n    "), flush=True)


def main(arguments: Sequence[str]) -> int:
    """The number of processes' exits: 0 when all rows are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of cases; default all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--details", type=Path, help="write all that was seen, as JSON")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - {one.name for one in CASES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    cases = [one for one in CASES if not given.names or one.name in given.names]
    begun = time.monotonic()
    rows = asyncio.run(judge_all(cases, given.jobs))
    if given.details:
        given.details.write_text(json.dumps({one.case.name: one.seen for one in rows}, indent=1))
    different = [one.case.name for one in rows if not one.same]
    print(f"{len(rows) - len(different)} of {len(rows)} the same, in {time.monotonic() - begun:.0f} s")
    if different:
        print(f"different: {' '.join(different)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
