"""A kickoff as its HASH in Redis holds it: to fields and back. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from crew_server.queue import human, state


def request_fields(request: state.Request) -> dict[str, str]:
    """What was asked for; the scripts write id, session and attempt themselves."""
    fields = {
        "inputs": json.dumps(request.inputs),
        "meta": json.dumps(request.meta),
        "timeout": f"{request.timeout:g}",
    }
    return fields | ({"hooks": json.dumps(request.hooks)} if request.hooks else {})


def claimed(fields: Mapping[str, str]) -> state.Claim:
    """The kickoff that a server was given."""
    request = state.Request(
        kickoff_id=fields["kickoff_id"],
        session_id=fields["session_id"],
        inputs=json.loads(fields["inputs"]),
        meta=json.loads(fields["meta"]),
        timeout=float(fields["timeout"]),
        hooks=json.loads(fields.get("hooks", "{}")),
        ordered="ordered" in fields,
    )
    since = fields.get("resumed_at", fields["created_at"])
    return state.Claim(
        request,
        attempt=int(fields["attempt"]),
        losses=int(fields.get("losses", "0")),
        waited=(int(fields["started_at"]) - int(since)) / 1000,
        resume=_resume(fields),
        completed=int(fields.get("done", "0")),
    )


def _resume(fields: Mapping[str, str]) -> state.Resume | None:
    if "answer" not in fields:
        return None
    answer = json.loads(fields["answer"])
    saved = json.loads(fields["saved"])
    return state.Resume(fields.get("answered", ""), saved, str(answer["feedback"]), answer["approved"] is True)


def claim_fields(claim: state.Claim) -> dict[str, str]:
    """All that a server was given with a claim; the scripts write id, session and attempt themselves."""
    fields = {**request_fields(claim.request), "losses": str(claim.losses), "done": str(claim.completed)}
    if claim.resume is not None:
        resume = claim.resume
        fields |= human.answer_fields(resume.feedback, approved=resume.approved)
        fields |= {"saved": json.dumps(resume.saved), "answered": resume.task_id}
    return fields


def outcome_fields(outcome: state.Outcome) -> dict[str, str]:
    """An outcome, without its status."""
    fields = {"reason": outcome.reason, "error": _utf8(outcome.error), "memory": outcome.memory}
    if outcome.result is not None:
        fields["result"] = json.dumps(outcome.result)
    if outcome.extra:
        fields["extra"] = json.dumps(outcome.extra)
    if outcome.pause is not None:
        fields["asked"] = human.shown(outcome.pause)
    return fields


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """[field, value, ...] as scripts take them."""
    return [one for pair in fields.items() for one in pair]


def unflat(values: list[str]) -> dict[str, str]:
    """The reverse."""
    return dict(zip(values[::2], values[1::2], strict=True))


def _utf8(text: str) -> str:
    """Without lone surrogates, which Redis' encoding does not take and a crew's message may hold."""
    return text.encode("utf-8", "replace").decode()
