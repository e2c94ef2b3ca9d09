"""The concierge, but its note taker thinks for some seconds about a message that begins with "slowly"."""

import time
from typing import Any

from concierge.crew import Concierge
from concierge.offline import OfflineLLM

THINKS = 4.0
"""Seconds."""


class SlowLLM(OfflineLLM):
    """Thinks about what to note, and about nothing else."""

    llm_type: str = "concierge-slow"

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        if "Note what the guest tells us. The guest says: <message>slowly" in str(messages) and not kwargs.get(
            "response_model"
        ):
            time.sleep(THINKS)
        return super().call(messages, *args, **kwargs)


def crew() -> Any:
    made = Concierge().crew()
    for agent in made.agents:
        agent.llm = SlowLLM(model="concierge-slow")
    return made
