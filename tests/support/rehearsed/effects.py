"""What no rehearsal may do: every function here leaves a line in the file of REHEARSED_EFFECTS."""

import os
from pathlib import Path
from typing import Any

from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool


def note(what: str) -> None:
    """Leave a line."""
    with Path(os.environ["REHEARSED_EFFECTS"]).open("a") as file:
        file.write(f"{what}\n")


def noting(what: str, answer: Any = None) -> Any:
    """A callback."""

    def called(*given: Any, **_: Any) -> Any:
        note(what)
        return given[0] if given and answer is None else answer

    return called


class Mail(BaseTool):
    """A tool with an effect."""

    name: str = "mail"
    description: str = "Sends a mail to everybody."

    def _run(self, text: str = "") -> str:
        note("tool")
        return text


class OwnLLM(BaseLLM):
    """The author's own model: asking it costs money."""

    tools_by_api: bool = True

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        """Never in a rehearsal."""
        note("llm")
        return "Final Answer: paid"

    def supports_function_calling(self) -> bool:
        """As it was made."""
        return self.tools_by_api


def llm(**more: Any) -> OwnLLM:
    """One of its own for each agent."""
    return OwnLLM(model="own", **more)


def embed(texts: list[str]) -> list[list[float]]:
    """The author's own embedder: loads a model of gigabytes."""
    note("embedder")
    return [[1.0, 0.0] for _ in texts]
