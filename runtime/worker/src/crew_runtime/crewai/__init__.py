"""The only package that imports crewai, with a package for each subject.

- `state`: what CrewAI keeps, on the shared store. `embedders`: which one it is kept with.
- `loading`: what the user wrote. `kickoffs`: one run of it. `outputs`: what came of it.
- `human_input`, `resuming`: a kickoff that stops in one process and goes on in another.
- `proofs`: that state is shared. `rehearsing`: a run with nothing that it could do to the world.

Importing a module of this package imports CrewAI, so nothing outside does it at the top of a module that runs before
telemetry is off.
"""
