"""The prober: a slot that runs no kickoffs, only proofs that CrewAI's own Memory reaches the shared store from here.

A process of its own, so that busy or wedged slots neither block a proof nor fake it.
"""

import time

from crew_runtime.contract import frames
from crew_runtime.crewai.loading.load import Loaded
from crew_runtime.crewai.proofs.memory import Prover
from crew_runtime.worker import child, watch
from crew_runtime.worker.channel import Channel
from crew_runtime.worker.logs import Log

log = Log(__name__)


def serve(channel: Channel, task: child.Task, loaded: Loaded) -> int:
    """Answer proofs for ever; the process ends with the connection."""
    prover = Prover(loaded)
    child.tell_zygote(task)
    channel.send(frames.READY)
    while True:
        frame = channel.take()
        if frame["t"] == frames.PROOF:
            with watch.failures(channel):
                _answer(channel, prover, frame)


def _answer(channel: Channel, prover: Prover, frame: frames.Frame) -> None:
    action, nonce = str(frame.get("action")), str(frame.get("nonce"))
    found, via, error = False, "", None
    begun = time.monotonic()
    try:
        if action == "write":
            prover.write(nonce)
        elif action == "read":
            found, via = prover.read(nonce)
        elif action == "forget":
            prover.forget(nonce)
        else:
            error = f"there is no proof called {action!r}"
    except Exception as failed:  # noqa: BLE001 - the user's embedder may raise anything, and the proof has to say it
        error = f"{type(failed).__name__}: {failed}"
        log.warning("proof failed", action=action, error=error)
    seconds = round(time.monotonic() - begun, 6)
    channel.send(
        frames.PROOF_RESULT, n=frame.get("n"), ok=error is None, found=found, via=via, seconds=seconds, error=error
    )
