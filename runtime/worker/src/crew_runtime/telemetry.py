"""CrewAI, and what it brings, call nobody unless the user wants it."""

from collections.abc import MutableMapping

OFF = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "OTEL_SDK_DISABLED": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Else `import crewai` starts threads and calls home, which costs 5.2 s on a closed network (crewai 1.15.30)."""


def turn_off(environ: MutableMapping[str, str]) -> None:
    """Unless the user's own environment says otherwise. To be done before CrewAI is imported."""
    for name, value in OFF.items():
        environ.setdefault(name, value)
