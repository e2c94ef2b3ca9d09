"""The user's command, and the local cluster."""

__version__ = "0.1.0"
