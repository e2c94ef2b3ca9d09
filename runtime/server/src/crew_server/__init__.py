"""The half of a replica that never runs user code: HTTP, kickoffs, probes, metrics, report.

`app` wires the parts; `worker` is the socket to the worker half and the slots behind it; `runs` what a kickoff is,
where its state lies and how it starts and ends; `http` the two ports. Libraries are free here; crewai and the user's
code must not be imported.
"""

__version__ = "0.1.0"
