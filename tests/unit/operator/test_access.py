"""Who may use a crew's API: the spec's word, or the time before there was one."""

import pytest

from crew_operator.api import access, parse
from crew_operator.api.access import ALLOW_FROM, AUTH
from crew_operator.api.spec import ApiAuth
from support.crews import crew_manifest

BEFORE = {"observedGeneration": 3, "conditions": []}
"""A status that an operator wrote which did not know of the API's protection."""
REF = {"secretKeyRef": {"name": "api", "key": "token"}}


def crew(**changes):
    return parse.crew_deployment(crew_manifest(**changes))


def decided(status, **changes):
    """The access, and what the status will say of it."""
    one = crew(**changes)
    found = access.of(one.spec.crew, status)
    return found, {key: value for key, value in access.told(one, found).items() if value is not None}


def test_a_new_crew_is_closed_by_a_token_of_its_own():
    found, told = decided({})
    assert found == access.Access(ApiAuth.TOKEN, frozenset())
    assert told == {
        "auth": "Token",
        "tokenFrom": {"secretKeyRef": {"name": "concierge-api-token", "key": "token"}},
    }


def test_a_crew_from_before_stays_open_and_says_so():
    found, told = decided(BEFORE)
    assert found.auth is ApiAuth.NONE
    assert found.open_as_before
    assert told == {"auth": "None", "asBefore": ["allowFrom", "auth"]}


@pytest.mark.parametrize("changes", [{"crew__apiTokenFrom": REF}, {"crew__api": {"tokenFrom": REF}}])
def test_a_crew_from_before_that_has_a_token_is_closed_but_reached_from_where_it_was(changes):
    found, told = decided(BEFORE, **changes)
    assert found == access.Access(ApiAuth.TOKEN, frozenset({ALLOW_FROM}))
    assert not found.open_as_before
    assert told["tokenFrom"] == REF


def test_each_word_of_the_spec_ends_the_time_before_for_good():
    _, first = decided(BEFORE)
    found, told = decided({**BEFORE, "api": first}, crew__api={"auth": "Token"})
    assert found == access.Access(ApiAuth.TOKEN, frozenset({ALLOW_FROM}))
    found, told = decided({**BEFORE, "api": told}, crew__api={"allowFrom": []})
    assert found == access.Access(ApiAuth.TOKEN, frozenset())
    # The field is taken away again: it has no past to return to.
    assert decided({**BEFORE, "api": told})[0] == access.Access(ApiAuth.TOKEN, frozenset())


def test_open_by_choice_is_no_relic_and_ends_with_the_choice():
    found, told = decided({}, crew__api={"auth": "None"})
    assert (found.auth, found.open_as_before) == (ApiAuth.NONE, False)
    assert told == {"auth": "None"}
    assert decided({**BEFORE, "api": told})[0].auth is ApiAuth.TOKEN


def test_the_decision_holds_however_often_it_is_made():
    for status in ({}, BEFORE):
        found, told = decided(status)
        assert decided({**BEFORE, "api": told}) == (found, told)


def test_a_spec_that_cannot_be_read_makes_no_new_crew_one_from_before():
    told = access.of_no_spec({})
    assert decided({**BEFORE, "api": told})[0].auth is ApiAuth.TOKEN
    assert access.of_no_spec({**BEFORE, "api": told}) == told


def test_a_spec_that_cannot_be_read_leaves_a_crew_from_before_what_it_is():
    assert access.of_no_spec(BEFORE) is None
    kept = {"auth": "None", "asBefore": [AUTH]}
    assert access.of_no_spec({**BEFORE, "api": kept}) == kept


def test_both_spellings_of_the_token_mean_the_same():
    for changes in ({"crew__apiTokenFrom": REF}, {"crew__api": {"tokenFrom": REF}}):
        one = crew(**changes)
        found = access.of(one.spec.crew, {})
        assert access.token(one, found).name == "api"
        assert not access.is_generated(one, found)
