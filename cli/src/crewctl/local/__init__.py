"""A Kubernetes cluster of local processes: no Docker, no root. A development tool, held to the real one by its tests."""
