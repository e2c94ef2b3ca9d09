"""Where things lie in Redis. Every key of a crew begins with `cs:{<prefix>}:`; the braces keep them in one slot."""

from urllib.parse import quote

TERM = "crewops:term"
"""STRING, the term of the primary that the data of a replicated Redis come from. Out of every crew's reach."""


def root(prefix: str) -> str:
    """The start of every key of the crew whose key prefix is `prefix` (`namespace/name` by default)."""
    return f"cs:{{{prefix}}}:"


def beginning(start: str) -> str:
    """The pattern of all keys that begin so, for SCAN and for ACL rules."""
    return "".join(f"\\{one}" if one in "*?[]\\" else one for one in start) + "*"


def health(prefix: str, who: str) -> str:
    """STRING, the last health write of `who` (`operator` or `server:<replica>`); expires by itself."""
    return f"{root(prefix)}health:{who}"


def canary(prefix: str) -> str:
    """STRING `<name of the data> <number> <Unix time>`: the operator's, by which it knows that nothing was lost."""
    return f"{root(prefix)}canary"


def acknowledged(prefix: str) -> str:
    """STRING, written behind each write that is waited for (`contract.durability`); expires in a day."""
    return f"{root(prefix)}acknowledged"


def position(prefix: str) -> str:
    """STRING, a number that grows with each acknowledged write: it tells which member of a replicated Redis has all of
    them."""
    return f"{root(prefix)}position"


def meta(prefix: str) -> str:
    """HASH `schema`, `dimension`, `vector` (`FLOAT32`, `FLOAT16`), `embedder`: what the memory store holds; written
    once by the first who knows. `session_ttl`, `session_ttl_since` (ms): when its sessions end."""
    return f"{root(prefix)}meta"


def memory(prefix: str, record_id: str) -> str:
    """HASH, one memory record."""
    return f"{root(prefix)}m:{record_id}"


def memory_log(prefix: str) -> str:
    """STREAM of changes to memory records."""
    return f"{root(prefix)}log"


def run(prefix: str, kickoff_id: str) -> str:
    """HASH, one kickoff: status, inputs, result, attempt, owner."""
    return f"{root(prefix)}run:{kickoff_id}"


def finished(prefix: str, kickoff_id: str) -> str:
    """LIST, what a kickoff that has not ended has finished (JSON), in order, for an attempt after a loss; goes with its
    end, and expires."""
    return f"{root(prefix)}done:{kickoff_id}"


def queue(prefix: str) -> str:
    """STREAM, the kickoffs that may start, in the order in which they became so; a claim takes the entry out."""
    return f"{root(prefix)}queue"


def handed_back(prefix: str) -> str:
    """STREAM, kickoffs that had started and may start again; they go before those in `queue`."""
    return f"{root(prefix)}queue:handed-back"


def leases(prefix: str) -> str:
    """ZSET, the kickoffs that a server has in a slot, by the end of its lease (Redis' time, ms)."""
    return f"{root(prefix)}leases"


def waiting(prefix: str) -> str:
    """ZSET, the kickoffs that no server has, by the time since when they wait (Redis' time, ms)."""
    return f"{root(prefix)}waiting"


def pending(prefix: str) -> str:
    """ZSET, the kickoffs that wait for a person, by the time at which they are given up (Redis' time, ms)."""
    return f"{root(prefix)}pending"


def kickoff_bytes(prefix: str) -> str:
    """HASH, what each kickoff that is kept counts for, in bytes, by its id."""
    return f"{root(prefix)}kickoffs:bytes"


def kickoff_total(prefix: str) -> str:
    """STRING, the sum of them."""
    return f"{root(prefix)}kickoffs:total"


def kickoff_expiries(prefix: str) -> str:
    """ZSET, the kickoffs that have ended, by when they expire (Redis' time, ms)."""
    return f"{root(prefix)}kickoffs:ends"


def kickoff_inputs(prefix: str) -> str:
    """ZSET, the kickoffs that have ended, by when their inputs go (Redis' time, ms)."""
    return f"{root(prefix)}kickoffs:inputs"


def ends(prefix: str) -> str:
    """STREAM, the last ends of kickoffs, and their questions to people: `id`, `status`; expires in an hour."""
    return f"{root(prefix)}ends"


def events(prefix: str, kickoff_id: str) -> str:
    """STREAM, what a kickoff told of itself: `type`, `attempt`, `data` (JSON); the last is `end`. Expires with it."""
    return f"{root(prefix)}ev:{kickoff_id}"


def hooks(prefix: str) -> str:
    """ZSET, webhooks `<kickoff>:<channel>` with deliveries, by when to try next or a deliverer's lease ends (ms)."""
    return f"{root(prefix)}hooks"


def hook(prefix: str, kickoff_id: str, channel: str) -> str:
    """LIST, what is still to be delivered to one webhook of a kickoff, in order: `id type attempt data`."""
    return f"{root(prefix)}hook:{kickoff_id}:{channel}"


def history(prefix: str) -> str:
    """STREAM, what is still to be written to the durable history in Postgres: `kind`, and the fields of each kind."""
    return f"{root(prefix)}history"


def history_bytes(prefix: str) -> str:
    """STRING, the bytes that they count for."""
    return f"{root(prefix)}history:bytes"


def history_lost(prefix: str) -> str:
    """HASH `count`, `at` (Redis' time, ms): what was not kept for the durable history because too much waited."""
    return f"{root(prefix)}history:lost"


def history_shipper(prefix: str) -> str:
    """STRING, the server that writes to the durable history now; expires with its lease."""
    return f"{root(prefix)}history:shipper"


def dead_letters(prefix: str) -> str:
    """STREAM, what lay in the queue or for a webhook and could not be read: `kind`, `name`, `raw`, `why`; the last
    1,000, which expire together a week after the last."""
    return f"{root(prefix)}dead"


def line(prefix: str, session_id: str) -> str:
    """LIST, the kickoffs of a session in order of their arrival; only the head runs or may start."""
    return f"{root(prefix)}line:{session_id}"


def session_kickoffs(prefix: str, session_id: str) -> str:
    """ZSET, the kickoffs of a session by their acceptance (ms), some of which have expired. Expires with the last."""
    return f"{root(prefix)}runs:{session_id}"


def idempotency(prefix: str, digest: str) -> str:
    """HASH `id`, `body`: the kickoff that an idempotency key (by its SHA-256) stands for; expires."""
    return f"{root(prefix)}idem:{digest}"


def claim(prefix: str, owner: str) -> str:
    """HASH `token`, `id`: what a server's last claim got, so that asking twice gives the same; expires."""
    return f"{root(prefix)}claim:{owner}"


def flow(prefix: str, flow_id: str) -> str:
    """HASH, the persisted state of one flow."""
    return f"{root(prefix)}f:{flow_id}"


def task_outputs(prefix: str, session_id: str | None) -> str:
    """HASH, the outputs of the last kickoff's tasks, in a session or outside any."""
    return f"{root(prefix)}to:{_whose(session_id)}"


def checkpoint(prefix: str, session_id: str | None, path: str) -> str:
    """STRING, a checkpoint by the path that CrewAI gave it, in a session or outside any; expires."""
    return f"{root(prefix)}cp:{_whose(session_id)}:{path}"


def checkpoint_branch(prefix: str, session_id: str | None, folder: str) -> str:
    """ZSET, the paths of the checkpoints of one branch by the time of writing (seconds)."""
    return f"{root(prefix)}cps:{_whose(session_id)}:{folder}"


def knowledge(prefix: str, dimension: int) -> str:
    """The start of the keys of chunks whose vectors have this length; behind it they are called as memories are."""
    return f"{root(prefix)}k:{dimension}:"


def knowledge_dimensions(prefix: str) -> str:
    """SET, the lengths of the vectors of all chunks."""
    return f"{root(prefix)}k:dimensions"


def messages_root(prefix: str) -> str:
    """What the keys of all sessions' messages begin with; the `key_prefix` of LangChain's `RedisChatMessageHistory`."""
    return f"{root(prefix)}message_store:"


def messages(prefix: str, session_id: str) -> str:
    """LIST, the messages of a session, the newest first (`contract.messages`). LangChain's class appends the session's
    id as it is; nothing stands behind it, so no session's key is part of another's."""
    return f"{messages_root(prefix)}{session_id}"


def lock(prefix: str, name: str) -> str:
    """STRING, the holder's token; expires with its lease."""
    return f"{root(prefix)}lock:{name}"


def released(prefix: str, token: str) -> str:
    """STRING, by which a release that is tried again finds itself done; expires when none is any more."""
    return lock(prefix, f"released:{token}")


def memory_ids(prefix: str) -> str:
    """ZSET, the ids of all memory records by the time of their creation."""
    return f"{root(prefix)}ids"


def revision(prefix: str) -> str:
    """STRING, counts the changes to memory records without gaps."""
    return f"{root(prefix)}rev"


def mortal(prefix: str) -> str:
    """ZSET, the ids of memory records that an older version let expire by themselves, by their end (ms)."""
    return f"{root(prefix)}mortal"


def sessions(prefix: str) -> str:
    """ZSET, the sessions that used their memory, by segment (`contract.sessions`) and first use (Redis' time, ms)."""
    return f"{root(prefix)}sessions"


def session(prefix: str, segment: str) -> str:
    """HASH `first`, `last` (Redis' time, ms): the uses of a session's memory. It ends when it was not used for
    `session_ttl` ms of `meta`, counted from `session_ttl_since` at the earliest."""
    return f"{root(prefix)}session:{segment}"


def idle(prefix: str) -> str:
    """ZSET, the sessions by their last use (ms); those that an older version used are added in time."""
    return f"{root(prefix)}idle"


def session_records(prefix: str, segment: str) -> str:
    """SET, the ids of a session's memory records."""
    return f"{root(prefix)}s:{segment}"


def twin(prefix: str, digest: str) -> str:
    """STRING, the id of the record that says what has this digest; expires in half a minute. `write.lua` makes it."""
    return f"{root(prefix)}twin:{digest}"


def session_erased(prefix: str, segment: str) -> str:
    """STRING, changes when a session is erased: a write of work that began before is refused. Expires in a day."""
    return f"{root(prefix)}erased:{segment}"


def rehearsal_prefix(prefix: str, nonce: str) -> str:
    """The key prefix of one rehearsal: its keys begin with those of the crew and lie in the same slot. Erased."""
    return f"{prefix}}}:rehearsal:{{{nonce}"


def rehearsals(prefix: str) -> str:
    """ZSET, the nonces of rehearsals that are not erased yet, by their start (seconds)."""
    return f"{root(prefix)}rehearsals"


def _whose(session_id: str | None) -> str:
    """Of the whole crew, or of a session; quoted, so that no session's keys begin as another's do."""
    return "c" if session_id is None else f"s:{quote(session_id, safe='', errors='surrogatepass')}"
