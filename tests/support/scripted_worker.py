"""A worker half without CrewAI: a real zygote with real forked slots that do what a kickoff's inputs tell them.

    python scripted_worker.py        (CREWOPS_SOCKET from the environment)

inputs: `do` (see `ACTS`), and what the act takes. SCRIPTED_FAIL=reason makes the zygote say `failed` and end;
SCRIPTED_INPUTS=a,b are the names that the crew asks for; SCRIPTED_PROOF=hang wedges the prober's proofs.
"""

import contextlib
import ctypes
import json
import os
import queue
import re
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from crew_runtime.contract import PROTOCOL, env, frames

OOM_EXIT = 99


class Connection:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ[env.SOCKET])
        self.decoder = frames.Decoder()
        self._lock = threading.Lock()

    def send(self, type_: str, **fields: object) -> None:
        with self._lock:
            self.socket.sendall(frames.encode(type_, **fields))

    def receive(self) -> list[frames.Frame] | None:
        data = self.socket.recv(1 << 16)
        return list(self.decoder.feed(data)) if data else None


# -- slots ----------------------------------------------------------------------------------------------------------


def echo(slot: Connection, run: frames.Frame) -> dict[str, object]:
    slot.send(frames.EVENT, seq=1, type="task_started", task="answer", agent="echo")
    time.sleep(float(run["inputs"].get("seconds", 0)))
    slot.send(frames.EVENT, seq=2, type="task_completed", task="answer", agent="echo")
    return {"output": str(run["inputs"].get("say", "hello")), "tasks": [{"task_id": "1", "output": "hello"}]}


def step(slot: Connection, run: frames.Frame) -> dict[str, object]:
    """One task with one use of a tool, then `seconds` of silence, `events` more of them, and an answer."""
    say = str(run["inputs"].get("say", "hello"))
    slot.send(frames.EVENT, seq=1, type="task_started", task="answer", agent="echo")
    used = {"tool": "look_up", "tool_input": {"room": 214}, "result": "quiet"}
    slot.send(frames.EVENT, seq=2, type="tool_usage_finished", task="answer", agent="echo", data=used)
    for seq in range(3, 3 + int(run["inputs"].get("events", 0))):
        data = {"result": run["inputs"].get("data", "")}
        slot.send(frames.EVENT, seq=seq, type="tool_usage_started", task="answer", agent="echo", data=data)
    time.sleep(float(run["inputs"].get("seconds", 0)))
    done = {"task_id": "1", "name": "answer", "description": "Answer", "agent": "echo", "output": say}
    slot.send(frames.EVENT, seq=1_000_000, type="task_completed", task="answer", agent="echo", data=done)
    return {"output": say, "tasks": [done], "usage": {"total_tokens": 7}}


def sleep(slot: Connection, run: frames.Frame) -> dict[str, object]:
    slot.send(frames.EVENT, seq=1, type="task_started", task="sleeping", agent="a")
    while True:
        time.sleep(1)


def sleep_at_first(slot: Connection, run: frames.Frame) -> dict[str, object]:
    """Never returns in the first `attempts`."""
    while run["attempt"] <= int(run["inputs"].get("attempts", 1)):
        time.sleep(1)
    return {"output": f"attempt {run['attempt']}"}


def journal(slot: Connection, run: frames.Frame) -> dict[str, object]:
    """Writes its start and its end, with the machine's monotonic time, as lines of the file `path`."""
    for what in ("start", "end"):
        line = json.dumps([run["session"], run["id"], what, time.monotonic()]) + "\n"
        with Path(run["inputs"]["path"]).open("a") as file:
            file.write(line)
        if what == "start":
            time.sleep(float(run["inputs"].get("seconds", 0)))
    return {"output": run["id"]}


class AskedError(Exception):
    """A `paused` frame's fields."""


def ask(slot: Connection, run: frames.Frame) -> dict[str, object]:
    """Asks until it is approved. `stuck_until`: attempts up to this one never return after an answer."""
    resume = run.get("resume")
    asked = resume["saved"]["round"] if resume else 0
    while resume and run["attempt"] <= int(run["inputs"].get("stuck_until", 0)):
        time.sleep(1)
    if resume and resume["approved"]:
        return {"output": f"approved in round {asked}: {resume['saved']['draft']}"}
    draft = f"{resume['saved']['draft']} + {resume['feedback']}" if resume else "draft"
    raise AskedError(
        {
            "task_id": f"{run['id']}-{asked + 1}", "kind": "task", "task": "answer", "agent": "a", "output": draft,
            "message": "", "choices": [], "round": asked + 1, "completed": 1, "memory": "ok",
            "saved": {"round": asked + 1, "draft": draft},
        }
    )  # fmt: skip


def spin(slot: Connection, run: frames.Frame) -> dict[str, object]:
    while True:
        sum(range(1000))


def hold_gil(slot: Connection, run: frames.Frame) -> dict[str, object]:
    re.match(r"(a+)+$", "a" * 40 + "b")
    return {"output": "never"}


def swallow(slot: Connection, run: frames.Frame) -> dict[str, object]:
    while True:
        try:
            while True:
                time.sleep(0.05)
        except BaseException:
            print("swallowed", flush=True)


def leave(slot: Connection, run: frames.Frame) -> dict[str, object]:
    os._exit(int(run["inputs"].get("code", 3)))


def segfault(slot: Connection, run: frames.Frame) -> dict[str, object]:
    ctypes.string_at(0)
    return {}


def oom(slot: Connection, run: frames.Frame) -> dict[str, object]:
    os._exit(OOM_EXIT)


def guard(slot: Connection, run: frames.Frame) -> dict[str, object]:
    slot.send(frames.GUARD, op="search", kind="Timeout", error="Redis did not answer")
    return {"output": "half", "memory": "degraded"}


def odd(slot: Connection, run: frames.Frame) -> dict[str, object]:
    return {"output": "\ud800 and \x00", "json": {"x": float("nan")}}


def big(slot: Connection, run: frames.Frame) -> dict[str, object]:
    return {"output": "x" * int(run["inputs"]["bytes"])}


def garbage(slot: Connection, run: frames.Frame) -> dict[str, object]:
    slot.socket.sendall(b"\x00\x00\x00\x04nope")
    time.sleep(60)
    return {}


def freeze(slot: Connection, run: frames.Frame) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGSTOP)
    return {"output": "thawed"}


def tidy(slot: Connection, run: frames.Frame) -> dict[str, object]:
    try:
        time.sleep(60)
    finally:
        Path(run["inputs"]["path"]).write_text("tidied")
    return {}


ACTS = {
    one.__name__: one
    for one in (
        echo,
        step,
        sleep,
        sleep_at_first,
        journal,
        ask,
        spin,
        hold_gil,
        swallow,
        leave,
        segfault,
        oom,
        guard,
        odd,
        big,
        garbage,
        freeze,
        tidy,
    )
}


SHARED = os.environ.get(env.PROCESSES) == env.SHARED
"""Whether a slot is used again."""


def run_slot(token: str, role: str, zygote: int) -> None:
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != zygote:
        os._exit(0)  # it died before we asked to die with it
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    slot = Connection()
    slot.send(frames.HELLO, role=role, protocol=PROTOCOL, pid=os.getpid(), token=token)
    slot.send(frames.READY)
    work: queue.SimpleQueue[frames.Frame] = queue.SimpleQueue()
    threading.Thread(target=beat, args=(slot,), daemon=True).start()
    threading.Thread(target=listen, args=(slot, work), daemon=True).start()
    while True:
        frame = work.get()
        if frame["t"] == frames.RUN:
            perform(slot, frame)
        elif frame["t"] == frames.PROOF:
            prove(slot, frame)
        elif frame["t"] == frames.EXIT or (frame["t"] == frames.STORED and not SHARED):
            os._exit(0)


def beat(slot: Connection) -> None:
    while True:
        with contextlib.suppress(OSError):
            slot.send(frames.BEAT)
        time.sleep(1)


def listen(slot: Connection, work: "queue.SimpleQueue[frames.Frame]") -> None:
    while (got := slot.receive()) is not None:
        for frame in got:
            if frame["t"] == frames.TERM:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            else:
                work.put(frame)
    os._exit(0)


def perform(slot: Connection, run: frames.Frame) -> None:
    act = str(run["inputs"].get("do", "echo"))
    try:
        result = {"json": None, "tasks": [], "usage": None, "memory": "ok", **ACTS[act](slot, run)}
    except AskedError as asked:
        slot.send(frames.PAUSED, id=run["id"], **asked.args[0])
    except Exception as error:
        slot.send(frames.ERROR, id=run["id"], kind="exception", message=f"{error!r}", traceback="Traceback")
    else:
        slot.send(frames.RESULT, id=run["id"], **result)
    if not SHARED:
        return
    reusable = not run["inputs"].get("dirty")
    slot.send(frames.IDLE, reusable=reusable, reason=None if reusable else "a thread is left")
    if not reusable:
        os._exit(0)


def prove(slot: Connection, proof: frames.Frame) -> None:
    if os.environ.get("SCRIPTED_PROOF") == "hang":
        time.sleep(60)
    slot.send(frames.PROOF_RESULT, n=proof["n"], ok=True, found=True, via="recall", seconds=0.01, error=None)


# -- the zygote -----------------------------------------------------------------------------------------------------


class Zygote:
    def __init__(self) -> None:
        self.server = Connection()
        self.children: dict[int, str] = {}

    def run(self) -> None:
        self.server.send(
            frames.HELLO, role="zygote", protocol=int(os.environ.get("SCRIPTED_PROTOCOL", PROTOCOL)), pid=os.getpid()
        )
        self.server.send(frames.PHASE, phase="importing")
        if reason := os.environ.get("SCRIPTED_FAIL"):
            self.server.send(frames.PHASE, phase="failed", reason=reason, message="no module named 'concierge'")
            return
        inputs = [one for one in os.environ.get("SCRIPTED_INPUTS", "").split(",") if one]
        report = {"crewai_version": "scripted", "kind": "crew", "crew_inputs": inputs, "tasks": 2, "uses_memory": True}
        self.server.send(frames.PHASE, phase="ready", report=report)
        signal.signal(signal.SIGTERM, lambda *_: self.server.send(frames.DRAINING))
        wake_in, wake_out = os.pipe()
        os.set_blocking(wake_out, False)
        signal.set_wakeup_fd(wake_out)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self.server.socket, wake_in], [], [], 1)
            if wake_in in ready:
                os.read(wake_in, 4096)
            self.reap()
            if self.server.socket in ready:
                got = self.server.receive()
                if got is None:
                    return
                for frame in got:
                    self.obey(frame)

    def obey(self, frame: frames.Frame) -> None:
        match frame["t"]:
            case frames.FORK:
                self.fork(frame["token"], frame["role"])
            case frames.KILL if frame["pid"] in self.children:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(frame["pid"], signal.SIGKILL)
                    os.kill(frame["pid"], signal.SIGKILL)
            case frames.PING:
                self.server.send(frames.PONG, n=frame["n"])
            case frames.EXIT:
                for pid in self.children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                sys.exit(0)

    def fork(self, token: str, role: str) -> None:
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            self.server.socket.close()
            if os.environ.get("SCRIPTED_STILLBORN"):
                os._exit(1)
            run_slot(token, role, zygote)
            os._exit(0)
        self.children[pid] = token
        self.server.send(frames.FORKED, token=token, pid=pid)

    def reap(self) -> None:
        while self.children:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            killed = code == OOM_EXIT
            self.server.send(
                frames.EXITED,
                pid=pid,
                token=self.children.pop(pid),
                code=code if code >= 0 and not killed else None,
                signal="SIGKILL" if killed else signal.Signals(-code).name if code < 0 else None,
                maxrss=usage.ru_maxrss * 1024,
                reason="oom" if killed else None,
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(sorted(ACTS)))
    Zygote().run()
