"""The claim of the crew's files, and what conditions say while it has no volume."""

from dataclasses import replace

import pytest

from crew_operator.api.names import ConditionType as Type
from crew_operator.status import chains, claims
from crew_operator.status.observed import Claim
from crew_runtime.contract.pods import ContainerTrouble
from crew_runtime.contract.reasons import Reason
from support.observations import good, replica

PENDING = Claim("concierge-files", "u", modes=("ReadWriteMany",), storage_class="standard")
REFUSED = replace(PENDING, said='failed to provision volume with StorageClass "standard": ReadWriteMany', warned=True)
UNSCHEDULED = ContainerTrouble(Reason.POD_NOT_STARTED, "0/1 nodes: pod has unbound immediate PersistentVolumeClaims")


def event(message, at, type_="Warning", reason="ProvisioningFailed", **more):
    return {"metadata": {}, "message": message, "lastTimestamp": at, "type": type_, "reason": reason, **more}


def waiting(claim, trouble=None):
    return good(replicas=(replica("a", ready=False, report=None, trouble=trouble),), files=claim)


def test_a_claim_as_the_api_server_gives_it():
    made = {"metadata": {"name": "x-files", "uid": "u"}, "spec": {"accessModes": ["ReadWriteMany"]}}
    assert claims.claim(made) == Claim("x-files", "u", "Pending", "", ("ReadWriteMany",))
    bound = {**made, "status": {"phase": "Bound"}, "spec": {**made["spec"], "storageClassName": "nfs"}}
    assert claims.claim(bound) == Claim("x-files", "u", claims.BOUND, "nfs", ("ReadWriteMany",))


def test_what_was_said_last_counts_and_waiting_for_a_pod_is_no_news():
    said = [
        event("second", "2026-01-01T00:00:05Z"),
        event("first", "2026-01-01T00:00:01Z"),
        event("waiting for first consumer", "2026-01-01T00:00:09Z", "Normal", "WaitForFirstConsumer"),
    ]
    assert claims.told(PENDING, said) == replace(PENDING, said="second", warned=True)
    series = event("third", None, series={"lastObservedTime": "2026-01-01T00:00:07.000000Z"})
    assert claims.told(PENDING, [*said, series]).said == "third"
    assert claims.told(replace(PENDING, said="old", warned=True), said[2:]) == PENDING


@pytest.mark.parametrize(
    "seen", [waiting(REFUSED), waiting(PENDING, UNSCHEDULED)], ids=["provisioner says so", "scheduler says so"]
)
def test_replicas_that_wait_for_a_volume_say_so_with_what_is_wrong(seen):
    found = chains.verdicts(seen)
    for type_ in (Type.READY, Type.CREW_AVAILABLE, Type.PROGRESSING):
        assert (found[type_].status, found[type_].reason) == ("False", Reason.STORAGE_NOT_BOUND)
        assert "the claim concierge-files (ReadWriteMany of the class standard) is Pending" in found[type_].message


@pytest.mark.parametrize(
    "seen",
    [good(files=REFUSED), waiting(PENDING), waiting(replace(REFUSED, phase=claims.BOUND))],
    ids=["all serve", "a volume is being made", "it has one"],
)
def test_a_claim_that_nobody_waits_for_is_no_news(seen):
    assert all(one.reason is not Reason.STORAGE_NOT_BOUND for one in chains.verdicts(seen).values())


def test_a_rollout_that_waits_for_a_volume_leaves_the_crew_available():
    seen = good(files=REFUSED)
    rolled = replace(seen, replicas=(*seen.replicas, replica("c", ready=False, report=None)))
    found = chains.verdicts(rolled)
    assert found[Type.CREW_AVAILABLE].status == "True"
    assert (found[Type.PROGRESSING].status, found[Type.PROGRESSING].reason) == ("False", Reason.STORAGE_NOT_BOUND)
