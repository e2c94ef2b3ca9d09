"""Probes: one question to a container, and the counting that turns answers into started, ready, alive."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container can be asked."""

    address: str
    ports: Mapping[str, int]
    """By name."""
    env: Mapping[str, str]
    cwd: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a probe."""

    ok: bool
    message: str = ""


async def ask(probe: Manifest, place: Place, argv: Sequence[str] = ()) -> Answer:
    """Ask once, within the probe's timeout. `argv` is the exec command with its paths made true."""
    seconds = probe.get("timeoutSeconds", 1)
    try:
        async with asyncio.timeout(seconds):
            if "httpGet" in probe:
                return await _http(probe["httpGet"], place)
            if "tcpSocket" in probe:
                return await _tcp(probe["tcpSocket"], place)
            if "exec" in probe:
                return await _exec(argv, place)
    except TimeoutError:
        return Answer(False, f"no answer within {seconds} s")
    except (OSError, ValueError) as error:
        return Answer(False, str(error))
    except Exception as error:  # noqa: BLE001 - of a probe that makes no sense, which must not end those who ask
        return Answer(False, f"the probe cannot be asked: {type(error).__name__}: {error}")
    return Answer(False, "the local node knows httpGet, tcpSocket and exec probes")


def _port(value: int | str, place: Place) -> int:
    if isinstance(value, int):
        return value
    if value in place.ports:
        return place.ports[value]
    raise ValueError(f"the container has no port named {value}")


async def _tcp(about: Manifest, place: Place) -> Answer:
    _, writer = await asyncio.open_connection(about.get("host") or place.address, _port(about["port"], place))
    writer.close()
    return Answer(True)


async def _http(about: Manifest, place: Place) -> Answer:
    host, port = about.get("host") or place.address, _port(about["port"], place)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        sent = {one["name"].lower(): one["value"] for one in about.get("httpHeaders") or ()}
        headers = {
            "host": f"{host}:{port}",
            "user-agent": "kube-probe/1.36",
            "accept": "*/*",
            **sent,
            "connection": "close",
        }
        lines = [
            f"GET {about.get('path', '/')} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
            "",
            "",
        ]
        writer.write("\r\n".join(lines).encode())
        status = (await reader.readline()).decode(errors="replace").split(" ")
        code = int(status[1]) if len(status) > 1 and status[1].isdigit() else 0
        if 200 <= code < 400:
            return Answer(True)
        body = (await reader.read(4096)).partition(b"\r\n\r\n")[2].decode(errors="replace").strip()
        return Answer(False, f"HTTP probe failed with statuscode: {code}{': ' + body[:200] if body else ''}")
    finally:
        writer.close()


async def _exec(argv: Sequence[str], place: Place) -> Answer:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=dict(place.env),
        cwd=place.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    return Answer(process.returncode == 0, output.decode(errors="replace").strip()[:200])


@dataclass(slots=True)
class Count:
    """How often a probe succeeded or failed in a row."""

    success_threshold: int
    failure_threshold: int
    value: bool
    """What holds now."""
    _row: int = 0
    _last: bool | None = None

    def add(self, ok: bool) -> bool:
        """Count an answer in; True when what holds has changed, or a failing probe fails once more."""
        self._row = self._row + 1 if ok is self._last else 1
        self._last = ok
        if ok and not self.value and self._row >= self.success_threshold:
            self.value = True
            return True
        if not ok and self._row >= self.failure_threshold:
            changed = self.value or self._row == self.failure_threshold
            self.value = False
            return changed
        return False


def count(probe: Manifest, *, holds: bool) -> Count:
    """The counter of a probe's manifest."""
    return Count(probe.get("successThreshold", 1), probe.get("failureThreshold", 3), holds)
