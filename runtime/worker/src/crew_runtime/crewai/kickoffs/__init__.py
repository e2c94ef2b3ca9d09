"""One kickoff of a loaded crew or flow, CrewAI's event bus during it, and what makes a process ready for its first."""
