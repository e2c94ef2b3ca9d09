"""`python -m crew_operator`: run the operator until SIGTERM or SIGINT."""

import asyncio
import logging
import resource
import signal
import sys

from crew_operator import __version__, app, logs, settings

log = logging.getLogger("crew_operator")


def main() -> int:
    """The console script. 0 after a signal; raises what ended the operator otherwise."""
    found = settings.parse(sys.argv[1:])
    logs.configure(found.log_level, found.log_format)
    _raise_limits()
    asyncio.run(_run(found))
    return 0


def _raise_limits() -> None:
    """One descriptor for each replica: the soft limit is 1,024 in many places."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (
        OSError,
        ValueError,
    ) as error:  # where a sandbox forbids it: beyond the limit replicas are asked by the clock
        log.warning("cannot raise the limit of open files", extra={"detail": str(error)})


async def _run(found: settings.Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with app.running(found) as operator:
        where = ",".join(found.namespaces) or "all"
        log.info("running", extra={"version": __version__, "namespaces": where, "ports": operator.ports})
        told: asyncio.Future[bool] = asyncio.create_task(stop.wait())
        await asyncio.wait((told, operator.ended), return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            log.info("stopping")
            return
        told.cancel()
        operator.ended.result()
        raise RuntimeError("the watches ended by themselves")


if __name__ == "__main__":
    sys.exit(main())
