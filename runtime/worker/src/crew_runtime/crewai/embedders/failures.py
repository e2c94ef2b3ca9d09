"""What an embedder's failure means, by the words of the well-known services. Pure.

CrewAI passes a text on as it is, however long: a service then refuses this text and takes the next one. That is another
fault than a service that is down, and another remedy.
"""

import re

from crew_runtime.contract.replica_reasons import MemoryFailure

EMBEDDER = MemoryFailure.EMBEDDER
TEXT_TOO_LONG = MemoryFailure.TEXT_TOO_LONG

_TOO_LONG = re.compile(
    "|".join(
        (
            r"maximum (context|input|sequence) length",  # OpenAI, Azure, vLLM, watsonx
            r"(input|token sequence) length exceeds",  # Ollama, watsonx
            r"exceeds? (the |its )?(maximum )?(context|sequence) (length|window|size)",
            r"too many (input )?tokens",  # Cohere, Voyage, Bedrock Titan
            r"expected maxlength: \d+",  # Cohere on Bedrock
            r"must have less than \d+ tokens",  # text-embeddings-inference of Hugging Face
            r"input token count\b.*\b(exceeds|supports up to)",  # Google
            r"request payload size exceeds",  # Google
            r"input is too (large|long)",  # llama.cpp
            r"context_length_exceeded",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
_RATE = re.compile(r"rate.?limit|per (min|minute|day)\b|quota", re.IGNORECASE)
"""A limit of tokens in a time, which a shorter text would meet as well."""


def kind(error: str) -> str:
    """`TextTooLong` when the embedder refused this text for its length, else `Embedder`."""
    return TEXT_TOO_LONG if _TOO_LONG.search(error) and not _RATE.search(error) else EMBEDDER
