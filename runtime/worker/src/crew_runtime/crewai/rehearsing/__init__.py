"""A kickoff of the user's crew in a process that ends afterwards, with nothing that it could do to the world.

It takes CrewAI's own path of a kickoff. LLMs, embedders, tools, callbacks, MCP servers, people and the network are
stood in for; the shared state lies in a scratch area that is erased. What fails here fails in each kickoff.

Everything below changes CrewAI's classes in place: only a process that is thrown away may call it.
"""
