"""Which failures of an embedder are about one text's length, and which about the service."""

from typing import Any

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import MemoryQueryFailedEvent

from crew_runtime.crewai.embedders import failures
from crew_runtime.crewai.state import unseen
from crew_runtime.guard import ledger


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens, however you requested 9000 tokens",
        "Invalid 'input': maximum input length is 8192 tokens.",
        "the input length exceeds the context length (status code: 400)",
        "input length exceeds maximum context length",
        "too many tokens: total number of tokens in the text exceeded",
        "ValidationException: Too many input tokens. Max input tokens: 8192, request input token count: 9000",
        "Malformed input request: expected maxLength: 2048, actual: 3000",
        "Input validation error: `inputs` must have less than 512 tokens. Given: 1000",
        "The input token count is 3000 but the model supports up to 2048",
        "400 Request payload size exceeds the limit: 36000 bytes.",
        "input is too large to process. increase the physical batch size",
    ],
)
def test_a_text_too_long_for_the_embedder_is_told_apart(said: str):
    assert failures.kind(said) == "TextTooLong"
    told: list[ledger.Failure] = []
    end = ledger.subscribe(told.append)
    try:
        unseen._handler("recall", ())(None, MemoryQueryFailedEvent(query="q", limit=1, error=said))
    finally:
        end()
    assert [(one.op, one.kind, one.error) for one in told] == [("recall", "TextTooLong", said)]


@pytest.mark.parametrize(
    "said",
    [
        "Connection error.",
        "The api_key client option must be set",
        "Rate limit reached for text-embedding-3-small on tokens per min (TPM): Limit 1000000",
        "429 too many tokens, please wait: rate limited",
        "You exceeded your current quota",
        "",
    ],
)
def test_a_service_that_is_down_or_refuses_is_not(said: str):
    assert failures.kind(said) == "Embedder"


def test_a_real_memory_tells_it(monkeypatch: pytest.MonkeyPatch):
    from crewai.memory.unified_memory import Memory

    from crew_runtime.crewai.kickoffs import canned

    def embed(texts: Any) -> Any:
        raise ValueError("the input length exceeds the context length")

    memory = Memory(storage=canned._Nowhere(), llm=canned._StubLLM(model="none"), embedder=embed)
    told: list[ledger.Failure] = []
    end = ledger.subscribe(told.append)
    try:
        with crewai_event_bus.scoped_handlers():
            for kind, op in unseen._EVENTS:
                crewai_event_bus.register_handler(kind, unseen._handler(op, ()))
            with pytest.raises(ValueError, match="context length"):
                memory.recall("a long text", depth="shallow")
            crewai_event_bus.flush(5)
    finally:
        end()
    assert {one.kind for one in told} == {"TextTooLong"}
