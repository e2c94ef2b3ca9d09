import pytest

from crew_operator.kube_client import bearer


@pytest.mark.parametrize("header", ["abc", "Bearer abc", "bearer abc", "bearer abc\n"])
def test_token_is_found_however_its_scheme_is_written(header):
    assert bearer(header) == "abc"


@pytest.mark.parametrize("header", ["", "Basic abc"])
def test_what_is_no_token_is_none(header):
    assert bearer(header) is None
