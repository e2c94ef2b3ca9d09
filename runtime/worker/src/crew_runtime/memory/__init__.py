"""CrewAI's memory on Redis: records, their scopes and vectors, and two ways to search them.

`records`, `filters` and `vectors` are pure. `store` writes and reads records by atomic scripts; `indexed` searches by
the server's FT.*, `plain` by a cache in this process that the change log feeds; `ladder` chooses between them. Nothing
here imports CrewAI: `crewai.storage` turns its records into ours.
"""
