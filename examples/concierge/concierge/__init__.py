"""A hotel concierge as a CrewAI crew: it remembers what guests tell it, and answers from that memory only."""
