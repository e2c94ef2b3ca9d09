"""What a client sends, as types, and the checks that need more than types. Pure."""

import hashlib
import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crew_server.errors import MissingInputsError, RequestError
from crew_server.webhooks import receivers

MAX_SESSION_ID = 256
"""Characters. It becomes part of keys and scopes, and is logged with every kickoff."""

MAX_IDEMPOTENCY_KEY = 255
"""Characters."""

MAX_FEEDBACK = 100_000
"""Characters."""
MAX_SECRET = 4096
"""Characters."""

_FILES = ("input_files", "inputFiles")
_HOOKS = {"task_webhook_url", "step_webhook_url", "crew_webhook_url"}
MAX_FOR_EACH = 1000
"""Kickoffs of one request."""


class Authentication(BaseModel):
    """How a webhook's receiver knows its sender; the names are those of CrewAI's platform."""

    model_config = ConfigDict(extra="forbid", strict=True)

    strategy: Literal["bearer", "basic"]
    token: str | None = Field(default=None, max_length=MAX_SECRET, description="Of `bearer`.")
    username: str | None = Field(default=None, max_length=MAX_SECRET, description="Of `basic`.")
    password: str | None = Field(default=None, max_length=MAX_SECRET, description="Of `basic`.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = ("token",) if self.strategy == "bearer" else ("username", "password")
        values = {name: getattr(self, name) for name in ("token", "username", "password")}
        if {name for name, one in values.items() if one is not None} != set(needed):
            raise ValueError(f"{self.strategy} needs {' and '.join(needed)}, and nothing else")
        if any(not one.isprintable() for one in values.values() if one is not None):
            raise ValueError("a secret holds control characters; a header cannot")
        if self.token is not None and not self.token.isascii():
            raise ValueError("a bearer token has letters outside ASCII; a header cannot")
        if ":" in (self.username or ""):
            raise ValueError("a user name has a colon; basic authentication parts user and password by it")
        return self


class HumanInputWebhook(BaseModel):
    """Where a kickoff tells that it waits for a person."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str
    authentication: Authentication | None = None


class _Body(BaseModel):
    """What every request is: JSON as the standard has it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _finite(cls, data: Any) -> Any:
        """NaN and Infinity, which Python's decoder takes and no other client could read back."""
        if place := not_finite(data):
            raise ValueError(f"{place} is not a finite number; JSON has no NaN and no Infinity: send null or a text")
        return data


class _Webhooks(_Body):
    """Where a kickoff tells what; camelCase where CrewAI's platform has it so."""

    task_webhook_url: str | None = Field(
        default=None, alias="taskWebhookUrl", description="Is POSTed the output of each task that has completed."
    )
    step_webhook_url: str | None = Field(
        default=None, alias="stepWebhookUrl", description="Is POSTed each use of a tool and each agent's answer."
    )
    crew_webhook_url: str | None = Field(
        default=None, alias="crewWebhookUrl", description="Is POSTed the end of the kickoff, however it ended."
    )
    human_input_webhook: HumanInputWebhook | None = Field(
        default=None, alias="humanInputWebhook", description="Is POSTed each question to a person."
    )


class _Options(_Webhooks):
    """What goes with a kickoff beside its inputs."""

    session_id: str | None = Field(
        default=None,
        description="Whose memory the kickoff sees. Also taken from X-Session-Id; made up and returned when absent.",
    )
    meta: dict[str, Any] | None = Field(default=None, description="Kept with the kickoff; the crew does not see it.")
    idempotency_key: str | None = Field(
        default=None,
        description="The same key again, within a day, is the same kickoff. Also taken from Idempotency-Key.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_files(cls, data: Any) -> Any:
        """CrewAI's `input_files` are Python objects, for which JSON has no form."""
        if isinstance(data, dict) and not data.keys().isdisjoint(_FILES):
            raise ValueError(
                "files cannot be sent with a kickoff: give a URL or a path as one of the inputs, and have the crew's "
                "@before_kickoff make a file of it"
            )
        return data


class KickoffRequest(_Options):
    """The body of POST /kickoff."""

    inputs: dict[str, Any] | None = Field(
        default=None, description="Values for the placeholders in the crew's texts; GET /inputs names them."
    )


class ForEachRequest(_Options):
    """The body of POST /kickoff_for_each."""

    inputs: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_FOR_EACH, description="The inputs of one kickoff each."
    )

    def each(self) -> "list[KickoffRequest]":
        """The single kickoffs; each has an idempotency key of its own."""
        shared = self.model_dump(by_alias=True, exclude={"inputs", "idempotency_key"})
        return [KickoffRequest(**shared, inputs=one) for one in self.inputs]


class ResumeRequest(_Webhooks):
    """The body of POST /resume, with the names of CrewAI's platform. Webhooks that are not given stay as they were."""

    execution_id: str = Field(description="The kickoff's id.")
    task_id: str = Field(description="Of the question, as the status has it; each question has its own.")
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


class Stopped(BaseModel):
    """The answer to POST /stop, in the names of CrewAI's platform."""

    status: Literal["stopped"] = "stopped"
    kickoff_id: str = Field(serialization_alias="kickoffId")


class KickoffAccepted(BaseModel):
    """The answer to POST /kickoff."""

    kickoff_id: str = Field(description="For GET /status/{kickoff_id}.")
    session_id: str = Field(description="Send it with the next kickoff to have the same memory.")


class InputNames(BaseModel):
    """The answer to GET /inputs."""

    inputs: list[str] = Field(description="Names that POST /kickoff takes in 'inputs'.")


def not_finite(data: Any) -> str:
    """Where the first number that is none lies, such as `inputs.prices.0`; `` when there is none."""
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        place, one = waiting.pop()
        if isinstance(one, float) and not math.isfinite(one):
            return place.lstrip(".") or "body"
        if isinstance(one, Mapping):
            waiting += [(f"{place}.{name}", inner) for name, inner in one.items()]
        elif isinstance(one, list):
            waiting += [(f"{place}.{at}", inner) for at, inner in enumerate(one)]
    return ""


def hooks(body: _Webhooks, hosts: Sequence[str]) -> dict[str, Any]:
    """Where what is told, as `state.Request.hooks`. Raises RequestError for what is no receiver's URL."""
    found: dict[str, Any] = {}
    for channel in ("task", "step", "crew"):
        url = getattr(body, f"{channel}_webhook_url")
        if url is None:
            continue
        found[channel] = {"url": _receiver(url, hosts, f"{channel}WebhookUrl", f"{channel}WebhookUrl")}
    if human := body.human_input_webhook:
        url = _receiver(human.url, hosts, "humanInputWebhook", "humanInputWebhook.url")
        found["human"] = {**human.model_dump(exclude_none=True), "url": url}
    return found


def _receiver(url: str, hosts: Sequence[str], field: str, place: str) -> str:
    try:
        return receivers.checked(url, hosts)
    except receivers.ReceiverError as error:
        raise RequestError(field, f"{place} {error}") from error


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
    human = {"human": body.human_input_webhook.url} if body.human_input_webhook else {}
    hooks = human | {name: url for name, url in body.model_dump(include=_HOOKS).items() if url is not None}
    return digest(json.dumps(asked | hooks, sort_keys=True))


def digest(text: str) -> str:
    """SHA-256 in hex; of any text, also of one that is no good Unicode."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def checked_inputs(
    inputs: Mapping[str, Any] | None, wanted: Iterable[str], *, always: bool = True
) -> Mapping[str, Any]:
    """The inputs. Raises MissingInputsError when a kickoff has to give more; none at all may do unless `always`."""
    given = inputs or {}
    if not given and not always:
        return given
    if missing := sorted(set(wanted) - set(given)):
        raise MissingInputsError(missing)
    return given
