import json
import re

import pytest
from pydantic import ValidationError

from crew_server import requests
from crew_server.errors import MissingInputsError, RequestError


@pytest.mark.parametrize("text", ["guest-7", "a" * 256, "Zoë/日本", "a b"])
def test_printable_session_ids_are_taken_as_they_are(text):
    assert requests.session_id(text, None) == text
    assert requests.session_id(None, text) == text
    assert requests.session_id(text, text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" * 257, "at most 256"),
        ("a\nb", "control"),
        ("\x00", "control"),
        ("\ud800", "Unicode"),
        ("", "empty"),
        (" ", "empty"),
    ],
)
def test_unusable_session_ids_are_refused_with_the_rule(text, words):
    with pytest.raises(RequestError, match=words) as caught:
        requests.session_id(text, None)
    assert caught.value.field == "session_id"


def test_two_different_session_ids_are_refused():
    with pytest.raises(RequestError, match="differ"):
        requests.session_id("a", "b")


def test_no_session_id_is_none():
    assert requests.session_id(None, None) is None


def test_missing_inputs_are_all_named():
    with pytest.raises(MissingInputsError) as caught:
        requests.checked_inputs({"city": 1}, ["guest", "city", "date"])
    assert caught.value.missing == ("date", "guest")


def test_no_inputs_at_all_are_fine_where_crewai_would_ask_for_none():
    assert requests.checked_inputs({}, ["guest"], always=False) == {}
    assert requests.checked_inputs(None, ["guest"], always=False) == {}
    with pytest.raises(MissingInputsError, match=r"spec\.crew\.inputs"):
        requests.checked_inputs({"city": 1}, ["guest", "city"], always=False)
    with pytest.raises(MissingInputsError):
        requests.checked_inputs({}, ["guest"], always=True)


def test_more_inputs_than_asked_for_are_fine():
    assert requests.checked_inputs({"a": 1, "b": None}, ["a"]) == {"a": 1, "b": None}
    assert requests.checked_inputs(None, []) == {}


@pytest.mark.parametrize(
    ("body", "header", "key"),
    [
        (None, None, None),
        ("a", None, "a"),
        (None, "a", "a"),
        (None, '"a b"', "a b"),
        ("a", '"a"', "a"),
        (None, '"', '"'),
    ],
)
def test_idempotency_key_comes_from_body_or_header_with_or_without_quotes(body, header, key):
    assert requests.idempotency_key(body, header) == key


@pytest.mark.parametrize(("body", "header"), [("", None), (None, ""), (None, '""'), ("x" * 256, None), ("a", "b")])
def test_unusable_idempotency_keys_are_refused(body, header):
    with pytest.raises(RequestError) as caught:
        requests.idempotency_key(body, header)
    assert caught.value.field == "idempotency_key"


def test_fingerprint_is_of_what_was_asked_not_of_how_it_was_written():
    def of(session="s", **body):
        return requests.fingerprint(requests.KickoffRequest(**body), session)

    assert of(inputs={"a": 1, "b": 2}) == of(inputs={"b": 2, "a": 1}, idempotency_key="k")
    assert of(inputs={}) == of(inputs=None)
    different = [of(), of(inputs={"a": 1}), of(inputs={"a": "1"}), of(meta={"a": 1}), of(session="t"), of(session=None)]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"inputs": {"prices": [1, %s]}}', "inputs.prices.1"),
        ('{"inputs": {}, "meta": {"a": {"b": %s}}}', "meta.a.b"),
    ],
)
def test_a_number_that_is_none_is_refused_at_the_door_with_its_place(number, body, place):
    with pytest.raises(ValidationError, match=re.escape(place)):
        requests.KickoffRequest(**json.loads(body % number))


def test_deep_bodies_are_looked_through_without_recursion():
    deep = []
    for _ in range(50_000):
        deep = [deep]
    assert requests.not_finite(deep) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "bearer", "token": "tokén"},
        {"strategy": "bearer", "token": "a\nb"},
        {"strategy": "basic", "username": "a:b", "password": "c"},
    ],
)
def test_what_no_header_can_carry_is_no_secret_of_a_webhook(fields):
    with pytest.raises(ValidationError):
        requests.Authentication(**fields)


def test_a_password_may_have_any_letters():
    requests.Authentication(strategy="basic", username="Zoë", password="pässwörd")
