"""`make bench`, `make bench-kubernetes`: every figure beside its rival, as a table and as JSON."""

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, as_json

PARTS = ("memory", "recall", "sizes", "kickoffs", "durable_queue", "durability")
"""Modules of this folder; each is imported when it is its turn."""
ON_KUBERNETES = ("time_to_ready", "fleet")
"""More of them, that need the cluster of --kubeconfig."""


def table(figures: list[Figure]) -> Table:
    """Columns value, rival, ratio, aim, met."""
    drawn = Table("figure", "value", "rival", "ratio", "aim", "met")
    for one in figures:
        rival = f"{one.rival:.2f} {one.rival_name}" if one.rival is not None else ""
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else ""
        met = {True: "yes", False: "NO", None: ""}[one.met]
        drawn.add_row(one.name, f"{one.value:.2f} {one.unit}", rival, ratio, one.aim, met)
    return drawn


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", choices=(*PARTS, *ON_KUBERNETES), action="append", help="one part; all by default")
    parser.add_argument("--kubeconfig", help=f"measure on this cluster, and only {' and '.join(ON_KUBERNETES)}")
    options = parser.parse_args()
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()}
    figures: list[Figure] = []
    cluster = [options.kubeconfig] if options.kubeconfig else []
    for name in options.only or (ON_KUBERNETES if cluster else PARTS):
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="crewops-bench-") as folder:
            figures += importlib.import_module(f"bench.{name}").run(Path(folder), *cluster)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(as_json(figures, machine), indent=2) + "\n")
    Console(width=150).print(table(figures))
    missed = [one.name for one in figures if one.met is False]
    print(
        f"{len(missed)} of {sum(1 for one in figures if one.aim)} aims missed"
        + (": " + "; ".join(missed) if missed else "")
    )


if __name__ == "__main__":
    main()
