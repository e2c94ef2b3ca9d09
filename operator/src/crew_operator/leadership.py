"""One operator acts and the others stand by: whoever holds the Lease runs.

In: the Lease's name, what to run. Out: it runs while the Lease is held. One that dies is followed within LEASE_SECONDS
and two tries. Renewing is a write every TRY_SECONDS, so an operator that is alone does without.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from crew_operator.errors import LeadershipLostError
from crew_operator.lease import RENEW_SECONDS, Candidate, Kube, identity

log = logging.getLogger(__name__)


async def lead(kube: Kube, lease: str, run: Callable[[], Awaitable[None]]) -> None:
    """Wait for the Lease `namespace/name`, run while it is held. Raises LeadershipLostError, or as `run`."""
    namespace, _, name = lease.partition("/")
    candidate = Candidate(kube, namespace, name, identity())
    log.info("standing by", extra={"lease": lease, "identity": candidate.identity})
    await candidate.acquire()
    log.info("leading", extra={"lease": lease, "identity": candidate.identity})
    kube.fence = candidate.check
    renewing = asyncio.create_task(candidate.renew(), name="lease")
    ending = asyncio.create_task(candidate.term_ends(), name="term")
    running = asyncio.ensure_future(run())
    tasks = (renewing, ending, running)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise LeadershipLostError(f"the Lease {lease} could not be renewed for {RENEW_SECONDS} s, or is another's")
        running.result()
    finally:
        for one in tasks:
            one.cancel()
        # What acts has to have ended before another may begin.
        await asyncio.gather(*tasks, return_exceptions=True)
        await candidate.release()
