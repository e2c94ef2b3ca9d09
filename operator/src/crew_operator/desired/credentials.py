"""When do new credentials roll the pods that use them? Decided by the versions of their Secrets, never by a digest of
what is in them: whoever may read a Deployment could try weak passwords against that.

A Secret's version also changes when only its labels do. What the process remembers of the content tells the two apart;
a process that has just started and finds another version than the status names rolls the pods, to be safe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crew_operator.api import names
from crew_operator.desired import metadata

REDIS = names.REDIS
CREW = names.CREW
"""The workloads, by their names in the status."""
API_TOKEN = "apiToken"  # noqa: S105 - what for, in `Credentials.versions`
"""Of the crew's API, whoever made it: a Secret that changes its maker and no more rolls nothing."""
HISTORY_URL = "historyUrl"
"""Of the Postgres with the durable history."""


@dataclass(frozen=True)
class Credentials:
    """What a workload is let in with."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """What for -> uid and resourceVersion of the Secret."""
    content: str = ""
    """Keyed digest of the values; kept in memory only."""

    @property
    def seen(self) -> str:
        """Digest of the versions, for the status."""
        return metadata.checksum(dict(self.versions)) if self.versions else ""


def version(secret: Mapping[str, Any] | None) -> str:
    """Of a Secret: another one after each change of it, and for another Secret of its name."""
    about = (secret or {}).get("metadata") or {}
    return f"{about.get('uid', '')}.{about.get('resourceVersion', '')}"


def changed(now: Credentials, recorded: str, past: Sequence[Credentials]) -> bool:
    """Whether the pods that run were made with other values.

    Args:
        recorded: `seen` as the status says it; empty when it says nothing, and nothing is known then. It may be some
            writes behind.
        past: what this process knows of earlier states, the newest last: with that one the pods were made.
    """
    if recorded not in {one.seen for one in past}:
        return recorded not in ("", now.seen)
    return past[-1].content != now.content


def annotation(workload: Mapping[str, Any] | None) -> str:
    """What the pods of a live workload were last rolled for; empty when that never was."""
    template = ((workload or {}).get("spec") or {}).get("template") or {}
    return str(((template.get("metadata") or {}).get("annotations") or {}).get(names.AUTH_ANNOTATION) or "")
