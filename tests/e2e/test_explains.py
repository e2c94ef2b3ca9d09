"""What a person sees who asks kubectl: one line that is true, things in order, words that the docs explain."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "conditions.md"
DOCUMENTED = set(re.findall(r"<a id='\w+'></a>`(\w+)`", DOCS.read_text()))
ORDER = ["Ready", "CrewAvailable", "MemoryReady", "MemoryDurable", "MemoryShared", "RuntimeCompatible", "Progressing"]
WIDE = 120
"""Columns of a terminal."""


@pytest.fixture(scope="module")
def spec():
    return {"replicas": 1}


def column(hotel):
    """What `kubectl get crewdeployments` shows of the crew, by headline."""
    head, row = str(hotel.kubectl("get", "crewdeployments")).splitlines()
    assert len(head) <= WIDE
    assert len(row) <= WIDE
    return dict(zip(head.split(), row.split(), strict=True))


def test_get_fits_a_line_and_tells_the_truth(hotel):
    shown = column(hotel)
    assert {name: value for name, value in shown.items() if name != "AGE"} == {
        "NAME": "concierge",
        "READY": "True",
        "MEMORY": "True",
        "SHARED": "True",
        "REPLICAS": "1",
        "UP": "1",
        "REASON": "AllGood",
    }


def test_describe_tells_in_order_what_happened(hotel):
    hotel.patch({"replicas": 0})
    hotel.wait_condition("Ready", "False", "ScaledToZero")
    assert column(hotel)["REASON"] == "ScaledToZero"
    hotel.patch({"replicas": 1})
    hotel.wait_ready()
    told = str(hotel.kubectl("describe", "crewdeployment", hotel.name))
    conditions, _, events = told.partition("\nEvents:")
    assert re.findall(r"^ +Type: +(\w+)$", conditions, re.MULTILINE) == ORDER
    assert 0 < events.index("Ready=False: CrewAvailable: spec.replicas is 0") < events.rindex("Ready=True: 1 replica")
    reasons = set(re.findall(r"^ +Reason: +(\w+)$", conditions, re.MULTILINE))
    reasons |= set(re.findall(r"^ +(?:Normal|Warning) +(\w+)", events, re.MULTILINE))
    assert {"AllGood", "ScaledToZero"} <= reasons
    assert reasons - DOCUMENTED == set()


def test_explain_reads_well(hotel):
    told = " ".join(str(hotel.kubectl("explain", "crewdeployment.spec.redis.managed")).split())
    assert "A Redis that the operator runs for this crew alone." in told
    assert "appendFsync <string> enum: everysec, always `always` loses nothing on power loss" in told
    assert "storage <Object> Its volume." in told
    told = str(hotel.kubectl("explain", "crewdeployment.spec.redis.managed", "--recursive"))
    assert "storageClassName" in told
