"""The embedder of a crew, for texts that the crew has not said itself."""

from collections.abc import Callable
from dataclasses import dataclass

from crewai.memory.types import embed_texts

from crew_runtime.crewai import memories
from crew_runtime.crewai.embedders import identity
from crew_runtime.crewai.loading import load
from crew_runtime.crewai.loading.load import EntrypointError


@dataclass(frozen=True)
class Embedder:
    """What a crew's memory embeds with."""

    name: str
    """As the crew names it in its store when it starts."""
    embed: Callable[[list[str]], list[list[float]]]
    """A vector for each text, an empty one for an empty text; raises what the embedder raises."""


def of(entrypoint: str, definition: str) -> Embedder:
    """Of what one of the two names; it is built. Raises EntrypointError when it has none, or several."""
    made = load.load(entrypoint, definition).make()
    found = memories.of(made.target)
    if not found:
        raise EntrypointError(f"{entrypoint or definition} has no memory, and hence no embedder")
    try:
        built = [one._embedder for one in found]
    except Exception as error:
        text = f"the embedder of {entrypoint or definition} cannot be built: {error}"
        raise EntrypointError(text, load.user_traceback(error)) from error
    names = sorted({identity.name(one) for one in built})
    if len(names) > 1:
        raise EntrypointError(f"{entrypoint or definition} has several embedders: {', '.join(names)}")
    return Embedder(load.describe(made).embedder or names[0], lambda texts: embed_texts(built[0], texts))
