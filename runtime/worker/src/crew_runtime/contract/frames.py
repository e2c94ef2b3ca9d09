"""The messages between the server half and the worker half: 4 bytes big-endian length, then one JSON object.

The object's `t` is its type, one of the constants below; a receiver ignores types that it does not know. JSON and never
pickle: a slot runs the user's code and is not trusted.

The server listens on the Unix socket. The zygote connects and says `hello`; each child that it forks connects on its
own and says `hello` with the one-time token out of the `fork` that asked for it. When the zygote's connection ends, its
children are killed; when a slot's ends without a `result`, `paused` or `error`, the kickoff is lost.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

Frame = Mapping[str, Any]

# any worker process -> server
HELLO: Final = "hello"
"""role `zygote` | `slot` | `prober`, protocol, pid; children: token."""

# zygote -> server
PHASE: Final = "phase"
"""phase `importing` | `loading` | `ready` | `failed`; report (the worker's part); failed: reason, message."""
FORKED: Final = "forked"
"""token, pid."""
EXITED: Final = "exited"
"""pid, token, code (int or null), signal (name or null), maxrss (bytes), reason (`oom`: the watchdog's; or null)."""
PONG: Final = "pong"
"""n, of the ping."""
DRAINING: Final = "draining"
"""The worker's container got SIGTERM. It stays until `exit` or the grace period's end."""

# server -> zygote
FORK: Final = "fork"
"""token, role `slot` | `prober`."""
KILL: Final = "kill"
"""pid: SIGKILL to its process group and to every descendant that left the group."""
PING: Final = "ping"
"""n."""
EXIT: Final = "exit"
"""Kill the children and end; to a slot that has no kickoff: end, as after STORED."""

# server -> slot
RUN: Final = "run"
"""id, inputs, session, attempt, deadline (seconds left); at most one at a time. resume: null, or what goes on from a
`paused`: its `saved`, a person's feedback (str) and approved (bool). keep: whether the slot is to send `finished`.
finished: the rows of those that earlier attempts sent, in order."""
STORED: Final = "stored"
"""What the slot answered is in Redis, or is not wanted any more. A slot that is not used again ends now, as its
interpreter would: threads, `atexit`, streams. id; quick (bool): it was stopped, so threads are not waited for."""
TERM: Final = "term"
"""A courtesy before KILL: raise SIGTERM in the slot so that well-behaved `finally` blocks run."""

# slot -> server
READY: Final = "ready"
"""The child is warm and takes a `run` (or a `proof`)."""
BEAT: Final = "beat"
"""Every second from a thread: the interpreter lives; no sign of progress."""
EVENT: Final = "event"
"""seq, type (CrewAI's), task, agent, of the kickoff's progress; may be dropped, those of `KEPT` are not. dropped: how
many were. data: what `crewai.bus` tells of tasks that ended and of agents' steps."""
GUARD: Final = "guard"
"""op, kind, error: a call of the memory backend that failed, in this kickoff or (prober) in a proof."""
FINISHED: Final = "finished"
"""id, index, row (object): a task that is done for good, as only a slot that goes on after a loss reads it. It replaces
the row of this index and all behind it. May be sent for as many tasks as there are; what is too much is not kept."""
BEGUN: Final = "begun"
"""id, task (str or null), completed (tasks), why (str): where a later attempt goes on, or why it starts anew."""
RESULT: Final = "result"
"""id, output (str), json (any value), tasks ([{task_id, name, output, agent, execution_time}]), usage (object or null),
memory `ok` | `degraded`."""
ERROR: Final = "error"
"""id, kind (`exception` | `exit` | `memory`), message, traceback (str or null); result, if there was one."""
PAUSED: Final = "paused"
"""id, task_id (of this question), kind `task` | `flow`, task, agent, output (what is to be reviewed), message, choices,
round, completed (tasks), memory as in RESULT; saved (object): what only the slot that goes on reads."""
IDLE: Final = "idle"
"""After RESULT, PAUSED or ERROR of a slot that may be used again (`PerSession`, `Shared`). reusable (bool), reason (why
not). A slot that is not reusable exits by itself."""

# server -> prober, prober -> server
PROOF: Final = "proof"
"""n, action `write` | `read` | `forget`, nonce."""
PROOF_RESULT: Final = "proof-result"
"""n, ok (bool), found (bool, of read), via `recall` | `list`, seconds, error (str or null)."""

KEPT: Final = ("task_completed", "task_failed")

MAX_FRAME: Final = 17 * 1024 * 1024
"""Bytes: a result of 16 MiB and its header."""
MAX_HELLO: Final = 64 * 1024
"""Bytes that the server takes from who has not said hello: one has 150."""
MAX_NEWS: Final = 1024 * 1024
"""Bytes that it takes from the zygote: its report has 10,000."""
MAX_VALUES: Final = 500_000
"""Values in one frame to the server: each takes up to 80 bytes of its memory, and 2 or 3 on the way."""
_TEXT_OR_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|([,:\[{])', re.DOTALL)
"""A JSON string, also one that is not ended, or what stands before every value but the first."""
_LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """The peer sent what is no frame; the connection is of no more use."""


def encode(type_: str, /, **fields: Any) -> bytes:
    """One frame as bytes. Raises FrameError when it is longer than MAX_FRAME, TypeError when a field is not JSON."""
    return _framed(_body(type_, fields))


def encode_for_server(type_: str, /, **fields: Any) -> bytes:
    """The same, within what the server takes. Raises FrameError and TypeError."""
    body = _body(type_, fields)
    _check_values(body)
    return _framed(body)


def _body(type_: str, fields: Mapping[str, Any]) -> bytes:
    text = json.dumps({"t": type_, **fields}, separators=(",", ":"), ensure_ascii=False)
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > MAX_FRAME:
        raise FrameError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME}")
    return body


def _framed(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


def _check_values(body: bytes) -> None:
    """Raises FrameError for JSON that would unfold to more than MAX_VALUES values."""
    if sum(body.count(mark) for mark in (b",", b":", b"[", b"{")) <= MAX_VALUES:
        return
    # Texts may hold the marks as well, and only now is it worth looking. One by one: a list of them would be as large.
    marks = texts = 0
    for found in _TEXT_OR_MARK.finditer(body):
        if found.lastindex:
            marks += 1
        else:
            texts += 1
        if max(marks, texts) > MAX_VALUES:
            raise FrameError(f"the values of a frame are over the limit of {MAX_VALUES}")


class Decoder:
    """Bytes in, frames out, whatever the pieces they arrive in."""

    def __init__(self, limit: int = MAX_FRAME, *, guarded: bool = False) -> None:
        self.limit = limit
        """Bytes of one frame; may be changed between two frames."""
        self._guarded = guarded
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises FrameError on what cannot be one, or is more than a peer may send:
        longer than the limit, and for a guarded decoder of more than MAX_VALUES values.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self.limit:
                raise FrameError(f"a frame of {length} bytes is over the limit of {self.limit}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            if self._guarded:
                _check_values(body)
            try:
                frame = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise FrameError(f"a frame is not JSON: {error}") from error
            if not isinstance(frame, dict) or not isinstance(frame.get("t"), str):
                raise FrameError("a frame is no object with a type 't'")
            yield frame
