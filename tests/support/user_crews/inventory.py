"""A crew that says what it finds in its interpreter: nothing of it may differ because a runtime was put beside it."""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from typing import Any

from support.user_crews.plain import EchoLLM, make

LIBRARIES = ("redis", "fastapi", "starlette", "uvicorn", "anyio", "pydantic", "click", "prometheus_client")


def inventory() -> dict[str, Any]:
    """Versions, places and names that an import of the crew's would find."""
    found = {}
    everything = list(importlib.metadata.distributions())
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        found[name] = spec and [spec.origin, getattr(importlib.import_module(name), "__version__", "")]
    return {
        "libraries": found,
        "distributions": sorted(one.name for one in everything),
        "entry_points": sorted(f"{one.group}/{one.name}" for each in everything for one in each.entry_points),
        "python": [sys.executable, sys.prefix],
        "home": os.path.expanduser("~"),  # noqa: PTH111
    }


class InventoryLLM(EchoLLM):
    """Answers with the inventory, in a form that CrewAI's parser takes for plain words."""

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        return f"Thought: I know.\nFinal Answer: {json.dumps(inventory()).encode().hex()}"


crew = make()
for _agent in crew.agents:
    _agent.llm = InventoryLLM(model="inventory")

if __name__ == "__main__":
    print(json.dumps(inventory()))
