"""The users of the managed Redis: `operator` may everything, `default`, as whom the crew connects, what a crew needs.

They stand in the Secret as the configuration that Redis starts with, and the operator brings a running server to them:
one that was started by an older operator knows the crew's password alone, as an administrator's.
"""

import hashlib
from dataclasses import dataclass, field

from crew_operator.desired import metadata
from crew_runtime.contract import resource, rights

OPERATOR = "operator"
CREW = resource.REDIS_USER
"""Replicas name no user: they need no other URL to lose rights."""
_REVISION = "crewops-revision"
"""A user that nobody can be. What it could read tells which rules a server was brought to last."""

Command = tuple[str, ...]


@dataclass(frozen=True)
class RedisUsers:
    """Who there is."""

    key_prefix: str
    crew_password: str = field(repr=False)
    operator_password: str = field(repr=False)
    retiring: tuple[str, ...] = ()
    """SHA-256 of earlier passwords of the crew that hold as well, the newest first, while pods still run with them."""
    replica_password: str = field(default="", repr=False)
    """The crew's as its replicas are to use it: an earlier one until Redis takes the newest."""
    replica_version: str = ""
    """What replicas report when they use it."""

    @property
    def accepted(self) -> tuple[str, ...]:
        """SHA-256 of each password that the crew is let in with, the current one first."""
        return (digest(self.crew_password), *self.retiring)

    def configuration(self) -> str:
        """Lines for redis.conf. No password can be read out of them."""
        crew = " ".join((*self._crew_passwords(), *rights.rules_at_start()))
        return f"user {OPERATOR} {' '.join(_operator(self.operator_password))}\nuser {CREW} on {crew}\n"

    def introduction(self) -> Command:
        """Makes the operator known to a server that has the crew's password only."""
        return ("ACL", "SETUSER", OPERATOR, "reset", *_operator(self.operator_password))

    def update(self, *, search: bool) -> tuple[Command, ...]:
        """Brings a running server to the rules."""
        return (self.introduction(), self._crew(search=search))

    def note(self, *, search: bool) -> Command:
        """Notes that it was brought to them; the last one, so that what was cut off is done again."""
        return ("ACL", "SETUSER", _REVISION, "reset", "off", "+get", f"~{self._revision(search=search)}")

    def question(self, *, search: bool) -> Command:
        """Answered by OK when the server was brought to these rules since it started."""
        return ("ACL", "DRYRUN", _REVISION, "GET", self._revision(search=search))

    def _revision(self, *, search: bool) -> str:
        return metadata.checksum([*self.introduction(), *self._crew(search=search)])

    def _crew(self, *, search: bool) -> Command:
        """At once and whole: a client that is connected stays so, with the new rights."""
        return (
            "ACL", "SETUSER", CREW, "reset", "on", *self._crew_passwords(),
            *rights.rules(self.key_prefix, search=search),
        )  # fmt: skip

    def _crew_passwords(self) -> Command:
        return tuple(f"#{one}" for one in self.accepted)


HAS_SEARCH: Command = ("ACL", "DRYRUN", OPERATOR, "FT.SEARCH", "index", "*")
"""Answered by an error on a server without the search module."""


def digest(password: str) -> str:
    """As Redis takes and keeps it: SHA-256, in hexadecimal digits."""
    return hashlib.sha256(password.encode()).hexdigest()


def _operator(password: str) -> Command:
    return ("on", f"#{digest(password)}", "~*", "&*", "+@all")
