"""The schema of a CrewDeployment's status, as data: the operator alone writes it, so nothing parses it."""

from typing import Any, Final


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _time(description: str) -> dict[str, Any]:
    return {"type": "string", "format": "date-time", "description": description}


_CONDITION: Final = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": _text("Its name, such as Ready."),
        "status": {
            "type": "string",
            "enum": ["True", "False", "Unknown"],
            "description": "Unknown: could not look.",
        },
        "observedGeneration": _number("The generation that the condition speaks of."),
        "lastTransitionTime": _time("When the status last changed."),
        "reason": _text("One word; docs/conditions.md has the cause and the remedy of each."),
        "message": _text("What is wrong, why, and what to do."),
    },
}

_PROOF: Final = {
    "type": "object",
    "description": "The last proof that memory is shared.",
    "properties": {
        "time": _time("When it was made."),
        "latency": _text("From the write through one replica to the last read through another, such as 12ms."),
        "replicas": _number("Replicas that took part."),
        "subject": _text("Digest of the pods and the Redis process that it speaks of; others are to be proven anew."),
    },
}

STATUS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What the operator last saw; never more than was proven.",
    "properties": {
        "observedGeneration": _number("The generation of the spec that was last acted on."),
        "replicas": _number("Replicas that exist."),
        "readyReplicas": _number("Replicas that serve."),
        "updatedReplicas": _number("Replicas of the newest spec."),
        "selector": _text("Labels of the replicas' pods, for autoscalers."),
        "endpoint": _text("URL of the crew's HTTP API inside the cluster."),
        "memory": {
            "type": "object",
            "description": "The store of the crew's memories.",
            "properties": {
                "backend": _text("Redis."),
                "endpoint": _text("Its address, without credentials."),
                "searchMode": _text("How memories are searched: index (FT.*) or plain."),
                "dimension": _number("Length of the vectors that it holds."),
                "vectorType": _text("How it keeps them: Float32 or Float16."),
                "redisRunID": _text("The server process that the conditions speak of; a new one is to be proven anew."),
                "lastProof": _PROOF,
            },
        },
        "crew": {
            "type": "object",
            "description": "What the replicas report of themselves.",
            "properties": {
                "crewaiVersion": _text("Version of CrewAI."),
                "runtimeVersion": _text("Version of the CrewOps runtime."),
            },
        },
        "conditions": {
            "type": "array",
            "description": "What holds and what does not.",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    },
}
