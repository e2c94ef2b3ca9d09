"""Which way of searching a server offers: its own index, else a copy in this process."""

import redis

from crew_runtime.memory.indexed import IndexedSearch
from crew_runtime.memory.plain import PlainSearch
from crew_runtime.memory.search import Search
from crew_runtime.memory.store import Store
from crew_runtime.redis_client import Client


def choose(store: Store, deadline: float) -> Search:
    """Ask the server once. Raises BackendError."""
    offered = store.guard.call("probe", _offers_search)
    return IndexedSearch(store, deadline) if offered else PlainSearch(store)


def _offers_search(client: Client) -> bool:
    try:
        client.execute_command("FT._LIST")
    except redis.exceptions.ResponseError as error:
        if "unknown command" not in str(error).lower():
            raise
        return False
    return True
