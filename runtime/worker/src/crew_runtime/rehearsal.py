"""One step of a rehearsal, in the crew's interpreter: `python -m crew_runtime.rehearsal write|read NONCE ANSWER`.

Loads the crew of CREWOPS_ENTRYPOINT or CREWOPS_DEFINITION as a replica would, with CrewAI's state on the backend of
CREWOPS_REDIS_URL (or, `--without-runtime`, where CrewAI puts it by itself), and writes a nonce to the crew's own stores
or looks for it. ANSWER is a file, because the user's code may print. No kickoff is run, and no tool is called.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import crew_runtime
from crew_runtime import redis_client
from crew_runtime.contract import env, rehearsal
from crew_runtime.contract.rehearsal import Answer
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
    options.answer.write_text(json.dumps(rehearsal.to_dict(answer), default=str))
    # Not by an orderly end: threads of the user's code might keep it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def put_placeholders(environ: MutableMapping[str, str]) -> None:
    """In place of API keys that are not there."""
    for name in KEYS:
        environ.setdefault(name, rehearsal.PLACEHOLDER)


def _rehearse(options: argparse.Namespace) -> Answer:
    """Raises StartError."""
    start.prepare()
    installed = None if options.without_runtime else start.install()
    load, stores = _crewai()
    try:
        loaded = load.load(os.environ.get(env.ENTRYPOINT, ""), os.environ.get(env.DEFINITION, ""))
    except load.EntrypointError as error:
        reason = "DefinitionBroken" if os.environ.get(env.DEFINITION) else "EntrypointBroken"
        raise StartError(reason, error.message, error.detail) from error
    act = stores.write if options.step == rehearsal.WRITE else stores.read
    try:
        found = stores.opened(loaded, options.embedder)
    except Exception as error:
        text = f"the crew was loaded, but cannot be made ready for a kickoff: {error!r}"
        raise StartError("EntrypointBroken", text, load.user_traceback(error)) from error
    return replace(
        _versions(),
        source=loaded.source,
        kind=loaded.kind,
        uses_memory=loaded.uses_memory,
        embedder=loaded.embedder,
        state=() if installed is None else installed.state(loaded.crew),
        stores=tuple(act(one, options.nonce, _in_session) for one in found),
    )


def _crewai() -> tuple[ModuleType, ModuleType]:
    """Imported only now: telemetry has to be off, and what is wrong with CrewAI has to be told."""
    try:
        from crew_runtime.crewai import load, stores
    except Exception as error:
        raise StartError("CrewAIBroken", f"importing CrewAI failed: {error!r}") from error
    return load, stores


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
