"""What the command line calls a place."""

import pytest

from crew_runtime.contract import moving
from crewctl.errors import UsageError
from crewctl.moving import words
from crewctl.moving.words import Crew

URL = "rediss://user:p%40ss@host:6380/0"


def read(word, url=URL):
    return words.read(word, url, "THE_URL", "ca.pem", "openai/x")


@pytest.mark.parametrize("word", ["./memory", "/a/memory", "..", ".", "a/b", "lancedb:a", "lancedb:/a"])
def test_a_folder(word):
    found = read(word)
    assert (found.kind, found.path, found.embedder) == (moving.FOLDER, word.removeprefix("lancedb:"), "openai/x")


def test_crewais_own_folder():
    assert read("lancedb:").path == ""


def test_a_store():
    found = read("redis:hotel/concierge")
    assert (found.kind, found.key_prefix, found.url, found.ca_file) == (moving.REDIS, "hotel/concierge", URL, "ca.pem")


@pytest.mark.parametrize("word", ["concierge", "a", "my-crew.v2"])
def test_a_crew(word):
    assert read(word) == Crew(word)


@pytest.mark.parametrize("word", ["", "Concierge", "-a", "a-", "a b", "a" * 254])
def test_no_place(word):
    with pytest.raises(UsageError, match="is no place of memories"):
        read(word)


@pytest.mark.parametrize(
    ("word", "url", "said"),
    [
        ("redis:", URL, "needs a key prefix"),
        ("redis:a b", URL, "needs a key prefix"),
        ("redis:{a}", URL, "needs a key prefix"),
        ("redis://host/0", URL, "not on the command line"),
        ("redis:a", "", "say by the variable THE_URL"),
        ("redis:a", "redis://:1234/secret@host/0", "the URL in THE_URL is none"),
        ("redis:a", "http://host", "the URL in THE_URL is none"),
    ],
)
def test_no_store(word, url, said):
    with pytest.raises(UsageError, match=said) as raised:
        read(word, url)
    assert "secret" not in str(raised.value)
