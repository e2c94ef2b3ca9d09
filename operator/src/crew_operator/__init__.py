"""The Kopf operator that runs CrewDeployments."""

__version__ = "0.1.0"
