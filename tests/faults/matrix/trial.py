"""One fault, from the first kickoff of its load to its figures."""

import dataclasses
import time
from collections import Counter
from pathlib import Path
from typing import Any

from faults.matrix.door import Door
from faults.matrix.fault import Fault, Where
from faults.matrix.figures import Request, Row, false_ready, recovery, told
from faults.matrix.load import CLIENTS, Load
from faults.matrix.scene import READY, Scene
from faults.matrix.watch import Watch
from support.real_cluster import RealCluster
from support.waiting import wait_until

LOADED = 2
"""Kickoffs of each client that completed before the fault."""
LOADS = 60.0
"""Seconds for that."""
NOTHING_TOLD = 4.0
"""Seconds after a fault that nobody should notice, in which somebody may."""
ENDS = 90.0
"""Seconds for all that was accepted to end."""


def impossible(fault: Fault, cluster: Any) -> str:
    """Why it cannot be run on this cluster; empty: it can."""
    real = isinstance(cluster, RealCluster)
    if fault.where is Where.REAL and not real:
        return "needs a real cluster"
    if fault.where is Where.LOCAL and real:
        return "needs the local cluster"
    return fault.needs()


class Trial:
    """Runs one fault; its figures are in the row that `run` gives."""

    def __init__(self, fault: Fault, scene: Scene, ledger: Path) -> None:
        self._fault, self._scene, self._ledger = fault, scene, ledger
        self._load = Load(Door(scene.hotel, directly=fault.directly), fault.name)
        self._watch = Watch(scene.hotel)
        self._trouble: list[str] = []

    def run(self) -> Row:
        """Never raises for what the fault did: that stands in the row."""
        try:
            self._scene.settle()
            self._watch.start()
            self._load.start()
            self._wait_loaded()
            begun, lifted, destroyed = self._make()
            self._recover(lifted)
            self._load.stop()
            self._until_ended()
            return self._row(begun, lifted, destroyed)
        except Exception as error:
            what = f"{type(error).__name__}: {error}".splitlines()
            return dataclasses.replace(blank(self._fault), trouble=" ".join(what)[:400])
        finally:
            self._load.close()
            self._watch.close()

    def _wait_loaded(self) -> None:
        try:
            wait_until(self._is_loaded, "each client has been answered", LOADS)
        except AssertionError:
            ends = Counter(f"{one.status} {one.reason}".strip() or "no answer yet" for one in self._load.requests)
            raise AssertionError(f"the load does not come about, before any fault: {dict(ends)}") from None

    def _is_loaded(self) -> bool:
        done = Counter(one.client for one in self._load.requests if one.status == "completed")
        return len(done) == CLIENTS and min(done.values()) >= LOADED

    def _make(self) -> tuple[float, float, float]:
        """When it began, when it was lifted, and from when on everything counts again."""
        fault = self._fault
        begun = time.monotonic()
        acting = fault.act(self._scene)
        next(acting)
        done = time.monotonic()
        if fault.tells is not None:
            tells = fault.tells
            self._watch.wait(lambda look: tells.in_(look.conditions), begun, max(fault.within, 10.0) * 2)
        time.sleep(max(0.0, begun + (fault.lasts or (0 if fault.tells else NOTHING_TOLD)) - time.monotonic()))
        lifted = time.monotonic() if fault.lasts or fault.tells else begun
        next(acting, None)
        if fault.destroys and told(self._watch.looks, begun, fault.tells) is not None:
            self._scene.accept_loss()
        return begun, lifted if fault.lasts else begun, done

    def _recover(self, since: float) -> None:
        """Until all is as it was, and each client is served by a kickoff of its own."""
        try:
            wait_until(lambda: self._fault.restored(self._scene), "it is put right", READY)
            self._scene.settle()
            now = time.monotonic()
            wait_until(lambda: len(self._load.served_since(now)) == CLIENTS, "each client is served", READY)
            self._scene.settle()
        except AssertionError as error:
            self._trouble.append(str(error).splitlines()[0][:200])

    def _until_ended(self) -> None:
        try:
            wait_until(lambda: not self._load.outstanding, "all that was accepted has ended", ENDS)
        except AssertionError:
            return  # what has not ended is lost

    def _row(self, begun: float, lifted: float, done: float) -> Row:
        requests, looks, fault = list(self._load.requests), list(self._watch.looks), self._fault
        accepted = [one for one in requests if one.accepted]
        lost = [one for one in accepted if not one.ended or one.status == "unknown"]
        until = max((one.accepted or one.asked for one in requests), default=begun)
        twice, repeated = self._twice(accepted)
        seen = told(looks, begun, fault.tells)
        return dataclasses.replace(
            blank(fault),
            accepted=len(accepted),
            failed=dict(Counter(one.reason or one.status for one in accepted if one.status in ("error", "timeout"))),
            lost=len(lost),
            twice=twice,
            repeated=repeated,
            forgotten=self._forgotten(accepted),
            told=seen,
            late=bool(seen and fault.tells and seen.seconds > fault.within),
            false_ready=false_ready(looks, requests, begun, until),
            recovery=recovery(looks, requests, begun, lifted),
            trouble="; ".join(self._trouble),
        )

    def _twice(self, accepted: list[Request]) -> tuple[int, int]:
        """Kickoffs that completed more than once, and side effects that a next attempt repeated."""
        completions = self._scene.completions()
        effects = Counter(self._ledger.read_text().splitlines() if self._ledger.exists() else ())
        twice = repeated = 0
        for one in accepted:
            done, acted = sum(completions.get(kickoff, 0) for kickoff in one.kickoffs), effects[one.fact]
            twice += len(one.kickoffs) > 1 or done > 1 or acted > one.attempt
            repeated += max(0, acted - 1) if acted <= one.attempt else 0
        return twice, repeated

    def _forgotten(self, accepted: list[Request]) -> int:
        """Memories of completed kickoffs that a list of their session has not."""
        kept: set[str] = set()
        for client in range(CLIENTS):
            answer = wait_until(lambda of=client: self._exported(of), "a session is exported", 30)  # type: ignore[misc]
            kept |= {str(one.get("content")) for one in answer["records"]}
        return sum(one.remembers and one.fact not in kept for one in accepted)

    def _exported(self, client: int) -> dict[str, Any] | None:
        try:
            answer = Door(self._scene.hotel).ask(f"sessions/{self._load.session(client)}/export", timeout=20)
            if answer.status_code == 404:  # nothing is left of it
                return {"records": []}
            return dict(answer.json()) if answer.status_code == 200 else None
        except Exception:
            return None


def blank(fault: Fault, skipped: str = "") -> Row:
    """The row of a fault that was not run."""
    expected = f"{fault.tells.condition} {'/'.join(fault.tells.reasons)}".strip() if fault.tells else ""
    return Row(
        fault.name, fault.what, fault.section, fault.redis.value,
        expected=expected, destroys=fault.destroys, skipped=skipped,
    )  # fmt: skip
