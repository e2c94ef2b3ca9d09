"""The half of a replica that never runs user code: HTTP, kickoffs, probes, metrics, report."""

__version__ = "0.1.0"
