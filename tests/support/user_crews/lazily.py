"""A crew whose function imports two installed packages: one that starts a thread at its import, and a harmless one."""

import sys

from crewai import Crew

from support.user_crews import plain


def crew() -> Crew:
    before = [name for name in ("lancedb", "numpy.random") if name in sys.modules]
    import lancedb
    import numpy.random

    async def works() -> float:
        return numpy.random.random()

    def told(output: object) -> None:
        number = lancedb.background_loop.LOOP.run(works())
        output.raw = f"{before} {0 <= number < 1}"

    made = plain.make()
    made.tasks[-1].callback = told
    return made
