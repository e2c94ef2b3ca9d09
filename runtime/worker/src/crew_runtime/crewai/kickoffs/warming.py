"""CrewAI made warm in a process that then forks: its first kickoff pays for imports, caches and threads.

Before the user's code is imported, so that no listener, hook or instrumentation of theirs sees the kickoff of it.
The event bus is left as it was, without threads: its loop and pool would not live through a fork.
"""

import contextvars
import gc
import logging

from crewai.events.event_bus import crewai_event_bus

from crew_runtime.crewai.kickoffs import canned

log = logging.getLogger(__name__)

_BUS = ("_executor_initialized", "_sync_executor", "_loop", "_loop_thread")
"""What the bus keeps of its threads (crewai 1.14.7 to 1.15.30). It has no call that ends them and lets it start anew:
`shutdown` drops all handlers, CrewAI's own too, and for good."""
ROUNDS = 2
"""The interpreter specialises code that ran more than once."""
FLUSH_DEADLINE = 5.0


def warm_up() -> str:
    """Kick off a crew that touches nothing, and end the threads of it. The answer is why it was not done, or ``.

    A process in which that went wrong half way may have threads; whoever forks looks for them anyway.
    """
    if crewai_event_bus._executor_initialized:
        return "CrewAI's event bus runs already"
    try:
        for _ in range(ROUNDS):
            # What a kickoff counts and notes in its context goes with it.
            contextvars.copy_context().run(canned.kickoff, memory=True)
        why = _rest()
    except Exception as error:  # noqa: BLE001 - without it kickoffs are slower, and that is all
        why = f"{type(error).__name__}: {error}"
    # A crew is full of cycles, and whoever looks for live memories would find those of this one.
    gc.collect()
    return why


def _rest() -> str:
    bus = crewai_event_bus
    if not bus._executor_initialized:
        return ""
    if missing := [name for name in _BUS if not hasattr(bus, name)]:
        return f"this CrewAI's event bus has no {', '.join(missing)}"
    bus.flush(FLUSH_DEADLINE)
    bus._loop.call_soon_threadsafe(bus._loop.stop)
    bus._loop_thread.join(FLUSH_DEADLINE)
    bus._sync_executor.shutdown(wait=True)
    if bus._loop_thread.is_alive():
        return "the loop of CrewAI's event bus did not end"
    bus._loop.close()
    bus._executor_initialized = False
    return ""
