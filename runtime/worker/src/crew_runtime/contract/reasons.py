"""Every reason that a condition or an Event can give, with cause and remedy: `docs/conditions.md` is made from here."""

from enum import Enum

from crew_runtime.contract.replica_reasons import ReplicaReason


class Reason(Enum):
    """A condition's reason: `value` is (word in the status, cause, remedy)."""

    # The spec
    SPEC_INVALID = (
        "SpecInvalid",
        "The spec cannot work as written; what runs was left as it was.",
        "Change the fields that the message names.",
    )
    NAME_TAKEN = (
        "NameTaken",
        "An object that is not this CrewDeployment's has the name of one of its own. It is not touched.",
        "Delete or rename the object that the message names, or make the CrewDeployment under another name.",
    )
    CHANGE_REFUSED = (
        "ChangeRefused",
        "The change would lose memories: a smaller volume, another key prefix or Redis. The rest is applied.",
        "Put the old value back, or make a new CrewDeployment and move the data.",
    )
    CHILD_REJECTED = (
        "ChildRejected",
        "The API server refused an object made from this spec.",
        "Correct the field that the API server's message names, or the operator's permissions.",
    )
    REFERENCE_NOT_FOUND = (
        "ReferenceNotFound",
        "A Secret or ConfigMap that the spec names, or its key, does not exist or holds what cannot be used.",
        "Create it in the CrewDeployment's namespace, or correct what is wrong. It is checked every few seconds.",
    )
    STORAGE_NOT_RESIZED = (
        "StorageNotResized",
        "A claim, of Redis or of the crew's files, could not be grown to the size that the spec asks for.",
        "Set allowVolumeExpansion on its storage class, or ask who runs it. What uses it goes on with the old size.",
    )
    STORAGE_NOT_BOUND = (
        "StorageNotBound",
        "The claim of the crew's files, spec.crew.storage, has no volume, and replicas cannot start without it.",
        "Take a class that offers its modes: remove storage, delete the claim, write storage anew (docs/day-two.md).",
    )
    ENV_IGNORED = (
        "EnvIgnored",
        "spec.crew.env names variables that begin with CREWOPS_. The operator sets those; yours were not applied.",
        "Remove them; use the fields of spec.crew, spec.memory and spec.redis.",
    )
    API_OPEN = (
        "ApiOpen",
        "The crew ran without a token before spec.crew.api was known, and was left open to who reaches its port 8000.",
        "Give the clients the token and set spec.crew.api.auth to Token; or set it to None to keep it open knowingly.",
    )
    NOT_OBSERVED = (
        "NotObserved",
        "The operator could not check, so it claims nothing.",
        "If it stays, read the operator's log: the API server or the network between operator and pods is the cause.",
    )

    INTERNAL_ERROR = (
        "InternalError",
        "Reconciling this CrewDeployment keeps failing; what runs was left as it was.",
        "The operator's log has the error with its traceback (`a pass failed`). Please report it.",
    )

    # Replicas
    AVAILABLE = ("Available", "All wanted replicas are ready.", "Nothing to do.")
    SCALED_TO_ZERO = ("ScaledToZero", "spec.replicas is 0.", "kubectl scale crew NAME --replicas=N.")
    REPLICAS_NOT_READY = (
        "ReplicasNotReady",
        "Fewer replicas than wanted are ready; they start, or wait for Redis or for room on the nodes.",
        "If it stays, kubectl describe the pods that the message names.",
    )
    ENTRYPOINT_BROKEN = (
        ReplicaReason.ENTRYPOINT_BROKEN.value,
        "The crew's code could not be imported or did not give a crew.",
        "Correct spec.crew.entrypoint or the code; the message is the replica's own.",
    )
    WARM_UP_BROKEN = (
        ReplicaReason.WARM_UP_BROKEN.value,
        "The function that spec.crew.warmUp names was not found, or failed.",
        "Correct spec.crew.warmUp or the function; the message is the replica's own, with the end of its traceback.",
    )
    DEFINITION_BROKEN = (
        ReplicaReason.DEFINITION_BROKEN.value,
        "The crew's definition could not be read.",
        "Correct spec.crew.definition or its ConfigMap; the message is the replica's own.",
    )
    KICKOFF_BROKEN = (
        ReplicaReason.KICKOFF_BROKEN.value,
        "The crew was built, and no kickoff of it can work: a rehearsed one, with a stand-in for its LLM, failed.",
        "Correct what the message names, which ends with your own last lines. crewctl verify finds it earlier.",
    )
    REPLICA_FAILED = (
        "ReplicaFailed",
        "A replica's worker gave up before it could serve.",
        "The message is the replica's own; kubectl logs POD -c crew has the rest.",
    )
    IMAGE_NOT_PULLED = (
        "ImageNotPulled",
        "An image could not be fetched.",
        "Correct the image's name or tag, or add spec.template.imagePullSecrets.",
    )
    CONTAINER_CRASHES = (
        "ContainerCrashes",
        "A container keeps ending.",
        "kubectl logs POD -c CONTAINER --previous shows why.",
    )
    POD_NOT_STARTED = (
        "PodNotStarted",
        "A pod could not be scheduled or its containers not be created.",
        "The message says what is missing; kubectl describe pod has the rest.",
    )

    # The runtime in the crew's image
    COMPATIBLE = (
        "Compatible",
        "Every replica's worker runs in the crew's interpreter and knows its CrewAI.",
        "Nothing to do.",
    )
    NOT_REPORTED = (
        "NotReported",
        "No replica has reported yet which CrewAI it runs.",
        "Wait; if it stays, CrewAvailable says why.",
    )
    NO_PYTHON = (
        "NoPython",
        "The crew's image has no Python in the places that are searched.",
        "Install Python 3.11 to 3.13 with crewai in the image, or name the interpreter by spec.crew.runtime.python.",
    )
    CREWAI_MISSING = (
        "CrewAIMissing",
        "No interpreter of the crew's image has crewai.",
        "Install crewai in the image, or name the interpreter that has it by spec.crew.runtime.python.",
    )
    CREWAI_TOO_OLD = (
        "CrewAITooOld",
        "The image's crewai lacks the places where its state can be moved.",
        "Raise crewai in the image to the version that the message names.",
    )
    CREWAI_UNSUPPORTED = (
        ReplicaReason.CREWAI_UNSUPPORTED.value,
        "The image's crewai was imported, and lacks a place where its state can be moved.",
        "Install the version of crewai that the message names.",
    )
    CREWAI_BROKEN = (
        ReplicaReason.CREWAI_BROKEN.value,
        "Importing crewai failed in the crew's own interpreter.",
        "The message has the traceback: most often a dependency of crewai is missing or has another version.",
    )
    PYTHON_UNSUPPORTED = (
        "PythonUnsupported",
        "crewai lies in a Python that the runtime does not know.",
        "Build the image on Python 3.11, 3.12 or 3.13.",
    )
    INTERPRETER_UNUSABLE = (
        "InterpreterUnusable",
        "An interpreter is not there, or the container's user may not run it.",
        "Correct spec.crew.runtime.python, or set spec.template.securityContext.runAsUser to the user it belongs to.",
    )
    INTERPRETER_BROKEN = (
        "InterpreterBroken",
        "An interpreter of the image cannot be started: a library is missing, or it is of another architecture.",
        "Run it in the image by hand: docker run --rm --entrypoint INTERPRETER IMAGE --version.",
    )
    HOME_NOT_WRITABLE = (
        ReplicaReason.HOME_NOT_WRITABLE.value,
        "CrewAI writes below HOME on import, and it cannot be written.",
        "Leave HOME out of spec.crew.env, or set it to a volume that the container's user may write.",
    )
    WORKER_NEVER_CONNECTED = (
        ReplicaReason.WORKER_NEVER_CONNECTED.value,
        "The crew's container runs, but not the runtime: the image's entrypoint did not start what it was given.",
        'End the entrypoint in exec "$@", or set spec.crew.runtime.imageEntrypoint to Replace.',
    )
    IMAGE_RUNS_AS_ROOT = (
        "ImageRunsAsRoot",
        "The image would run as root, which the crew's pods do not allow.",
        "Put USER with a numeric id into the Dockerfile, or set spec.template.securityContext.runAsUser.",
    )

    # Rollout
    ROLLING_OUT = ("RollingOut", "Replicas of the newest spec are being started.", "Wait.")
    ROLLOUT_COMPLETE = ("RolloutComplete", "Every replica runs the newest spec.", "Nothing to do.")
    ROLLOUT_STUCK = (
        "RolloutStuck",
        "The rollout made no progress for ten minutes; the replicas of the old spec keep serving.",
        "kubectl describe the newest pods, or put the old spec back.",
    )

    # Redis
    ANSWERS = (
        "Answers",
        "PING and a write answered, from the operator and from every ready replica.",
        "Nothing to do.",
    )
    REDIS_POD_MISSING = (
        "RedisPodMissing",
        "The pod of Redis does not exist or has no address yet.",
        "If it stays, kubectl describe the StatefulSet and its claim: storage is the usual cause.",
    )
    REDIS_UNREACHABLE = (
        "RedisUnreachable",
        "No connection to Redis: refused, no route, or its name does not resolve.",
        "Managed: its pod restarts by itself. External: check the URL and the network policy.",
    )
    REDIS_WEDGED = (
        "RedisWedged",
        "Redis accepts connections but answers no PING within the deadline: stalled, stopped, or starved of CPU.",
        "Managed: its pod is replaced after 20 s. External: ask who runs it.",
    )
    REDIS_RESTARTED = (
        "RedisRestarted",
        "Redis ended and was started again, or failed over; not every replica has used the new server yet.",
        "Wait a few seconds. If it comes back often, kubectl logs the pod of Redis with --previous.",
    )
    REDIS_POD_REPLACED = (
        "RedisPodReplaced",
        "An Event: Redis took connections but gave no answer for 20 s; its pod was deleted and is created again.",
        "Nothing to do. If it comes back, give Redis more CPU, or look for a command that takes seconds (SLOWLOG GET).",
    )
    REDIS_APART = (
        "RedisApart",
        "Several servers answer at Redis' address, and they do not hold the same data.",
        "Point the URL at one primary, or at a load balancer whose servers share one data set.",
    )
    REDIS_LOADING = ("RedisLoading", "Redis reads its data back into memory.", "Wait; about 2 s for 100,000 records.")
    REDIS_AUTH_FAILED = (
        "RedisAuthFailed",
        "Redis refused the password.",
        "Managed: wait two minutes: a new password in its Secret reaches both by itself. External: correct the Secret.",
    )
    REDIS_READ_ONLY = (
        "RedisReadOnly",
        "The server is a replica, or has too few good replicas to take writes.",
        "Managed: wait some seconds: another member has just become primary. External: point the URL at the primary.",
    )
    REDIS_OUT_OF_MEMORY = (
        "RedisOutOfMemory",
        "Redis is at maxmemory and evicts nothing: no memory is lost silently. A restart would free nothing.",
        "Raise spec.redis.managed.resources.limits.memory, or forget records.",
    )
    REDIS_NEARLY_FULL = (
        "RedisNearlyFull",
        "Redis uses more than 85 % of its maxmemory. When it is full, nothing is evicted: no memory is saved any more.",
        "Raise spec.redis.managed.resources.limits.memory, or forget records; docs/sizing.md says what takes how much.",
    )
    REDIS_DISK_FULL = (
        "RedisDiskFull",
        "Redis cannot write its append-only file. A restart would free nothing.",
        "Grow spec.redis.managed.storage.size.",
    )
    REDIS_ERROR = (
        "RedisError",
        "Redis answered with an error, or what answers at its address is not Redis.",
        "The message says which.",
    )
    WRITES_NOT_ACKNOWLEDGED = (
        "WritesNotAcknowledged",
        "Redis takes writes, but not as far as spec.memory.durability asks: its disk or its replicas do not keep up.",
        "The message says which. Bring the replica or the disk back, or ask for less by spec.memory.durability.",
    )
    REDIS_NO_QUORUM = (
        "RedisNoQuorum",
        "Too few members of the replicated Redis answer to say who holds all that was acknowledged; none is guessed.",
        "Bring the members back that the message names: kubectl describe their pods. It goes on by itself with two.",
    )
    REDIS_NOT_REPLICATED = (
        "RedisNotReplicated",
        "The primary of Redis has no replica that holds what it holds, so no write can be acknowledged.",
        "Wait while they copy; if it stays, kubectl describe the pods that the message names.",
    )
    REDIS_MEMBER_MISSING = (
        "RedisMemberMissing",
        "A member of the replicated Redis is away. The other two serve and lose nothing; one more, and writes stop.",
        "Wait while it comes back or copies; if it stays, kubectl describe the pod that the message names.",
    )
    REDIS_FAILED_OVER = (
        "RedisFailedOver",
        "An Event: another member is the primary of Redis, or one that was left behind was put right.",
        "Nothing to do; the message says why. Look for the reason if it comes back.",
    )
    REDIS_HANDED_OVER = (
        "RedisHandedOver",
        "An Event: the primary of Redis handed its part over as planned, before its pod was replaced.",
        "Nothing to do.",
    )
    REDIS_PASSWORD_CHANGED = (
        "RedisPasswordChanged",
        "An Event: there is a new password for the crew's Redis, which takes the old one until all replicas use that.",
        "Nothing to do; RedisPasswordRotated follows. If it does not, crewctl doctor says which replica is not well.",
    )
    REDIS_PASSWORD_ROTATED = (
        "RedisPasswordRotated",
        "An Event: all replicas use the new password, and Redis takes the old one no more.",
        "Nothing to do.",
    )
    DRIFT_CORRECTED = (
        "DriftCorrected",
        "An Event: somebody changed or deleted an object that the operator made, and it is as the spec says again.",
        "Change the CrewDeployment instead. If it comes back, look for who does it, such as an autoscaler.",
    )
    REPLICA_LOST_REDIS = (
        "ReplicaLostRedis",
        "Redis answers the operator, but not a replica.",
        "Check NetworkPolicies and DNS between the replica's node and Redis; the message is the replica's own.",
    )
    REPLICA_SILENT = (
        "ReplicaSilent",
        "A ready replica did not give its report.",
        "Check that the operator may reach port 8081 of the crew's pods.",
    )

    # Durable memory
    DURABLE = (
        "Durable",
        "Redis has all that was last seen in it, evicts nothing, and writes what it is given to its disk.",
        "Nothing to do.",
    )
    MEMORY_LOST = (
        "MemoryLost",
        "Redis lacks what it had: an emptied volume, an older backup, flushed keys, or another Redis at its address.",
        "Restore a backup, or accept the loss by the annotation that the message ends with; docs/day-two.md.",
    )
    REDIS_EVICTS = (
        "RedisEvicts",
        "Redis evicts keys when it is full: memories would be lost silently.",
        "Set maxmemory-policy noeviction on it.",
    )
    REDIS_NOT_PERSISTENT = (
        "RedisNotPersistent",
        "Redis keeps no append-only file: what was written since its last snapshot is lost with its process.",
        "Set appendonly yes on it, unless it is kept in another way that you trust.",
    )
    REDIS_PERSISTENCE_FAILING = (
        "RedisPersistenceFailing",
        "Redis could not write its append-only file the last time it tried to.",
        "Its log says why; most often the volume is full: grow spec.redis.managed.storage.size.",
    )
    REDIS_DISK_NEARLY_FULL = (
        "RedisDiskNearlyFull",
        "Rewriting its append-only file takes up to three times its size, which the volume of Redis may not have.",
        "Grow spec.redis.managed.storage.size, or forget records.",
    )
    PERSISTENCE_NOT_REPORTED = (
        "PersistenceNotReported",
        "Redis did not say whether and how it writes to its disk; its user may not ask INFO.",
        "Nothing, when you know that it does; else let its user ask INFO.",
    )

    # Shared memory
    PROVEN = ("Proven", "What one replica wrote, every other one read.", "Nothing to do.")
    PROOF_PENDING = (
        "ProofPending",
        "The ready replicas or Redis changed since the last proof; the next one runs within seconds.",
        "Wait.",
    )
    PROOF_FAILED = (
        "ProofFailed",
        "A nonce written through one replica could not be read through another, or the write failed.",
        "The message names the replicas; compare their reports on port 8081, /report.",
    )
    LOCAL_FALLBACK = (
        "LocalFallback",
        "A replica keeps memory or other state of CrewAI on its own disk, where no other sees it.",
        "The message names the kind of state; docs/state.md says more. Give the crew no storage of its own.",
    )
    NO_REPLICAS = ("NoReplicas", "No replica is ready, so nothing could be written through one.", "See CrewAvailable.")
    MEMORY_NOT_READY = (
        "MemoryNotReady",
        "Whether memory is shared cannot be checked while it is not ready.",
        "See MemoryReady.",
    )

    # Durable history
    HISTORY_WRITTEN = (
        "HistoryWritten",
        "What has ended is in Postgres, but for the last minute.",
        "Nothing to do.",
    )
    HISTORY_NOT_WRITTEN = (
        "HistoryNotWritten",
        "Postgres does not take the durable history, or Redis does not give it. Kickoffs go on; what is new waits.",
        "Correct what the message names, in Postgres or spec.history.postgres; what waits is then written by itself.",
    )
    HISTORY_BEHIND = (
        "HistoryBehind",
        "Something waits for more than a minute to be written to Postgres, which takes the rest.",
        "Wait; if it stays, Postgres is too slow for as many kickoffs: see crewops_history_lag_seconds.",
    )
    HISTORY_LOST = (
        "HistoryLost",
        "More waited for Postgres than spec.history.postgres.maxBytes: some of it was not kept, within the last day.",
        "Bring Postgres back, and raise spec.history.postgres.maxBytes to what the longest outage needs.",
    )

    ALL_GOOD = (
        "AllGood",
        "The newest spec runs, serves, and shares its memory.",
        "Nothing to do.",
    )

    @property
    def word(self) -> str:
        """As it stands in the status."""
        return self.value[0]

    @property
    def cause(self) -> str:
        """What has happened, in a sentence."""
        return self.value[1]

    @property
    def remedy(self) -> str:
        """What to do, in a sentence."""
        return self.value[2]


BY_WORD = {reason.word: reason for reason in Reason}
