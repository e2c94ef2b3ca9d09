"""What clients and conditions showed -> the figures of a row."""

import dataclasses

import pytest

from faults.matrix import report
from faults.matrix.figures import Look, Request, Row, Tells, false_ready, recovery, told

READY = {"Ready": ("True", "AllGood"), "MemoryReady": ("True", "Answers")}
DOWN = {"Ready": ("False", "RedisWedged"), "MemoryReady": ("False", "RedisWedged")}
WEDGED = Tells("MemoryReady", ("RedisWedged",))
ROW = Row("redis-killed", "kill -9", "Redis", "managed", accepted=9)


def served(*moments, refused=()):
    """Requests that completed at these moments; `refused` are (asked, accepted or None)."""
    good = [Request(0, f"f{at}", at - 1, accepted=at - 1, ended=at, status="completed") for at in moments]
    return good + [Request(0, f"r{asked}", asked, refusals=3, accepted=at) for asked, at in refused]


def test_what_is_told_counts_from_the_fault_and_only_as_expected():
    looks = [Look(0, READY), Look(12, {**READY, "Ready": ("False", "ReplicasNotReady")}), Look(14, DOWN)]
    assert told(looks, 10, WEDGED).seconds == 4
    assert told(looks, 10, None).seconds == 2
    assert told(looks, 10, Tells("MemoryDurable", ("MemoryLost",))) is None
    assert told(looks[:1], 10, None) is None


def test_what_was_wrong_before_the_fault_is_not_told_of_it():
    assert told([Look(0, DOWN), Look(12, dict(DOWN))], 10, WEDGED) is None


@pytest.mark.parametrize(
    ("looks", "requests", "seconds"),
    [
        ([Look(0, READY)], served(9, 11, 13, 30), 7),  # 17 s without a completion
        ([Look(0, READY), Look(16, DOWN), Look(29, READY)], served(9, 11, 13, 31), 0),  # 3 s of Ready, then told
        ([Look(0, READY), Look(25, DOWN)], served(9, 11, 31), 4),  # told after 14 s
        ([Look(0, READY)], served(*range(9, 31), refused=[(12, 26)]), 4),  # one client of several
        ([Look(0, READY)], served(*range(9, 31), refused=[(12, None)]), 8),  # until the end of what was seen
        ([Look(0, READY)], served(*range(9, 31)), 0),
    ],
)
def test_ready_that_is_not_so_counts_beyond_ten_seconds(looks, requests, seconds):
    assert false_ready(looks, requests, 10, 30) == seconds


def test_recovery_is_the_last_that_was_not_well():
    looks = [Look(0, READY), Look(12, DOWN), Look(15, READY)]
    assert recovery(looks, served(9, 11, 13), 10, 10) == 5
    assert recovery(looks, served(9, 11, refused=[(11, 18)]), 10, 10) == 8
    failed = Request(0, "f", 8, accepted=8, ended=19, status="error", reason="MemoryFailed")
    assert recovery(looks, [failed], 10, 10) == 9
    assert recovery(looks, [failed], 10, 17) == 2, "from the end of a fault that lasts"
    assert recovery([Look(0, READY)], served(9, 11), 10, 10) == 0


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        ({}, 0),
        ({"lost": 1}, 1),
        ({"forgotten": 2}, 1),
        ({"twice": 1}, 1),
        ({"lost": 1, "forgotten": 2, "destroys": True}, 0),
        ({"twice": 1, "destroys": True}, 1),
        ({"expected": "MemoryDurable MemoryLost", "destroys": True}, 1),
        ({"trouble": "it did not recover"}, 1),
        ({"lost": 1, "skipped": "needs a real cluster"}, 0),
    ],
)
def test_a_run_fails_for_what_was_lost_and_need_not_be(changes, failures):
    assert len(dataclasses.replace(ROW, **changes).failures) == failures


def test_rows_come_back_from_the_json_as_they_were(tmp_path):
    rows = [ROW, dataclasses.replace(ROW, name="other", told=told([Look(0, READY), Look(2, DOWN)], 1, WEDGED), lost=1)]
    path = tmp_path / "rows.json"
    path.write_text(report.dump(rows, date="today"))
    assert report.load(path) == rows
    assert "| **1** |" in report.page(rows, 3, "")
