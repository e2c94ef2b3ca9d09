"""No accepted kickoff is lost and none is completed twice, whatever dies: real servers, a real Redis with AOF."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from datetime import datetime

from crew_runtime.contract import keys
from support.replicas import wait_until

ROUNDS = int(os.environ.get("CREWOPS_TEST_KILL_ROUNDS", "3"))
PREFIX = "test/crew"
TAKEOVER = 10.0
"""Seconds from the death of a replica until what it ran has started elsewhere."""


def ends(redis):
    """[(kickoff id, status, Unix time)] of every end that Redis took, in order."""
    found = redis.client().xrange(keys.ends(PREFIX))
    return [(fields["id"], fields["status"], int(entry.split("-")[0]) / 1000) for entry, fields in found]


async def all_end(redis, kickoffs, seconds):
    """Wait until all have ended, and hold each to exactly one end."""

    async def ended():
        return set(kickoffs) <= {one for one, _, _ in ends(redis)}

    await wait_until(ended, f"all {len(kickoffs)} kickoffs end", seconds)
    counts = Counter(one for one, _, _ in ends(redis))
    assert all(counts[one] == 1 for one in kickoffs), counts
    left = redis.client()
    assert left.zcard(keys.leases(PREFIX)) == left.zcard(keys.waiting(PREFIX)) == 0


async def runs_all(replica, count):
    async def look():
        return (await replica.report())["running"] == count

    await wait_until(look, f"{replica.name} runs {count}", 30)


async def test_replica_killed_with_twenty_running_loses_nothing(make, redis):
    """Time after time; in every second round its worker dies with it. Some kickoffs end around the kill."""
    victim = await make("r0", CREWOPS_CONCURRENCY="20")
    took = []
    for number in range(1, ROUNDS + 1):
        stuck = [await victim.kickoff(f"s{n}", do="sleep_at_first") for n in range(14)]
        ending = [await victim.kickoff(seconds=2 + n * 0.3) for n in range(6)]
        await runs_all(victim, 20)
        heir = await make(f"r{number}", CREWOPS_CONCURRENCY="20")
        for process in (victim.server, victim.worker)[: 1 + number % 2]:
            process.send_signal(signal.SIGKILL)
        killed = time.time()
        await all_end(redis, stuck + ending, 30)
        for kickoff in stuck:
            seen = await heir.status(kickoff)
            assert (seen["status"], seen["attempt"], seen["replica"]) == ("completed", 2, heir.name), seen
        for kickoff in ending:
            seen = await heir.status(kickoff)
            assert seen["status"] == "completed", seen
            assert seen["attempt"] == (1 if seen["replica"] == victim.name else 2), seen
        took.append(max(at for one, _, at in ends(redis) if one in stuck) - killed)
        await victim.close()
        victim = heir
    print(f"taken over and ended within {', '.join(f'{one:.1f}' for one in took)} s")
    assert max(took) < TAKEOVER


async def test_redis_killed_with_fifty_queued_and_ten_running_loses_nothing(make, redis):
    replicas = [await make(f"r{n}", CREWOPS_CONCURRENCY="5") for n in range(2)]
    kickoffs = [await replicas[n % 2].kickoff(f"s{n % 40}", seconds=1.5) for n in range(60)]
    for one in replicas:
        await runs_all(one, 5)
    redis.kill()
    await asyncio.sleep(2)  # how long it is away: what runs ends meanwhile
    redis.start()
    await all_end(redis, kickoffs, 60)
    for kickoff in kickoffs:
        seen = await replicas[0].status(kickoff)
        assert (seen["status"], seen["attempt"]) == ("completed", 1), seen


async def test_hundred_kickoffs_of_ten_sessions_keep_their_order_over_four_replicas(make, redis, tmp_path):
    replicas = [await make(f"r{n}", CREWOPS_CONCURRENCY="3") for n in range(4)]
    path = tmp_path / "journal"
    sent: dict[str, list[str]] = {}
    for n in range(100):
        session = f"s{n % 10}"
        kickoff = await replicas[n % 4].kickoff(session, do="journal", path=str(path), seconds=0.1)
        sent.setdefault(session, []).append(kickoff)
    await all_end(redis, [one for line in sent.values() for one in line], 60)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for session, kickoffs in sent.items():
        seen = sorted((at, kickoff, what) for of, kickoff, what, at in lines if of == session)
        wanted = [(one, what) for one in kickoffs for what in ("start", "end")]
        assert [(kickoff, what) for _, kickoff, what in seen] == wanted
    running, most = 0, 0
    for _, what in sorted((at, what) for _, _, what, at in lines):
        running += 1 if what == "start" else -1
        most = max(most, running)
    assert most >= 4, "sessions go side by side"
    used = {(await replicas[0].status(one))["replica"] for line in sent.values() for one in line}
    assert used == {"r0", "r1", "r2", "r3"}


async def test_replica_that_is_shut_down_with_five_running_hands_them_on_at_once(make, redis):
    leaving = await make("r1", CREWOPS_CONCURRENCY="5", CREWOPS_GRACE_PERIOD="12")
    kickoffs = [await leaving.kickoff(f"s{n}", do="sleep_at_first") for n in range(5)]
    await runs_all(leaving, 5)
    after = [await leaving.kickoff(f"s{n}", say="next") for n in range(5)]
    staying = await make("r2", CREWOPS_CONCURRENCY="5")
    leaving.server.terminate()
    await all_end(redis, kickoffs + after, 30)
    for kickoff in kickoffs:
        seen = await staying.status(kickoff)
        assert (seen["status"], seen["attempt"], seen["replica"]) == ("completed", 2, "r2"), seen
        given = said(leaving, kickoff, "kickoff requeued")
        started = said(staying, kickoff, "kickoff started")
        assert started - given < 1.0
    for kickoff in after:
        assert (await staying.status(kickoff))["attempt"] == 1

    async def gone():
        return leaving.server.poll() is not None

    await wait_until(gone, "the server ends", 12)
    assert leaving.server.returncode == 0


def said(replica, kickoff, words):
    """When its server said this of that kickoff, as Unix time."""
    entries = [json.loads(line) for line in replica.log("server").splitlines() if line.startswith("{")]
    (entry,) = [one for one in entries if one.get("kickoff_id") == kickoff and one["message"] == words]
    return datetime.fromisoformat(entry["time"]).timestamp()
