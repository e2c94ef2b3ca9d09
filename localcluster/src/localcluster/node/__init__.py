"""The node: runs pods as local processes.

Pure: `translate`, `environment`, `phases`. With IO: `addresses`, `images` (what a container is started from),
`volumes`, `processes`, `probes`, `proxy` (Services), `containers` and `pods` (their lives), `agent` (all of them),
`reaper` (their end).
"""
