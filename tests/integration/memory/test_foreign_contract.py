"""The contract suite of PyPI's `crewai-memory-core` over our storage, however it is searched.

It was made for another family of storages, and all of it holds here. Where that family and CrewAI's own LanceDB storage
(1.15.30) do what no test of the suite asks for and we do not, the tests of this file say so; the rest of CrewAI's truth
is in `test_contract`.
"""

import pytest
from crewai_memory_core.contract import *  # noqa: F403 - a suite is made to be imported so
from crewai_memory_core.contract import EMB

from support.memories import record


@pytest.fixture
def backend(storage):
    return storage


@pytest.fixture
def one(backend):
    one = record("the guest loves sushi", "/guests", embedding=EMB(["the guest loves sushi"])[0])
    backend.save([one])
    return one


def test_scores_are_lancedbs_and_not_the_suites_cosine(backend, one):
    """CrewAI's thresholds are made for `1/(1+L2^2)`; for unit vectors a cosine of 0 is a third and not 0."""
    ((_, alike),) = backend.search(one.embedding)
    ((_, apart),) = backend.search([-value for value in one.embedding])
    assert (alike, apart) == (pytest.approx(1.0, abs=1e-4), pytest.approx(0.2, abs=1e-4))


def test_an_update_of_what_is_gone_is_no_insert(backend, one):
    """Both others write it anew: a late update would bring a forgotten record back."""
    backend.delete(record_ids=[one.id])
    backend.update(one)
    assert backend.count() == 0


def test_no_ids_are_no_records_and_not_all_of_them(backend, one):
    """To both others an empty list is no list: they delete the whole store."""
    assert backend.delete(record_ids=[]) == 0
    assert backend.count() == 1


def test_a_page_that_cannot_be_is_empty(backend, one):
    """As with LanceDB; the suite's storages slice from the end."""
    assert [backend.list_records(limit=0), backend.list_records(limit=-1), backend.list_records(offset=-1)] == [[]] * 3
    assert backend.list_records(offset=1) == []
