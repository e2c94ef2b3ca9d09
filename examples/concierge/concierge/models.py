"""Environment -> which LLM and which embedder the crew uses: OpenAI's (or a compatible one), else the offline ones."""

from collections.abc import Mapping
from typing import Any

from crewai import LLM
from crewai.llms.base_llm import BaseLLM

from concierge.minilm import MiniLM
from concierge.offline import OfflineLLM

KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE")


def online(env: Mapping[str, str]) -> bool:
    """Whether a key or the URL of an OpenAI-compatible API is set."""
    return any(env.get(key) for key in KEYS)


def llm(env: Mapping[str, str]) -> BaseLLM:
    """CONCIERGE_MODEL (default gpt-4.1-mini) over OpenAI's API, else the deterministic LLM of this example."""
    if not online(env):
        return OfflineLLM(model="concierge-offline")
    model = env.get("CONCIERGE_MODEL", "gpt-4.1-mini")
    # Servers that need no key exist, but the client refuses to start without one.
    llm: BaseLLM = LLM(model=model, provider="openai", api_key=env.get("OPENAI_API_KEY") or "none", base_url=_url(env))
    return llm


def embedder(env: Mapping[str, str]) -> Any:
    """CrewAI's embedder settings. All that a store holds must come from one embedder: do not switch between them."""
    model = env.get("CONCIERGE_EMBEDDING_MODEL", "text-embedding-3-small" if online(env) else "minilm")
    if model == "minilm":
        return {"provider": "custom", "config": {"embedding_callable": MiniLM}}
    config = {"model_name": model, "api_key": env.get("OPENAI_API_KEY") or "none"}
    if url := _url(env):
        config["api_base"] = url
    return {"provider": "openai", "config": config}


def _url(env: Mapping[str, str]) -> str | None:
    return env.get("OPENAI_BASE_URL") or env.get("OPENAI_API_BASE") or None
