"""What the API says of sessions. Times are Unix seconds."""

from typing import Any

from pydantic import BaseModel, Field


class Session(BaseModel):
    """One session that used the crew's memory."""

    session_id: str
    records: int = Field(description="Memories that belong to it.")
    first_used: float = Field(description="Unix time.")
    last_used: float = Field(
        description="Unix time of the last read or write, exact to a tenth of spec.memory.sessionTTL (or a minute)."
    )
    expires: float | None = Field(description="Unix time at which it ends unless it is used; null: never.")


class SessionPage(BaseModel):
    """The answer to GET /sessions."""

    sessions: list[Session] = Field(description="Newest first, by their first use.")
    cursor: str | None = Field(description="Send it as ?cursor= to go on; null: these were the last.")


class SessionDetails(BaseModel):
    """The answer to GET /sessions/{session_id}."""

    session_id: str
    records: int = Field(description="Memories that belong to it.")
    first_used: float | None = Field(description="Unix time; null: its memory was not used.")
    last_used: float | None = Field(description="Unix time; null: its memory was not used.")
    expires: float | None = Field(description="Unix time at which it ends unless it is used; null: never.")
    flow_states: int = Field(description="Flow states kept under its id.")
    pending_feedback: int = Field(description="Of these, how many wait for a human's answer.")
    messages: int = Field(description="What was said in it, as kept for LangChain.")
    kickoffs: int = Field(description="Whose inputs and results are kept.")
    running: int = Field(description="Kickoffs that run, or wait for a slot or for a person, now.")


class Message(BaseModel):
    """One message of a session, as LangChain's `messages_from_dict` takes it."""

    type: str = Field(description="human, ai, system, tool, or another of LangChain's.")
    data: dict[str, Any] = Field(
        description="`content` (a text, or a list of blocks), `id`, and what else belongs to the type. Of a kickoff's "
        "own: `additional_kwargs.crewops` with `kickoff_id` and `at` (Unix time)."
    )


class MessagePage(BaseModel):
    """The answer to GET /sessions/{session_id}/messages."""

    session_id: str
    messages: list[Message] = Field(description="Newest first.")
    unreadable: int = Field(description="How many of this page were left out: others wrote them, in no known format.")
    total: int = Field(description="Of the session, on all pages.")
    cursor: str | None = Field(description="Send it as ?cursor= to go on; null: these were the last.")


class Erased(BaseModel):
    """The answer to DELETE /sessions/{session_id}: how much there was of each kind."""

    session_id: str
    records: int
    flow_states: int
    pending_feedback: int
    task_outputs: int
    checkpoints: int
    messages: int
    kickoffs: int


class Export(BaseModel):
    """All that is kept of a session."""

    session_id: str
    first_used: float | None
    last_used: float | None
    expires: float | None
    records: list[dict[str, Any]] = Field(
        default=[], description="Memories as CrewAI names their fields, oldest first."
    )
    flow_states: list[dict[str, Any]] = Field(description="State and, while feedback is awaited, its context.")
    task_outputs: list[dict[str, Any]] = Field(description="Of its last kickoff's tasks, as kept for a replay.")
    messages: list[Message] = Field(default=[], description="What was said in it, oldest first.")
    kickoffs: list[dict[str, Any]] = Field(default=[], description="Inputs, meta and outcome, oldest first.")
