"""A Kubernetes of local processes, without Docker or root: a development tool, held to the real one by tests.

What it is and what it is not: README.md of this distribution.
"""
