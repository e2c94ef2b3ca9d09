"""Functions for `spec.crew.warmUp`, and embedders; each notes in the working directory which process called it."""

import functools
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crewai import Agent, Crew, Memory, Task
from crewai.rag.core.types import Documents, Embeddings

from support.user_crews import plain, remembering

NOTES = Path("notes")
IMPORTED = frozenset(sys.modules)
"""Before the fork, where this module is imported there."""
NUMBER = 7


def note(what: str) -> None:
    with NOTES.open("a") as notes:
        notes.write(f"{os.getpid()} {what}\n")


def crew() -> Crew:
    made = plain.make()
    made.tasks[-1].callback = lambda _: note("kickoff")
    return made


def importing() -> Crew:
    """Says which modules of the runtime this process has imported by itself."""
    made = plain.make()
    made.tasks[-1].callback = lambda _: note(f"imported {late()}")
    return made


def late() -> list[str]:
    return sorted(name for name in set(sys.modules) - IMPORTED if name.split(".")[0] == "crew_runtime")


def warm() -> None:
    # Else a slot that says ready too early might be seen too late.
    time.sleep(0.3)
    note("warm-up")


def failing() -> None:
    raise OSError("no model")


def leaving() -> None:
    sys.exit(3)


def fails_again() -> None:
    """The first process that calls it has what it needs, and no other."""
    first = not NOTES.exists()
    note("warm-up")
    if not first:
        failing()


def embed(texts: Documents) -> Embeddings:
    note(f"embedded {' and '.join(texts)}")
    return remembering.Hashed()(texts)


def ask(texts: Documents) -> Embeddings:
    """Asks a server, which answers: that of the store, for want of another."""
    found = embed(texts)
    server = urlsplit(os.environ["CREWOPS_REDIS_URL"])
    socket.create_connection((str(server.hostname), int(server.port or 0))).close()
    return found


class Local(remembering.Hashed):
    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - the base class' name for it
        return embed(input)


class Networked(remembering.Hashed):
    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002
        return ask(input)


@functools.cache
def _of_the_module() -> remembering.Hashed:
    note("loaded")
    return remembering.Hashed()


def by_a_function(texts: Documents) -> Embeddings:
    """Its model is the module's."""
    return _of_the_module()(texts)


class InItsClass(remembering.Hashed):
    """All of its instances have one model."""

    model: remembering.Hashed | None = None

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002
        if InItsClass.model is None:
            note("loaded")
            InItsClass.model = remembering.Hashed()
        return InItsClass.model(input)


class InItsInstance(remembering.Hashed):
    """Each instance loads a model, with its first text."""

    @functools.cached_property
    def model(self) -> remembering.Hashed:
        note("loaded")
        return remembering.Hashed()

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002
        return self.model(input)


def _nameless(embedder: Callable[[Documents], Embeddings]) -> Callable[[Documents], Embeddings]:
    """One that cannot be found by its name."""
    return lambda texts: embedder(texts)


def _with_memory(embedder: Any) -> Crew:
    llm = remembering.FilingLLM(model="filing")
    agent = Agent(role="Host", goal="answer", backstory="knows", llm=llm, max_iter=2)
    task = Task(description="Say {message}", expected_output="a line", agent=agent)
    return Crew(agents=[agent], tasks=[task], memory=Memory(embedder=embedder, llm=llm))


def local() -> Crew:
    return _with_memory(embed)


def loads_in_the_module() -> Crew:
    return _with_memory(by_a_function)


def loads_in_its_class() -> Crew:
    return remembering.crew(embedder=InItsClass)


def loads_by_a_provider() -> Crew:
    """CrewAI's provider for a library that keeps what it has loaded in a class."""
    return _with_memory({"provider": "sentence-transformer", "config": {"model_name": "tiny"}})


def loads_by_the_crews_provider() -> Crew:
    made = remembering.crew()
    return Crew(
        agents=made.agents, tasks=made.tasks, memory=True,
        embedder={"provider": "sentence-transformer", "config": {"model_name": "tiny"}},
    )  # fmt: skip


def networked() -> Crew:
    return _with_memory(ask)


def local_by_settings() -> Crew:
    return remembering.crew(embedder=Local)


def networked_by_settings() -> Crew:
    return remembering.crew(embedder=Networked)


own_local_by_settings = remembering.crew(embedder=Local)
own_loads_in_its_instance = _with_memory({"provider": "custom", "config": {"embedding_callable": InItsInstance}})
own_of_two = _with_memory({"provider": "custom", "config": {"embedding_callable": InItsInstance}})
own_of_two.agents[0].memory = Memory(embedder=_nameless(ask), llm=remembering.FilingLLM(model="filing"))
"""One that is local, and another's that asks a server."""
nameless_local = _with_memory(_nameless(embed))
nameless_networked = _with_memory(_nameless(ask))
