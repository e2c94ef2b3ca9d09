"""Entrypoints one below another: an attribute of a class, a partial, and an object that is called."""

from functools import partial

from crewai import Crew
from scripted import agent, task


def make(word: str = "default") -> Crew:
    who = agent()
    return Crew(agents=[who], tasks=[task(f"Say {word}", who)])


class Crews:
    inner = make("inner")

    @staticmethod
    def static() -> Crew:
        return make("static")


given = partial(make, "partial")
