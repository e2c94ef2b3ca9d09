"""A persisted flow with a dict state, whose new version reads a field that old states have not."""

import os
from typing import Any

from crewai.flow.flow import Flow, start
from crewai.flow.persistence import persist

NEW = os.environ.get("VERSION") == "2"


@persist()
class Counter(Flow[dict[str, Any]]):
    if NEW:
        initial_state = {"count": 0, "unit": "cups"}
    else:
        initial_state = {"count": 0}

    @start()
    def more(self) -> str:
        self.state["count"] += 1
        return f"{self.state['count']} {self.state['unit'] if NEW else ''}"
