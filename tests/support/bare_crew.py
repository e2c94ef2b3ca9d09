"""A crew as CrewAI alone runs it remembers what it is given: `bare_crew.py FACT...`, in a process of its own."""

import sys

from support.user_crews.remembering import crew


def main(facts):
    memory = crew()._memory
    for fact in facts:
        memory.remember(fact, scope="/guests", categories=["fact"], metadata={"told": True}, importance=0.5)
    memory.drain_writes()


if __name__ == "__main__":
    main(sys.argv[1:])
