"""The concierge with a storage of its own, as a user's code may set it: in a file, where no other replica looks."""

from concierge.crew import Concierge
from crewai import Crew
from crewai.memory.unified_memory import Memory


def crew() -> Crew:
    made: Crew = Concierge().crew()
    made.memory = Memory(storage="./own-memory", llm=made.agents[0].llm, embedder=made.embedder)
    return made
