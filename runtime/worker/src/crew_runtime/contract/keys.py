"""Where things lie in Redis. Every key of a crew begins with `cs:{<prefix>}:`; the braces keep them in one slot."""


def root(prefix: str) -> str:
    """The start of every key of the crew whose key prefix is `prefix` (`namespace/name` by default)."""
    return f"cs:{{{prefix}}}:"


def health(prefix: str, who: str) -> str:
    """STRING, the last health write of `who` (`operator` or `server:<replica>`); expires by itself."""
    return f"{root(prefix)}health:{who}"


def meta(prefix: str) -> str:
    """HASH `schema`, `dimension`, `embedder`: what the memory store holds; written once by the first who knows."""
    return f"{root(prefix)}meta"


def memory(prefix: str, record_id: str) -> str:
    """HASH, one memory record."""
    return f"{root(prefix)}m:{record_id}"


def memory_log(prefix: str) -> str:
    """STREAM of changes to memory records."""
    return f"{root(prefix)}log"


def run(prefix: str, kickoff_id: str) -> str:
    """HASH, one kickoff: status, inputs, result, owner, lease."""
    return f"{root(prefix)}run:{kickoff_id}"


def flow(prefix: str, flow_id: str) -> str:
    """HASH, the persisted state of one flow."""
    return f"{root(prefix)}f:{flow_id}"


def task_outputs(prefix: str, session_id: str | None) -> str:
    """HASH, the outputs of the last kickoff's tasks, in a session or outside any."""
    whose = "c" if session_id is None else f"s:{session_id}"
    return f"{root(prefix)}to:{whose}"


def lock(prefix: str, name: str) -> str:
    """STRING, the holder's token; expires with its lease."""
    return f"{root(prefix)}lock:{name}"
