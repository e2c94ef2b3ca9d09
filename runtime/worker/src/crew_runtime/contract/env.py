"""The environment variables by which the operator configures a replica. All durations are whole or decimal seconds.

None of them may be called `REDIS_URL`: with that name set CrewAI moves its own locks to Redis and takes 6 times as long
for a kickoff (measured on crewai 1.15.30).
"""

PREFIX = "CREWOPS_"

NAMESPACE = "CREWOPS_NAMESPACE"
"""Namespace of the CrewDeployment."""
NAME = "CREWOPS_NAME"
"""Name of the CrewDeployment."""
REPLICA = "CREWOPS_REPLICA"
"""Name of this pod."""

ENTRYPOINT = "CREWOPS_ENTRYPOINT"
"""`module:attr` of a Crew, a @CrewBase class, a Flow or a function returning one. Excludes DEFINITION."""
DEFINITION = "CREWOPS_DEFINITION"
"""Path of a crew.jsonc."""

REDIS_URL = "CREWOPS_REDIS_URL"
"""`redis[s]://[user[:password]@]host:port[/db]`."""
REDIS_PASSWORD = "CREWOPS_REDIS_PASSWORD"  # noqa: S105 - the variable's name
"""Optional; wins over a password in the URL."""
REDIS_CA_FILE = "CREWOPS_REDIS_CA_FILE"
"""Optional; PEM file to verify a `rediss://` server with."""
KEY_PREFIX = "CREWOPS_KEY_PREFIX"
"""Whose keys: default `namespace/name` of the CrewDeployment."""
BACKEND_DEADLINE = "CREWOPS_BACKEND_DEADLINE"
"""How long one call of the backend may take; default 2. At start the backend has ten times as long to answer."""

MEMORY_ISOLATION = "CREWOPS_MEMORY_ISOLATION"
"""`Session` (default) or `Crew`."""
SESSION_TTL = "CREWOPS_SESSION_TTL"
"""Idle time after which a session's memories expire; 0 or unset: never."""
MEMORY_ON_FAILURE = "CREWOPS_MEMORY_ON_FAILURE"
"""`FailClosed` (default) or `Degrade`."""
EMBEDDER_PROVIDER = "CREWOPS_EMBEDDER_PROVIDER"
EMBEDDER_MODEL = "CREWOPS_EMBEDDER_MODEL"
EMBEDDER_DIMENSION = "CREWOPS_EMBEDDER_DIMENSION"
"""Optional; what the crew is declared to embed with, checked against what the store holds."""

VECTOR_TYPE = "CREWOPS_VECTOR_TYPE"
"""`Float32` (default) or `Float16`: how a new store keeps its vectors. One that holds some keeps its own."""

CONCURRENCY = "CREWOPS_CONCURRENCY"
"""Kickoffs at once in one replica; default 4."""
QUEUE_LIMIT = "CREWOPS_QUEUE_LIMIT"
"""Kickoffs of the crew that may wait for a free slot of any replica; default 1000."""
HUMAN_INPUT_TIMEOUT = "CREWOPS_HUMAN_INPUT_TIMEOUT"
"""Seconds that a kickoff waits for a person's answer; default 604800 (7 days)."""
ON_REPLICA_LOSS = "CREWOPS_ON_REPLICA_LOSS"
"""`Retry` (default) or `Fail`: what becomes of a kickoff whose replica or worker died."""
KICKOFF_TIMEOUT = "CREWOPS_KICKOFF_TIMEOUT"
"""Default 1800."""
SLOT_MEMORY = "CREWOPS_SLOT_MEMORY"
"""MiB that one kickoff may take beyond what its slot had at start; default 1024."""
GRACE_PERIOD = "CREWOPS_GRACE_PERIOD"
"""The pod's terminationGracePeriodSeconds; default 30."""

SOCKET = "CREWOPS_SOCKET"
"""Path of the Unix socket on which the server listens and the worker connects; default /crewops/run/worker.sock."""
BIND_ADDRESS = "CREWOPS_BIND_ADDRESS"
"""Address that the server binds both ports to; default 0.0.0.0. An image of the local cluster sets it to the pod's."""
HTTP_PORT = "CREWOPS_HTTP_PORT"
HEALTH_PORT = "CREWOPS_HEALTH_PORT"
API_TOKEN = "CREWOPS_API_TOKEN"  # noqa: S105 - the variable's name
"""Optional bearer token of the crew's API (port HTTP_PORT)."""
WEBHOOK_HOSTS = "CREWOPS_WEBHOOK_HOSTS"
"""Patterns of the hosts that webhooks may name, parted by blanks; unset: all, but for addresses of the pod itself."""
LOG_FORMAT = "CREWOPS_LOG_FORMAT"
"""`json` (default) or `text`."""

DEFAULT_SOCKET = "/crewops/run/worker.sock"
