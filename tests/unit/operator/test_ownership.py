"""Whose an object is: nothing that somebody else made is taken, and nothing of ours is lost sight of."""

import pytest

from crew_operator.api import parse
from crew_operator.desired import ownership
from support.crews import crew_manifest

CREW = parse.crew_deployment(crew_manifest(uid="mine"))
LABELS = {"crewops.dev/crewdeployment": "concierge", "app.kubernetes.io/managed-by": "crew-operator"}
CLAIM_LABELS = {"crewops.dev/crewdeployment": "concierge", "app.kubernetes.io/component": "redis"}


def owner(uid="mine", name="concierge", kind="CrewDeployment", group="crewops.dev/v1alpha1", controller=True):
    return {"apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": controller}


def made(labels=None, *owners):
    return {"metadata": {"name": "concierge", "labels": labels, "ownerReferences": list(owners)}}


@pytest.mark.parametrize(
    "ours",
    [
        pytest.param(made(LABELS, owner()), id="controlled"),
        pytest.param(made({}, owner()), id="labels taken off by hand"),
        pytest.param(made(LABELS), id="restored without owners"),
        pytest.param(made(LABELS, owner("older")), id="of a CrewDeployment of this name that is gone"),
        pytest.param(made(LABELS, owner("other", name="x", controller=False)), id="somebody else waits for it"),
    ],
)
def test_ours(ours):
    assert ownership.is_ours(CREW, ours)


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(made(), id="made by hand"),
        pytest.param(made({**LABELS, "app.kubernetes.io/managed-by": "Helm"}), id="of a chart with our label"),
        pytest.param(made({**LABELS, "crewops.dev/crewdeployment": "other"}), id="a crew's of another name"),
        pytest.param(made({}, owner("older")), id="of a namesake, without the labels"),
        pytest.param(made(LABELS, owner("other", name="concierge-x")), id="another crew's, labelled as ours"),
        pytest.param(made(LABELS, owner("other", kind="Deployment", group="apps/v1")), id="another controller's"),
        pytest.param(made(LABELS, owner("other", group="crewops.dev.evil/v1")), id="of a group that looks like ours"),
        pytest.param(made({}, owner(controller=False)), id="we are one of its owners only"),
    ],
)
def test_foreign(foreign):
    assert not ownership.is_ours(CREW, foreign)


def test_a_claim_is_known_by_what_a_stateful_set_writes_on_it():
    assert ownership.is_our_claim(CREW, made(CLAIM_LABELS))
    assert not ownership.is_our_claim(CREW, made({"crewops.dev/crewdeployment": "concierge"}))
    assert not ownership.is_our_claim(CREW, made())


def test_the_problem_names_the_object_its_owner_and_what_to_do():
    of_other = str(ownership.problem(CREW, "Service", made({}, owner("other", name="a"))))
    assert "the Service concierge exists and belongs to the CrewDeployment a" in of_other
    assert "take another name for the crew" in of_other
    claim = str(ownership.problem(CREW, "PersistentVolumeClaim", made()))
    assert "crewops.dev/crewdeployment=concierge,app.kubernetes.io/component=redis" in claim
