import json

import pytest
from kubernetes.aio.client import ApiException

from crew_operator.errors import ApiError
from crew_operator.kube_client import _error, bearer


@pytest.mark.parametrize("header", ["abc", "Bearer abc", "bearer abc", "bearer abc\n"])
def test_token_is_found_however_its_scheme_is_written(header):
    assert bearer(header) == "abc"


@pytest.mark.parametrize("header", ["", "Basic abc"])
def test_what_is_no_token_is_none(header):
    assert bearer(header) is None


def test_an_operator_that_is_newer_than_its_crd_is_told_what_to_do():
    """What Kubernetes 1.36 answers to an apply with a field that the schema does not have."""
    said = ".status.memory.lastProof.subject: field not declared in schema"
    found = _error(ApiException(status=500, reason="Internal Server Error", body=json.dumps({"message": said})))
    assert type(found) is ApiError
    assert found.message.startswith(said)
    assert "apply crds/crewdeployments.yaml" in found.message
