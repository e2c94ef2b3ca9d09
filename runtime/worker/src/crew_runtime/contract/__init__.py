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
SERVING_PATH = "/readyz?serving"
"""What the kubelet asks on HEALTH_PORT: as /readyz, which is for people and monitoring, but once a replica was ready a
Redis that is away does not take it out of the Service. A server that does not know the form answers as /readyz."""
CHANGES_PATH = "/changes"
"""Asked on HEALTH_PORT: an answer without an end that gets a line, always the same, whenever /report says something new
that conditions are made of. The operator holds one per replica instead of asking again and again."""
REDIS_PORT = 6379
