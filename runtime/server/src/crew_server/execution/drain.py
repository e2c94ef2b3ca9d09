"""The steps of a shutdown: nothing more is claimed, running kickoffs finish while the time lasts, the rest is given
back to the other replicas (`onReplicaLoss: Fail`: ends as `ReplicaDrained`), then the worker is dismissed. Readiness is
off before this begins.
"""

import asyncio

from crew_server.execution.claiming import Claimer
from crew_server.execution.dispatch import Dispatcher
from crew_server.logs import Log
from crew_server.queue import state
from crew_server.worker.link import WorkerLink

log = Log(__name__)

PAUSE_TIME = 1.0
"""For a claim that is under way; Redis may hang."""
KILL_TIME = 3.0
"""From the last word to the kickoffs' ends in Redis: a kill takes under a second, and Redis may be slow."""
END_TIME, LEAST_END_TIME = 11.0, 2.0
"""For processes whose kickoff is over to send what libraries have gathered; they give up after 10 s themselves."""
EXIT_TIME = 2.0
"""For the worker to kill its children and end."""


async def drain(claimer: Claimer, dispatcher: Dispatcher, link: WorkerLink, seconds: float) -> None:
    """Drain within `seconds`; PAUSE_TIME + KILL_TIME + LEAST_END_TIME + EXIT_TIME beyond for what has to be stopped."""
    begun = asyncio.get_running_loop().time()
    log.info("draining", kickoffs=dispatcher.running, seconds=seconds)
    await _pause(claimer)
    if not await dispatcher.wait_idle(seconds):
        for kickoff in dispatcher.unfinished():
            log.warning("kickoff stopped by the drain", kickoff_id=kickoff.id, session_id=kickoff.request.session_id)
            dispatcher.cancel(kickoff, state.DRAINED)
        if not await dispatcher.wait_idle(KILL_TIME):
            log.error("ends of kickoffs could not be written", kickoffs=dispatcher.pending())
    left = max(LEAST_END_TIME, seconds - (asyncio.get_running_loop().time() - begun))
    if not await dispatcher.wait_ended(min(END_TIME, left)):
        log.warning("a kickoff's process did not end by itself, and is killed")
    link.dismiss()
    if not await link.wait_gone(EXIT_TIME):
        log.warning("the worker did not end when asked to")
    log.info("drained", took=round(asyncio.get_running_loop().time() - begun, 3))


async def _pause(claimer: Claimer) -> None:
    try:
        async with asyncio.timeout(PAUSE_TIME):
            await claimer.pause()
    except TimeoutError:
        log.warning("a claim is still under way; what it gets will be taken over by another replica")
