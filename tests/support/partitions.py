"""The primary of a Redis of three is cut off for a while: `python -m support.partitions CUT ROUNDS FOLDER`.

CUT: `peers`, from both other members; `operator`, from the operator; `both`. Clients always reach it. Runs in a network
namespace of its own, where `ip rule` drops what goes from one address to another.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

from support.trio import Trio, Writers, trio

LASTS = 8.0
"""Seconds of a partition."""
OPERATOR = "127.0.0.1"


def cut_off(found: Trio, what: str) -> list[tuple[str, str]]:
    """Drop what goes between these pairs of addresses, both ways."""
    primary = found.primary().member.ip
    others = [one.member.ip for one in found.replicas()] if what in ("peers", "both") else []
    others += [OPERATOR] if what in ("operator", "both") else []
    pairs = [pair for other in others for pair in ((primary, other), (other, primary))]
    for one, other in pairs:
        _rule("add", one, other)
    return pairs


def _rule(verb: str, one: str, other: str) -> None:
    subprocess.run(["ip", "rule", verb, "pref", "1", "from", one, "to", other, "blackhole"], check=True)


async def trial(folder: Path, what: str) -> tuple[int, float, bool]:
    """How many were acknowledged, the longest time without one, and whether another became primary."""
    async with trio(folder) as found:
        found.begin()
        await found.whole()
        writers = Writers(found)
        async with writers.running():
            await writers.until_acknowledged(time.monotonic())
            first, term = found.primary(), found.board.record
            begun = time.monotonic()
            pairs = cut_off(found, what)
            await asyncio.sleep(LASTS)
            during = [one for one in writers.at if one > begun]
            for one, other in pairs:
                _rule("del", one, other)
            await found.whole()
            await writers.until_acknowledged(time.monotonic())
            moved = found.primary() is not first
            assert moved == (what != "operator"), f"{found.board.record} after {term}: {found.told}"
            writers.ended = True
            await asyncio.sleep(1)
        assert await writers.lost() == []
        assert during, "nothing was acknowledged while it was cut off"
        gap = max(later - one for one, later in zip([begun, *during], [*during, begun + LASTS], strict=True))
        return len(writers.acknowledged), gap, moved


async def main(what: str, rounds: int, folder: Path) -> None:
    trials = [await trial(folder / str(number), what) for number in range(rounds)]
    gaps = [gap for _, gap, _ in trials]
    count = sum(one for one, _, _ in trials)
    print(f"cut off from {what}: {count} acknowledged, {statistics.median(gaps):.2f} s, most {max(gaps):.2f} s")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
