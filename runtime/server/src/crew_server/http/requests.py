"""What a client sends, as types, and the checks that need more than types. Pure."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from crew_server.errors import MissingInputsError, RequestError

MAX_SESSION_ID = 256
"""Characters. It becomes part of keys and scopes, and is logged with every kickoff."""

MAX_IDEMPOTENCY_KEY = 255
"""Characters."""

MAX_FEEDBACK = 100_000
"""Characters."""


class KickoffRequest(BaseModel):
    """The body of POST /kickoff."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any] | None = Field(
        default=None, description="Values for the placeholders in the crew's texts; GET /inputs names them."
    )
    session_id: str | None = Field(
        default=None,
        description="Whose memory the kickoff sees. Also taken from X-Session-Id; made up and returned when absent.",
    )
    meta: dict[str, Any] | None = Field(default=None, description="Kept with the kickoff; the crew does not see it.")
    idempotency_key: str | None = Field(
        default=None,
        description="The same key again, within 7 days, is the same kickoff. Also taken from Idempotency-Key.",
    )


class ResumeRequest(BaseModel):
    """The body of POST /resume, with the names of CrewAI's platform."""

    model_config = ConfigDict(extra="forbid", strict=True)

    execution_id: str = Field(description="The kickoff's id.")
    task_id: str = Field(description="Of the question, as the status told it; each question has its own.")
    human_feedback: str = Field(
        default="", max_length=MAX_FEEDBACK, description="What to change; needed when is_approve is false."
    )
    is_approve: bool = Field(description="true: what was shown is taken as it is; false: it is done again.")


class Resumed(BaseModel):
    """The answer to POST /resume."""

    status: str = Field(description="`resumed` after an approval, `retrying` when the agent tries again.")
    message: str
    kickoff_id: str
    session_id: str


class KickoffAccepted(BaseModel):
    """The answer to POST /kickoff."""

    kickoff_id: str = Field(description="For GET /status/{kickoff_id}.")
    session_id: str = Field(description="Send it with the next kickoff to have the same memory.")


class InputNames(BaseModel):
    """The answer to GET /inputs."""

    inputs: list[str] = Field(description="Names that POST /kickoff needs in 'inputs'.")


def session_id(body: str | None, header: str | None) -> str | None:
    """The session that the request names, or None. Raises RequestError when it cannot be one."""
    if body is not None and header is not None and body != header:
        raise RequestError("session_id", "session_id and the header X-Session-Id differ; send one of them")
    chosen = body if body is not None else header
    if chosen is None:
        return None
    if not chosen.strip():
        raise RequestError("session_id", "session_id is empty; leave it out to have one made up")
    if len(chosen) > MAX_SESSION_ID:
        text = f"session_id has {len(chosen)} characters; at most {MAX_SESSION_ID} are allowed"
        raise RequestError("session_id", text)
    # Cc: control characters. Cs: lone surrogates, which no key and no log line can hold.
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in chosen):
        raise RequestError("session_id", "session_id holds control characters or broken Unicode; use printable text")
    return chosen


def idempotency_key(body: str | None, header: str | None) -> str | None:
    """The key that the request names, or None. Raises RequestError when it cannot be one.

    draft-ietf-httpapi-idempotency-key-header has the header as a string in quotes; most clients leave them out.
    """
    if header is not None and len(header) > 1 and header[0] == header[-1] == '"':
        header = header[1:-1]
    if body is not None and header is not None and body != header:
        raise RequestError("idempotency_key", "idempotency_key and the header Idempotency-Key differ; send one of them")
    chosen = body if body is not None else header
    if chosen is not None and not 0 < len(chosen) <= MAX_IDEMPOTENCY_KEY:
        text = f"an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY} characters; a UUID is a good one"
        raise RequestError("idempotency_key", text)
    return chosen


def checked_feedback(body: ResumeRequest) -> str:
    """The feedback. Raises RequestError when there is neither approval nor any."""
    if not body.is_approve and not body.human_feedback.strip():
        text = "is_approve is false, and human_feedback does not say what to change: write it, or approve"
        raise RequestError("human_feedback", text)
    return body.human_feedback


def fingerprint(body: KickoffRequest, session: str | None) -> str:
    """SHA-256 of what is asked for, by which two requests with one key are told apart."""
    asked = {"inputs": body.inputs or {}, "session": session, "meta": body.meta or {}}
    return digest(json.dumps(asked, sort_keys=True))


def digest(text: str) -> str:
    """SHA-256 in hex; of any text, also of one that is no good Unicode."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def checked_inputs(inputs: Mapping[str, Any] | None, wanted: Iterable[str]) -> Mapping[str, Any]:
    """The inputs. Raises MissingInputsError when the crew's texts ask for more."""
    given = inputs or {}
    if missing := sorted(set(wanted) - set(given)):
        raise MissingInputsError(missing)
    return given
