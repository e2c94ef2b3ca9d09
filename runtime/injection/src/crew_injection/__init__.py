"""The payload: a folder that an init container copies beside a crew's own, unmodified image.

`vendoring` rewrites imports (pure), `payload` puts the folder together, `files` is what the crew's container runs:
`start` (sh) finds the interpreter that has CrewAI, asking each by `probe.py`, and becomes `start.py` in it.
"""
