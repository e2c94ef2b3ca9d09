"""The schema of a CrewDeployment's status, as data: the operator alone writes it, so nothing parses it."""

from typing import Any, Final

from crew_runtime.contract.resource import ACCEPT_LOSS_ANNOTATION


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
            "description": "Unknown: could not be checked.",
        },
        "observedGeneration": _number("The generation that the condition speaks of."),
        "lastTransitionTime": _time("When the status last changed."),
        "reason": _text("One word; docs/conditions.md has the cause and the remedy of each."),
        "message": _text("What is wrong, why, and what to do."),
    },
}

_PROOF: Final = {
    "type": "object",
    "description": "A proof that memory is shared: it is repeated every five minutes, and written when it says "
    "something new, and hourly. The metric crew_operator_last_proof_timestamp_seconds has the time of the last one.",
    "properties": {
        "time": _time("When it was made."),
        "latency": _text("From the write through one replica to the last read through another, such as 12ms."),
        "replicas": _number("Replicas that took part."),
        "subject": _text("Digest of the pods and the Redis process it covers; after a change it is made again."),
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
                "redis": _text("Managed or External, as the crew was begun with; it cannot change."),
                "keyPrefix": _text("Prefix of the crew's keys that it was begun with; it cannot change."),
                "storage": _text("The largest size of the managed Redis' volume that was asked for; it cannot shrink."),
                "endpoint": _text("Its address, without credentials."),
                "primary": _text("The member of the replicated Redis that takes writes."),
                "members": _text("How many of its members hold what is acknowledged, such as 3 of 3."),
                "searchMode": _text("How memories are searched: index (FT.*) or plain."),
                "dimension": _number("Length of the vectors that it holds."),
                "vectorType": _text("How it keeps them: Float32 or Float16."),
                "redisRunID": _text("The server process that the conditions speak of; a new one is checked again."),
                "lastProof": _PROOF,
                "canary": {
                    "type": "object",
                    "description": "The newest that Redis has to have of what the operator writes to it every five "
                    "minutes; written when something else changes, and hourly.",
                    "properties": {
                        "store": _text("Names the data; a store that starts empty gets another name."),
                        "number": _number("How many were written."),
                        "time": _time("When it was written."),
                    },
                },
                "loss": {
                    "type": "object",
                    "description": "What Redis had and has not any more. It stays until the memories are back, or "
                    f"somebody accepts the loss by the annotation {ACCEPT_LOSS_ANNOTATION}.",
                    "properties": {
                        "id": _text("The annotation's value."),
                        "time": _time("When it was seen."),
                        "message": _text("What is known of it."),
                    },
                },
            },
        },
        "api": {
            "type": "object",
            "description": "How the crew's HTTP API is protected.",
            "properties": {
                "auth": _text("Token or None: what spec.crew.api.auth says, or what holds without it."),
                "tokenFrom": {
                    "type": "object",
                    "description": "Where the token lies.",
                    "properties": {
                        "secretKeyRef": {
                            "type": "object",
                            "description": "The Secret and its key.",
                            "properties": {"name": _text("Name of the Secret."), "key": _text("Key in its data.")},
                        }
                    },
                },
                "asBefore": {
                    "type": "array",
                    "description": "Fields of spec.crew.api, auth or allowFrom, that are unset and mean what "
                    "was before they were known; setting one ends that for good.",
                    "items": {"type": "string"},
                },
            },
        },
        "crew": {
            "type": "object",
            "description": "What the replicas are made of, and what they report of themselves.",
            "properties": {
                "runtimeImage": _text("Image of the runtime that they were rolled out with; a new operator keeps it."),
                "template": _text("Digest of the pod template that they were rolled out with."),
                "crewaiVersion": _text("Version of CrewAI."),
                "runtimeVersion": _text("Version of the CrewOps runtime."),
            },
        },
        "credentials": {
            "type": "object",
            "description": "Digests of the versions of the Secrets that pods were made with; new ones roll the pods.",
            "properties": {
                "redis": _text("Of the managed Redis' password."),
                "crew": _text("Of the crew's password or URL of Redis, and of its API's token."),
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
