"""Field sets: by properties over random objects of a schema with every kind of list."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcluster.apiserver import apply, fields
from localcluster.apiserver.apply import Writer

NODE = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}},
        },
    },
}
word = st.sampled_from(["a", "b", "c"])
objects = st.fixed_dictionaries(
    {},
    optional={
        "text": word,
        "map": st.dictionaries(word, word, min_size=1),
        "whole": st.lists(word),
        "set": st.lists(word, unique=True, min_size=1),
        "items": st.lists(
            st.fixed_dictionaries({"name": word}, optional={"value": word}),
            unique_by=lambda one: one["name"],
            min_size=1,
        ),
    },
)


def writer(manager: str) -> Writer:
    return Writer(manager, "Apply", "v1", "2026-01-01T00:00:00Z")


def applied(live: dict[str, Any] | None, sent: dict[str, Any], manager: str) -> dict[str, Any]:
    body = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, **sent}
    return apply.apply(NODE, live, body, writer(manager), force=True)


def content(manifest: dict[str, Any]) -> dict[str, Any]:
    return fields.tracked(manifest)


@given(objects)
def test_fields_survive_being_written_down(value: dict[str, Any]) -> None:
    paths = fields.owned(NODE, value) - {()}
    assert fields.from_v1(fields.to_v1(paths)) == paths


@given(objects, objects)
def test_only_what_differs_is_changed(old: dict[str, Any], new: dict[str, Any]) -> None:
    changed, removed = fields.difference(NODE, old, new)
    assert bool(changed or removed) == (not _same(old, new))


def _same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Equal but for the order of sets and associative lists."""

    def loose(value: dict[str, Any]) -> dict[str, Any]:
        kept = dict(value)
        for key in ("set", "items"):
            if key in kept:
                kept[key] = sorted(json.dumps(one, sort_keys=True) for one in kept[key])
        return kept

    return loose(old) == loose(new)


@given(objects, objects)
def test_one_managers_object_becomes_what_he_applied_last(first: dict[str, Any], second: dict[str, Any]) -> None:
    left = applied(applied(None, first, "one"), second, "one")
    assert _same(content(left), second)


@given(objects, objects)
def test_applying_twice_is_applying_once(first: dict[str, Any], second: dict[str, Any]) -> None:
    once = applied(applied(None, first, "one"), second, "two")
    assert applied(once, second, "two") == once


@given(objects, objects)
def test_who_leaves_takes_only_his_own(first: dict[str, Any], second: dict[str, Any]) -> None:
    both = applied(applied(None, first, "one"), second, "two")
    left = applied(both, {}, "one")
    assert _same(content(left), second)
