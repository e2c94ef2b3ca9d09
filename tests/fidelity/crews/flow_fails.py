"""A flow whose method raises."""

from typing import Any

from crewai.flow.flow import Flow, listen, start
from scripted import note


class TooCold(Exception):
    pass


class Failing(Flow[dict[str, Any]]):
    @start()
    def first(self) -> str:
        note("first")
        return "first"

    @listen(first)
    def second(self, _: str) -> str:
        raise TooCold("the soup")
