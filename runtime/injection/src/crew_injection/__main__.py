"""`crew-payload DIR [--shell PATH]`: makes the payload; for the image's build."""

import argparse
import sys
from pathlib import Path

from crew_injection import payload
from crew_injection.errors import InjectionError


def main() -> int:
    """0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="crew-payload", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to write it into; new or empty")
    parser.add_argument(
        "--shell", type=Path, default=Path("/bin/sh"), help="program that becomes bin/sh; static in images"
    )
    told = parser.parse_args()
    try:
        payload.build(told.folder, told.shell)
    except InjectionError as error:
        sys.stderr.write(f"crew-payload: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
