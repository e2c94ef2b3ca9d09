"""What a guest says to one replica, and what it answers: HTTP to that pod's own address, past every Service."""

import time
from dataclasses import dataclass

import httpx

from crew_runtime.contract import HTTP_PORT
from crewctl.demo import waiting
from crewctl.errors import CrewctlError
from crewctl.kube import Manifest

KICKOFF_WAIT = 60
"""Seconds that a replica may take for one kickoff."""


@dataclass(frozen=True)
class Answer:
    """A kickoff that completed."""

    text: str
    replica: str
    seconds: float
    memory: str


class KickoffError(CrewctlError):
    """A kickoff ended otherwise than completed."""


def ask(pod: Manifest, message: str, session: str, token: str | None) -> Answer:
    """Say it to the replica in `pod`; `token`: its API's. Raises KickoffError, or WaitedInVainError when it stays
    unavailable."""
    url = f"http://{pod['status']['podIP']}:{HTTP_PORT}/kickoff"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"inputs": {"message": message}, "session_id": session}

    def attempt() -> tuple[Answer | None, object]:
        began = time.monotonic()
        try:
            response = httpx.post(
                url,
                params={"wait": KICKOFF_WAIT},
                json=body,
                headers=headers,
                timeout=KICKOFF_WAIT + 5,
                trust_env=False,
            )
        except httpx.TransportError as error:
            return None, repr(error)
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None, response.text
        return _answer(response, str(pod["metadata"]["name"]), time.monotonic() - began), None

    return waiting.wait_for(waiting.ANSWERED, attempt)


def _answer(response: httpx.Response, pod: str, seconds: float) -> Answer:
    if response.is_error:
        raise KickoffError(f"{pod} refused the kickoff: {response.status_code} {response.text[:500]}")
    seen = response.json()
    if seen.get("status") != "completed":
        why = seen.get("error") or seen.get("status") or seen
        raise KickoffError(f"the kickoff on {pod} ended as {seen.get('status')}: {why}")
    return Answer(str(seen["result"]["output"]), str(seen.get("replica") or pod), seconds, str(seen.get("memory", "")))
