"""What a rehearsal makes up and how it judges, without a kickoff."""

import datetime
import decimal
import enum
import socket
import uuid
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field, HttpUrl, field_validator

from crew_runtime.crewai.rehearsing import judging, network, samples
from crew_runtime.crewai.rehearsing.llms import AskedTooOftenError
from crew_runtime.errors import BackendUnavailableError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    number: Annotated[int, Field(gt=3, multiple_of=5)]
    ratio: Annotated[float, Field(gt=0, lt=0.5)]
    below: Annotated[int, Field(lt=-3)]
    most: Annotated[float, Field(le=-2.5)]


class Tree(BaseModel):
    name: str
    children: list["Tree"]
    parent: Optional["Tree"]


class Everything(BaseModel):
    colour: Colour
    kind: Literal["a", "b"]
    inner: Inner
    inners: Annotated[list[Inner], Field(min_length=2)]
    unique: Annotated[set[str], Field(min_length=3)]
    pair: tuple[int, str]
    day: datetime.date
    at: datetime.datetime
    clock: datetime.time
    span: datetime.timedelta
    id: uuid.UUID
    price: decimal.Decimal
    link: HttpUrl
    either: int | str
    maybe: str | None
    mapping: dict[str, int]
    anything: Any
    short: Annotated[str, Field(max_length=3)]
    long: Annotated[str, Field(min_length=40)]
    code: bytes
    tree: Tree
    given: int = 7


def test_a_value_is_made_up_for_every_kind_of_field():
    made = samples.of_model(Everything, "rehearsal")
    assert made.colour is Colour.RED
    assert len(made.inners) == 2
    assert len(made.unique) == 3
    assert (made.maybe, made.given) == (None, 7)
    assert Everything.model_validate_json(made.model_dump_json()) == made


def test_a_model_that_needs_itself_has_none():
    class Endless(BaseModel):
        more: "Endless"

    with pytest.raises(samples.NoSampleError, match="Endless"):
        samples.of_model(Endless, "x")


def test_a_rule_that_no_schema_tells_has_none():
    class Ruled(BaseModel):
        word: str

        @field_validator("word")
        @classmethod
        def known(cls, word: str) -> str:
            raise ValueError(f"not {word}")

    with pytest.raises(samples.NoSampleError, match="not x"):
        samples.of_model(Ruled, "x")


def raised(error, cause=None):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "answers", "skipped", "is_open"),
    [
        (raised(ValueError("no key")), 0, False, False),
        (raised(ValueError("no key")), 3, False, False),
        (raised(ValueError("no key")), 0, True, True),
        (raised(ValueError("x"), raised(network.NetworkClosedError("closed"))), 0, False, True),
        (raised(ValueError("x"), raised(samples.NoSampleError("none"))), 1, False, True),
        (raised(RuntimeError("x"), raised(AskedTooOftenError("again"))), 201, False, True),
    ],
)
def test_only_what_no_stand_in_can_cause_is_held_against_the_crew(error, answers, skipped, is_open):
    found = judging.of_error(error, answers, skipped_inputs=skipped)
    assert bool(found.note) is is_open
    assert bool(found.error) is not is_open
    assert (found.note or found.error).endswith(judging.named(error))


def test_an_answer_that_crewai_cannot_read_leaves_the_question_open():
    from crewai.agents import parser

    with pytest.raises(parser.OutputParserError) as caught:
        parser.parse("neither an action nor an answer")
    assert judging.of_error(caught.value, 1, skipped_inputs=False).note
    assert judging.of_error(caught.value, 0, skipped_inputs=False).error, "nobody had answered yet"


def test_a_backend_that_fails_is_not_the_crews_fault():
    below = raised(BackendUnavailableError("no connection", "Refused"))
    with pytest.raises(BackendUnavailableError):
        judging.of_error(raised(ValueError("x"), below), 0, skipped_inputs=False)


def test_a_long_message_is_cut():
    assert len(judging.named(ValueError("x" * 100_000))) < 3000


def test_the_network_is_closed_but_for_the_backend_and_opens_again():
    with socket.create_server(("127.0.0.1", 0)) as backend, socket.create_server(("127.0.0.1", 0)) as other:
        allowed, refused = backend.getsockname()[1], other.getsockname()[1]
        with network.closed(f"redis://localhost:{allowed}/0") as tried:
            socket.create_connection(("127.0.0.1", allowed)).close()
            socket.create_connection(("localhost", allowed)).close()
            with pytest.raises(network.NetworkClosedError):
                socket.create_connection(("127.0.0.1", refused))
            with pytest.raises(network.NetworkClosedError):
                socket.getaddrinfo("models.example.com", 443)
        assert [one.partition(" ")[0] for one in tried] == [f"127.0.0.1:{refused}", "models.example.com"]
        assert all("test_rehearsing.py" in one for one in tried)
        socket.create_connection(("127.0.0.1", refused)).close()
