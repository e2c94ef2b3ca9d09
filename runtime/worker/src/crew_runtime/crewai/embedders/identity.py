"""An embedder as CrewAI was given it -> its name, and whether two names may be of one. Pure.

Two models of the same dimension give vectors that mean nothing to each other: every recall is wrong, and none fails.
"""

from collections.abc import Mapping
from typing import Any

_MODEL = ("model_name", "model", "model_id", "deployment_id")
"""How the providers' configurations and CrewAI's embedders call it (1.15.30)."""


def name(embedder: Any) -> str:
    """`provider/model` of CrewAI's settings; the name of the class or function that was given; `` for none."""
    if embedder is None:
        return ""
    if hasattr(embedder, "model_dump"):
        embedder = embedder.model_dump()
    if not isinstance(embedder, Mapping):
        made = embedder if hasattr(embedder, "__qualname__") else type(embedder)
        model = next((one for key in _MODEL if isinstance(one := getattr(embedder, key, None), str)), "")
        return f"{made.__qualname__}/{model}".rstrip("/")
    config = embedder.get("config") or {}
    model = next((str(config[key]) for key in _MODEL if config.get(key)), "")
    if own := config.get("embedding_callable"):
        model = getattr(own, "__name__", type(own).__name__)
    return f"{embedder.get('provider', '')}/{model}".rstrip("/")


def differ(one: str, other: str) -> bool:
    """Whether these cannot be the same; one whose model is not named may be any of its provider's."""
    provider, _, model = one.partition("/")
    others, _, others_model = other.partition("/")
    return provider != others or bool(model and others_model and model != others_model)


def mismatch(stored: str, used: str, meta_key: str) -> str:
    """What to say of memories that were made with another embedder than this crew uses; `` when they were not."""
    if not differ(stored, used):
        return ""
    return (
        f"the memories were made with the embedder {stored}, and this crew uses {used}: neither finds what the other "
        "stored. Use the embedder that they were made with, or another spec.memory.keyPrefix for a new store; if both "
        f"are the same under two names, run HDEL {meta_key} embedder in Redis"
    )
