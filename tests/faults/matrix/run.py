"""Runs the faults and prints a row for each: `make faults`. Exits 1 when a row lost something that it need not lose.

`run.py [NAME...] [--operator killed|stopped] [--write]`. All of them write docs/fault-matrix.md and .json; some do so
only with `--write`, which replaces their rows.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from faults.matrix import catalog, report
from faults.matrix.cluster_entries import variant
from faults.matrix.fault import Fault, Where
from faults.matrix.figures import Row
from faults.matrix.load import CLIENTS
from faults.matrix.stage import Stage
from faults.matrix.trial import Trial, blank, impossible
from support import cluster as clusters

ROOT = Path(__file__).parents[3]
PAGE, DATA = ROOT / "docs" / "fault-matrix.md", ROOT / "docs" / "fault-matrix.json"


def run(faults: Sequence[Fault], *, keep: bool) -> list[Row]:
    """A row for each, in order; each is printed when it is there, and written to the page when that is to `keep` it."""
    rows: list[Row] = []
    print(report.columns(report.HEAD), flush=True)
    with Stage() as stage:
        for fault in faults:
            begun = time.monotonic()
            why = impossible(fault, stage.cluster)
            row = blank(fault, why) if why else attempt(stage, fault)
            rows.append(row)
            if keep:
                write(rows)
            print(f"{report.line(row)}   [{time.monotonic() - begun:.0f} s]", flush=True)
    return rows


def attempt(stage: Stage, fault: Fault) -> Row:
    """The row of one fault. A crew that did not recover is not the next one's."""
    try:
        row = Trial(fault, stage.scene(fault), stage.ledger).run()
    except AssertionError as error:
        stage.leave()
        return Row(**{**blank(fault).__dict__, "trouble": str(error).splitlines()[0][:300]})
    if row.trouble:
        stage.leave()
    return row


def write(rows: Sequence[Row]) -> None:
    """Both files, with these rows in the place of older ones."""
    fresh = {row.name: row for row in rows}
    older = [row for row in report.load(DATA) if row.name not in fresh]
    places = {one.name: place for place, one in enumerate(catalog.ENTRIES)}
    merged = sorted([*older, *rows], key=lambda row: places.get(row.name, len(places)))
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    note = f"Seen last on {when}, on a machine of {machine} that does other work as well: seconds are upper bounds."
    if missing := [name for name in places if name not in {row.name for row in merged}]:
        note += f"\n\nNot run yet since they were added: {', '.join(missing)}."
    PAGE.write_text(report.page(merged, CLIENTS, note))
    DATA.write_text(report.dump(merged, date=when, machine=machine))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--operator", choices=("killed", "stopped"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(arguments)
    try:
        faults = catalog.chosen(given.names)
    except KeyError as error:
        parser.error(error.args[0])
    if given.operator:
        faults = [variant(one, given.operator) for one in faults if one.where is not Where.REAL]
    begun = time.monotonic()
    try:
        rows = run(faults, keep=given.write or not (given.names or given.operator))
    finally:
        clusters.stop_shared()
    failed = [row for row in rows if row.failures]
    for row in failed:
        print(f"FAILED {row.name}: {', '.join(row.failures)}")
    print(f"{len(rows)} faults in {time.monotonic() - begun:.0f} s, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
