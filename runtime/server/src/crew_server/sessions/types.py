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
    kickoffs: int = Field(description="Whose inputs and results are kept.")
    running: int = Field(description="Kickoffs that run, or wait for a slot or for a person, now.")


class Erased(BaseModel):
    """The answer to DELETE /sessions/{session_id}: how much there was of each kind."""

    session_id: str
    records: int
    flow_states: int
    pending_feedback: int
    task_outputs: int
    checkpoints: int
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
    kickoffs: list[dict[str, Any]] = Field(default=[], description="Inputs, meta and outcome, oldest first.")
