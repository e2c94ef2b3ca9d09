"""Who may use a crew's API: what the spec says, and where it is silent, what the status remembers. Pure.

A crew that ran before the operator knew `spec.crew.api` has clients that send no token and come from anywhere. Each
silence of its spec keeps what was, until the spec speaks; the status alone knows of that time, because everything else
that could tell may be changed by others than the operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crew_operator.api import names
from crew_operator.api.spec import ApiAuth, Crew, CrewDeployment, KeyRef

AUTH: Final = "auth"
ALLOW_FROM: Final = "allowFrom"
"""The fields of `spec.crew.api` whose silence may mean what was before; words of `status.api.asBefore`."""


@dataclass(frozen=True)
class Access:
    """How it is with one crew."""

    auth: ApiAuth = ApiAuth.TOKEN
    as_before: frozenset[str] = frozenset()
    """Of AUTH and ALLOW_FROM: what the spec leaves open and was left as it was."""

    @property
    def open_as_before(self) -> bool:
        """No token is asked for, and nobody said so."""
        return AUTH in self.as_before


def of(crew: Crew, status: Mapping[str, Any]) -> Access:
    """The spec's word, or the time before it.

    Args:
        status: of the CrewDeployment as it was last written.
    """
    silent = {name for name, said in ((AUTH, crew.auth), (ALLOW_FROM, crew.api.allow_from)) if said is None}
    as_before = frozenset(_remembered(status) & silent)
    return Access(crew.auth or (ApiAuth.NONE if AUTH in as_before else ApiAuth.TOKEN), as_before)


def token(crew: CrewDeployment, access: Access) -> KeyRef | None:
    """Where the crew's token lies; None: it has none."""
    if access.auth is ApiAuth.NONE:
        return None
    source = crew.spec.crew.token_from
    return source.secret_key_ref if source else KeyRef(names.api_token(crew.name), names.API_TOKEN_KEY)


def is_generated(crew: CrewDeployment, access: Access) -> bool:
    """Whether the operator makes it."""
    return access.auth is ApiAuth.TOKEN and crew.spec.crew.token_from is None


def told(crew: CrewDeployment, access: Access) -> dict[str, Any]:
    """`status.api`."""
    ref = token(crew, access)
    return {
        "auth": access.auth.value,
        "tokenFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}} if ref else None,
        "asBefore": sorted(access.as_before) or None,
    }


def of_no_spec(status: Mapping[str, Any]) -> dict[str, Any] | None:
    """`status.api` of a CrewDeployment whose spec could never be read. Without it, a new crew would be taken for one
    from before as soon as its spec can be."""
    if _is_from_before(status):
        return None
    return dict(status.get("api") or {"auth": ApiAuth.TOKEN.value})


def _remembered(status: Mapping[str, Any]) -> set[str]:
    if _is_from_before(status):
        return {AUTH, ALLOW_FROM}
    return set((status.get("api") or {}).get("asBefore") or ())


def _is_from_before(status: Mapping[str, Any]) -> bool:
    """An operator wrote it that did not know of `api`."""
    return "observedGeneration" in status and "api" not in status
