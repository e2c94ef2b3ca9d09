"""`python -m crew_operator`: run the operator until SIGTERM or SIGINT."""

import asyncio
import logging
import sys

from crew_operator import __version__, app, logs, settings

log = logging.getLogger("crew_operator")


def main() -> int:
    """The console script. 0 after a signal; raises what ended the operator otherwise."""
    found = settings.parse(sys.argv[1:])
    logs.configure(found.log_level, found.log_format)
    asyncio.run(_run(found))
    return 0


async def _run(found: settings.Settings) -> None:
    """Kopf takes the signals: its watches end, and with them everything."""
    async with app.running(found) as operator:
        where = ",".join(found.namespaces) or "all"
        log.info("running", extra={"version": __version__, "namespaces": where, "ports": operator.ports})
        await operator.ended
        log.info("stopping")


if __name__ == "__main__":
    sys.exit(main())
