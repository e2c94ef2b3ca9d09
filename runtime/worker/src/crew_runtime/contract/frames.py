"""The messages between the server half and the worker half: 4 bytes big-endian length, then one JSON object.

The object's `t` is its type, one of the constants below; a receiver ignores types that it does not know. JSON and never
pickle: a slot runs the user's code and is not trusted.

The server listens on the Unix socket. The zygote connects and says `hello`; each child that it forks connects on its
own and says `hello` with the one-time token out of the `fork` that asked for it. When the zygote's connection ends, its
children are killed; when a slot's ends without a `result`, `paused` or `error`, the kickoff is lost.
"""

import json
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
"""Kill the children and end."""

# server -> slot
RUN: Final = "run"
"""id, inputs, session, attempt, deadline (seconds left); at most one at a time. resume: null, or what goes on from a
`paused`: its `saved`, a person's feedback (str) and approved (bool)."""
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
RESULT: Final = "result"
"""id, output (str), json (object or null), tasks ([{task_id, name, output, agent, execution_time}]), usage (object or
null), memory `ok` | `degraded`."""
ERROR: Final = "error"
"""id, kind (`exception` | `exit` | `memory` | `inputs`), message, traceback (str or null); result, if there was one."""
PAUSED: Final = "paused"
"""id, task_id (of this question), kind `task` | `flow`, task, agent, output (what is to be reviewed), message, choices,
round, completed (tasks), memory as in RESULT; saved (object): what only the slot that goes on reads."""
IDLE: Final = "idle"
"""After RESULT, PAUSED or ERROR. reusable (bool), reason (why not). A slot that is not reusable exits by itself."""

# server -> prober, prober -> server
PROOF: Final = "proof"
"""n, action `write` | `read` | `forget`, nonce."""
PROOF_RESULT: Final = "proof-result"
"""n, ok (bool), found (bool, of read), via `recall` | `list`, seconds, error (str or null)."""

KEPT: Final = ("task_completed", "task_failed")

MAX_FRAME: Final = 17 * 1024 * 1024
"""Bytes: a result of 16 MiB and its header."""
_LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """The peer sent what is no frame; the connection is of no more use."""


def encode(type_: str, /, **fields: Any) -> bytes:
    """One frame as bytes. Raises FrameError when it is longer than MAX_FRAME, TypeError when a field is not JSON."""
    text = json.dumps({"t": type_, **fields}, separators=(",", ":"), ensure_ascii=False)
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > MAX_FRAME:
        raise FrameError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME}")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Bytes in, frames out, whatever the pieces they arrive in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises FrameError on what cannot be one."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise FrameError(f"a frame of {length} bytes is over the limit of {MAX_FRAME}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                frame = json.loads(body)
            except ValueError as error:
                raise FrameError(f"a frame is not JSON: {error}") from error
            if not isinstance(frame, dict) or not isinstance(frame.get("t"), str):
                raise FrameError("a frame is no object with a type 't'")
            yield frame
