"""The part of `crewctl memory` that runs here: which places are meant, and how far the process is that moves memories.

The moving itself needs lancedb and numpy and runs in an interpreter of the user's crew: `crew_runtime.moving`.
"""
