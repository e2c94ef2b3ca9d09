"""Memories from one home to another: `python -m crew_runtime.moving`, in the crew's interpreter.

`move` is the way that they all go. `items` is what goes, `places` what a place has to offer; `file`, `lance` and
`store` are the places, and `lines` how a file is written. Nothing here imports CrewAI.
"""
