import json

import pytest
from kubernetes.aio.client import ApiException

from crew_operator.errors import ConflictError, RejectedError
from crew_operator.kube_client import _error, bearer


@pytest.mark.parametrize("header", ["abc", "Bearer abc", "bearer abc", "bearer abc\n"])
def test_token_is_found_however_its_scheme_is_written(header):
    assert bearer(header) == "abc"


@pytest.mark.parametrize("header", ["", "Basic abc"])
def test_what_is_no_token_is_none(header):
    assert bearer(header) is None


def test_an_operator_that_is_newer_than_its_crd_is_told_what_to_do():
    """What Kubernetes 1.36 answers to an apply with a field that the schema does not have."""
    what = "failed to create typed patch object (lobby/concierge; crewops.dev/v1alpha1, Kind=CrewDeployment)"
    said = f"{what}: .status.memory.lastProof.subject: field not declared in schema"
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert isinstance(found, RejectedError)
    assert found.message.startswith(said)
    assert "apply crds/crewdeployments.yaml" in found.message


def test_a_field_that_a_child_cannot_have_is_a_refusal_and_no_fault_of_the_crd():
    """It came out of a piece of the spec that is handed on as it is; Kubernetes answers 500 and not 422."""
    what = "failed to create typed patch object (lobby/concierge; apps/v1, Kind=Deployment)"
    said = f"{what}: .spec.template.spec.affinity.nodes: field not declared in schema"
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert isinstance(found, RejectedError)
    assert "crds/crewdeployments.yaml" not in found.message


def test_a_value_of_another_type_is_a_refusal():
    """Likewise, of Kubernetes 1.36."""
    what = "failed to create typed patch object (lobby/concierge; apps/v1, Kind=Deployment)"
    said = f'{what}: .spec.template.spec.containers[name="crew"].envFrom[0].secretRef.name: expected string, got map'
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert isinstance(found, RejectedError)
    assert found.message == said


def test_a_patch_that_was_meant_for_another_object_is_a_conflict():
    """Kubernetes answers a patch with another uid by 422, a replacement by 409."""
    said = 'ConfigMap "one" is invalid: metadata.uid: Invalid value: "another": field is immutable'
    found = _error(ApiException(status=422, reason="Unprocessable Entity", body=json.dumps({"message": said})))
    assert isinstance(found, ConflictError)
