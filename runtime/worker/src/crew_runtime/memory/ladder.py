"""Which way of searching a server offers: its own index, else a copy in this process."""

from crew_runtime.memory.indexed import IndexedSearch
from crew_runtime.memory.plain import PlainSearch
from crew_runtime.memory.search import Search
from crew_runtime.memory.store import Store
from crew_runtime.redis_client import Client


def choose(store: Store, deadline: float) -> Search:
    """Ask the server once. Raises BackendError."""
    return IndexedSearch(store, deadline) if store.guard.call("probe", _has_index) else PlainSearch(store)


def _has_index(client: Client) -> bool:
    if int(client.get_connection_kwargs().get("db") or 0):
        return False  # the server keeps indexes for database 0 only
    # As one word: redis-py's parser for `COMMAND` fails on a command that is not there (8.1).
    return any(client.execute_command("COMMAND INFO", "FT.SEARCH"))
