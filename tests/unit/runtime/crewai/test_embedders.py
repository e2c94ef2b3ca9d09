"""Names of embedders, and when two are of one."""

import pytest

from crew_runtime.crewai.embedders import identity


class Shape:
    model_name = "small"


def shape(texts):
    return texts


@pytest.mark.parametrize(
    ("embedder", "name"),
    [
        (None, ""),
        ({"provider": "openai", "config": {"model_name": "text-embedding-3-small"}}, "openai/text-embedding-3-small"),
        ({"provider": "ollama", "config": {"model": "nomic"}}, "ollama/nomic"),
        ({"provider": "custom", "config": {"embedding_callable": Shape}}, "custom/Shape"),
        ({"provider": "openai"}, "openai"),
        (shape, "shape"),
        (Shape(), "Shape/small"),
        (Shape, "Shape/small"),
    ],
)
def test_an_embedder_has_a_name(embedder, name):
    assert identity.name(embedder) == name


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("openai/small", "openai/small", False),
        ("openai/small", "openai/large", True),
        ("openai/small", "cohere/small", True),
        ("openai", "openai/large", False),
        ("openai", "cohere", True),
    ],
)
def test_two_names_may_be_of_one(one, other, differ):
    assert identity.differ(one, other) is identity.differ(other, one) is differ
    assert bool(identity.mismatch(one, other, "cs:{a/b}:meta")) is differ


def test_a_mismatch_names_both_and_a_way_out():
    told = identity.mismatch("openai/small", "openai/large", "cs:{a/b}:meta")
    for part in ("openai/small", "openai/large", "keyPrefix", "HDEL cs:{a/b}:meta embedder"):
        assert part in told
