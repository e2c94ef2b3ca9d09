"""CrewAI, and what it brings, call nobody unless the user wants it. What the user's own code measures is not touched.

Each is a default: a value in the user's environment wins, whatever it is. `OTEL_SDK_DISABLED` is not among them: it is
a switch of the OpenTelemetry SDK, and would silence every tracer, meter and logger of the user's in the process.
"""

from collections.abc import Mapping, MutableMapping

PHONE_HOME: Mapping[str, str] = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""In their order: usage data to CrewAI, with a thread from the import on, and handlers of SIGTERM and SIGINT; a look at
PyPI when a verbose crew starts; onnxruntime's report to its maker, with threads and a database from its import on
(1.32). The first alone keeps CrewAI 1.14.7 to 1.15.30 from starting a thread and calling anybody, by default.
"""
UNATTENDED: Mapping[str, str] = {"CREWAI_TRACING_ENABLED": "false"}
"""Else CrewAI records the first execution in a new HOME, to ask at its terminal whether it may be uploaded: 5 s of the
first kickoff in each replica, and nobody to ask (1.15.30). `Crew(tracing=True)` is stronger than the variable.
"""


def turn_off(environ: MutableMapping[str, str]) -> None:
    """Nobody is called behind the user's back. To be done before CrewAI is imported."""
    _default(environ, PHONE_HOME)


def turn_off_unattended(environ: MutableMapping[str, str]) -> None:
    """The same for a process of ours, which has no terminal to ask anybody at."""
    _default(environ, {**PHONE_HOME, **UNATTENDED})


def _default(environ: MutableMapping[str, str], values: Mapping[str, str]) -> None:
    for name, value in values.items():
        environ.setdefault(name, value)
