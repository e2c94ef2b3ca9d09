"""Which session a piece of work belongs to, and what of the crew's memory it may see. No IO, no CrewAI."""
