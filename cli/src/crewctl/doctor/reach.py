"""The only door to the replicas: through the API server's pod proxy, or at the pod's own address where that is of no
use. The first needs a kubeconfig and nothing more, the second a network in which pods can be reached.
"""

from dataclasses import dataclass
from typing import Any

import httpx

from crew_runtime.contract import HEALTH_PORT, HTTP_PORT
from crew_runtime.contract import report as reports
from crew_runtime.contract.report import Failure, Report
from crewctl import bounded
from crewctl.doctor.facts import Readiness, Step
from crewctl.errors import CrewctlError
from crewctl.kube import Kube

REPORT_SECONDS = 5.0
PROOF_SECONDS = 12.0
"""The server half itself gives up after 5."""
DIRECT_SECONDS = 3.0
"""To connect; from a laptop there is mostly no way."""
_NO_PROXY = frozenset({401, 403, 404, 405})


class UnreachableError(CrewctlError):
    """A replica gave no answer of its own; the message says what was tried."""


@dataclass(frozen=True)
class Pod:
    """Where a replica is."""

    name: str
    ip: str


class Reach:
    """Asks replicas of one namespace. What they answer is a claim by a stranger: all but `proof` raise UnreadableError
    for what is not read on.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.directly = False
        """Whether some answer came from a pod's own address."""

    def report(self, pod: Pod) -> Report:
        """What the replica says of itself. Raises UnreachableError."""
        answer = self._ask(pod, "report", None, REPORT_SECONDS)
        try:
            return reports.from_dict(answer.json())
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UnreachableError(f"what answers at port {HEALTH_PORT} is no replica: {answer.text[:200]}") from error

    def readiness(self, pod: Pod) -> Readiness:
        """What its readiness probe says. Raises UnreachableError."""
        told = _object(self._ask(pod, "readyz", None, REPORT_SECONDS))
        return Readiness(told.get("ready") is True, str(told.get("reason", "")), str(told.get("message", "")))

    def proof(self, pod: Pod, action: str, nonce: str) -> Step:
        """`write`, `read` or `forget` a nonce through the replica's CrewAI memory. Never raises."""
        try:
            answer = self._ask(pod, "proof", {"action": action, "nonce": nonce}, PROOF_SECONDS)
        except CrewctlError as error:
            return Step(pod.name, done=False, error=str(error))
        told = _object(answer)
        if answer.is_error:
            why = told.get("detail") or told.get("message") or answer.text[:200]
            return Step(pod.name, done=False, error=str(why))
        return Step(pod.name, told.get("ok") is True, told.get("found") is True, str(told.get("error") or ""))

    def failures(self, pod: Pod, token: str | None) -> tuple[Failure, ...]:
        """The last failures with their texts, which the API alone tells. Raises UnreachableError."""
        answer = self._ask(pod, "failures", None, REPORT_SECONDS, port=HTTP_PORT, token=token)
        if answer.is_error:
            raise UnreachableError(f"{answer.status_code} {_object(answer).get('reason', '')}".rstrip())
        try:
            return reports.failures_from(_object(answer).get("failures", ()))
        except (ValueError, TypeError, AttributeError) as error:
            raise UnreachableError(f"what answers at port {HTTP_PORT} is no replica: {answer.text[:200]}") from error

    def _ask(
        self,
        pod: Pod,
        path: str,
        body: dict[str, str] | None,
        seconds: float,
        *,
        port: int = HEALTH_PORT,
        token: str | None = None,
    ) -> httpx.Response:
        answer = self._kube.ask_pod(pod.name, port, path, body, seconds, token)
        status = _status(answer)
        if status is None:
            return answer
        tried = f"the API server's proxy: {answer.status_code} {status.get('message', '')}"
        if answer.status_code not in _NO_PROXY and answer.status_code < 500:
            raise UnreachableError(tried)
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        timeout = httpx.Timeout(seconds, connect=DIRECT_SECONDS)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(trust_env=False) as http:
                answer = bounded.ask(http, f"http://{host}:{port}/{path}", body, timeout, headers)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{tried}; {pod.ip} itself: {str(error) or type(error).__name__}") from error
        self.directly = True
        return answer


def _status(answer: httpx.Response) -> dict[str, Any] | None:
    """The API server's own refusal; None when the pod answered."""
    told = _object(answer)
    return told if answer.is_error and told.get("kind") == "Status" else None


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
