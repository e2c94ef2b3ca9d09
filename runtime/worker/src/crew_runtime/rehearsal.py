"""One step of a rehearsal, in the crew's interpreter: `python -m crew_runtime.rehearsal write|read NONCE ANSWER`.

Loads the crew of CREWOPS_ENTRYPOINT or CREWOPS_DEFINITION as a replica would, with CrewAI's state on the backend of
CREWOPS_REDIS_URL (or, `--without-runtime`, where CrewAI puts it by itself), and writes a nonce to the crew's own stores
or looks for it. The step that writes rehearses a kickoff first (`crewai.rehearsing`): no LLM is asked, and no tool or
callback is called. ANSWER is a file, because the user's code may print.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import crew_runtime
from crew_runtime import redis_client
from crew_runtime.contract import env, rehearsal
from crew_runtime.contract.rehearsal import Answer
from crew_runtime.contract.replica_reasons import ReplicaReason
from crew_runtime.errors import UnsupportedCrewAIError
from crew_runtime.sessions import binding
from crew_runtime.worker import start
from crew_runtime.worker.errors import StartError

KEYS = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "AZURE_API_KEY", "GROQ_API_KEY",
    "MISTRAL_API_KEY", "COHERE_API_KEY", "VOYAGEAI_API_KEY", "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY",
    "HUGGINGFACE_API_KEY", "JINA_API_KEY", "WATSONX_APIKEY", "SERPER_API_KEY",
)  # fmt: skip
"""What crews read when they are built (CrewAI 1.15's providers, and the search tool of its templates)."""


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 whenever there is an answer, also one that says why there is no crew."""
    parser = argparse.ArgumentParser("crew_runtime.rehearsal")
    parser.add_argument("step", choices=rehearsal.STEPS)
    parser.add_argument("nonce")
    parser.add_argument("answer", type=Path)
    parser.add_argument("--without-runtime", action="store_true")
    parser.add_argument("--embedder", choices=rehearsal.EMBEDDERS, default=rehearsal.AUTO)
    parser.add_argument("--placeholder-keys", action="store_true")
    options = parser.parse_args(arguments)
    if options.placeholder_keys:
        put_placeholders(os.environ)
    try:
        answer = _rehearse(options)
    except StartError as error:
        answer = replace(_versions(), reason=error.reason, message=str(error), detail=error.detail)
    _leave(options, answer)
    return 0


def put_placeholders(environ: MutableMapping[str, str]) -> None:
    """In place of API keys that are not there."""
    for name in KEYS:
        environ.setdefault(name, rehearsal.PLACEHOLDER)


def _rehearse(options: argparse.Namespace) -> Answer:
    """Raises StartError."""
    start.prepare()
    installed = None if options.without_runtime else start.install()
    load, stores, stage, embedders = _crewai()
    # Before the user's code: knowledge is embedded when a crew is made.
    embedders.install(stores.stands_in(options.embedder))
    try:
        loaded = load.load(os.environ.get(env.ENTRYPOINT, ""), os.environ.get(env.DEFINITION, ""))
        made = loaded.make()
    except load.EntrypointError as error:
        reason = ReplicaReason.DEFINITION_BROKEN if os.environ.get(env.DEFINITION) else ReplicaReason.ENTRYPOINT_BROKEN
        raise StartError(reason, error.message, error.detail) from error
    facts = load.describe(made)
    state = () if installed is None else installed.state(made.target)
    note, left_out = "", ()
    if options.step == rehearsal.WRITE:
        own = options.embedder == rehearsal.OWN
        found = stage.rehearse(loaded, made, keep=True, stand_in=False, network=own, overdue=_overdue(options))
        if found.error and installed is not None:
            raise StartError(ReplicaReason.KICKOFF_BROKEN, found.error, found.detail)
        note, left_out = found.note, found.left_out
    else:
        stage.llms.install()  # a conversation asks its LLM
    act = stores.write if options.step == rehearsal.WRITE else stores.read
    is_open = options.embedder == rehearsal.OWN
    gate = nullcontext() if is_open else stage.network_gate.closed(os.environ.get(env.REDIS_URL, ""))
    try:
        opened = [*stores.opened(made, options.embedder), *stores.exercised(loaded, made)]
    except Exception as error:
        text = f"the crew was loaded, but cannot be made ready for a kickoff: {error!r}"
        raise StartError(ReplicaReason.ENTRYPOINT_BROKEN, text, load.user_traceback(error)) from error
    with gate:
        exercised = tuple(act(one, options.nonce, _in_session) for one in opened)
    return replace(
        _versions(),
        source=loaded.source,
        kind=facts.kind,
        uses_memory=facts.uses_memory,
        embedder=facts.embedder,
        note=note,
        left_out=left_out,
        state=state,
        stores=exercised,
    )


def _overdue(options: argparse.Namespace) -> Callable[[Any], None]:
    """What ends this process when the kickoff does not."""

    def end(found: Any) -> None:
        _leave(options, replace(_versions(), reason=ReplicaReason.KICKOFF_BROKEN, message=found.note))

    return end


def _leave(options: argparse.Namespace, answer: Answer) -> None:
    """Not by an orderly end: threads of the user's code might keep the process."""
    options.answer.write_text(json.dumps(rehearsal.to_dict(answer), default=str))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _crewai() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType]:
    """Imported only now: telemetry has to be off, and what is wrong with CrewAI has to be told."""
    try:
        from crew_runtime.crewai.loading import load
        from crew_runtime.crewai.proofs import stores
        from crew_runtime.crewai.rehearsing import embedders, stage
    except Exception as error:
        raise StartError(ReplicaReason.CREWAI_BROKEN, f"importing CrewAI failed: {error!r}") from error
    return load, stores, stage, embedders


def _in_session(session: str) -> AbstractContextManager[None]:
    return binding.bind(session, whole_process=True)


def _versions() -> Answer:
    """An answer that says no more than in what it was found."""
    from crew_runtime.crewai import versions

    try:
        crewai = versions.installed()
    except UnsupportedCrewAIError:  # the answer says so anyway
        crewai = ""
    return Answer(
        runtime_version=crew_runtime.__version__,
        crewai_version=crewai,
        redis_py_version=redis_client.LIBRARY_VERSION,
        python_version=platform.python_version(),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
