"""Inputs that are no strings: numbers, lists, objects, text that looks like a template, and other alphabets."""

from typing import Any

from crewai import Crew
from scripted import agent, note, task


def before(inputs: Any) -> Any:
    note({key: type(value).__name__ for key, value in inputs.items()})
    return inputs


who = agent("Clerk for {name}")
crew = Crew(
    agents=[who],
    tasks=[task("Say {name} {count} {price} {yes} {items} {nested} {template}", who, expected_output="{name}")],
    before_kickoff_callbacks=[before],
)
