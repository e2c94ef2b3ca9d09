"""What the operator, the server half, the worker half and the local cluster have to agree on, written once.

Standard library only: each of the four lives in an interpreter of its own. Nothing here does IO. `env` names the
variables of a replica's containers, `frames` the messages between server and worker, `report` what a replica says of
itself, `keys` where things lie in Redis.
"""

PROTOCOL = 1
"""Version of the frames between server and worker; both name it in their hello, and a server refuses another one."""

HTTP_PORT = 8000
"""The crew's API."""
HEALTH_PORT = 8081
"""Probes, metrics, report and proof."""
REDIS_PORT = 6379
