"""Requirements with hashes out of uv.lock, for a pip that has no uv yet.

python tools/locked.py [--lock uv.lock] uv hatchling >requirements.txt

Names packages and what they need, whatever its markers: what builds an image, and uv itself.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def requirements(lock: Mapping[str, Any], names: list[str]) -> Iterator[str]:
    """A line for each package, those that are needed included, in order of their names. Raises KeyError, ValueError."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for package in lock["package"]:
        by_name.setdefault(package["name"], []).append(package)
    wanted, found = list(names), {}
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        if len(by_name[name]) != 1:
            raise ValueError(f"uv.lock has {len(by_name[name])} versions of {name}: none of them is the one")
        (found[name],) = by_name[name]
        wanted += (one["name"] for one in found[name].get("dependencies", ()))
    for name in sorted(found):
        package = found[name]
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        yield " ".join([f"{name}=={package['version']}", *(f"--hash={one['hash']}" for one in files)])


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=Path(__file__).parents[1] / "uv.lock")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    lock = tomllib.loads(options.lock.read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{line}\n" for line in requirements(lock, options.names))


if __name__ == "__main__":
    main()
