"""What the pods of a crew were let in with, remembered between passes, and whether other credentials roll them."""

import hashlib
import json
import logging
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crew_operator.api.spec import CrewDeployment
from crew_operator.desired import credentials
from crew_operator.desired.credentials import Credentials
from crew_operator.references import Credential

log = logging.getLogger(__name__)

_STATES = 16
"""States that are remembered of a workload: more than the status is ever behind."""


@dataclass(frozen=True)
class Generated:
    """A value that the operator made, in a Secret that is its own; empty where there is none."""

    value: str = ""
    secret_id: str = ""
    """uid of the Secret."""
    found: str = ""
    """Version of the Secret as this pass found it; empty when this pass made it."""
    version: str = ""
    """And after the operator's own write, which is no rotation."""


@dataclass(frozen=True)
class Roll:
    """Credentials as they are now, and what the pods' template is to say of them."""

    now: Credentials
    annotation: str


class Digests:
    """Digests by a key of this process: they tell nothing to anybody else, and nothing after its end."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, data: Any) -> str:
        """Of anything that is JSON."""
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()


class Rolls:
    """The memory of all CrewDeployments' credentials; losing it may cost a rollout, see `desired.credentials`."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._past: dict[str, dict[str, deque[Credentials]]] = {}
        """uid of the CrewDeployment -> workload -> what it was made with, the newest last."""

    def judge(
        self,
        crew: CrewDeployment,
        workload: str,
        there: Mapping[str, Any] | None,
        recorded: str,
        password: Generated,
        token: Generated,
        own: Mapping[str, Credential],
    ) -> Roll:
        """Whether a workload's pods have to be made anew.

        Args:
            there: the workload as it lives.
            recorded: what the status says of it.
            password: of the managed Redis.
            token: of the crew's API.
            own: credentials out of the user's Secrets, by purpose.
        """
        made = {what: one for what, one in (("password", password), (credentials.API_TOKEN, token)) if one.version}
        values = {what: one.value for what, one in own.items()} | {what: one.value for what, one in made.items()}
        content = self._digests.of(values)
        users = {what: one.version for what, one in own.items()}
        found = Credentials({**users, **{what: one.found for what, one in made.items() if one.found}}, content)
        now = Credentials({**users, **{what: one.version for what, one in made.items()}}, content)
        if there is None:
            return Roll(now, password.secret_id)
        was = credentials.annotation(there)
        # An operator that kept no record of versions wrote the Secret's uid.
        replaced = not recorded and was not in ("", password.secret_id)
        # Kept before anything is written: when this pass or its status fails, the next one finds the operator's write.
        past = self._past.setdefault(crew.uid, {}).setdefault(workload, deque([found], maxlen=_STATES))
        if replaced or credentials.changed(now, recorded, tuple(past)):
            log.info("rolling for new credentials", extra={"object": there["metadata"]["name"]})
            return Roll(now, now.seen)
        return Roll(now, was)

    def made(self, crew: CrewDeployment, workload: str, roll: Roll) -> None:
        """The workload is as this roll wants it."""
        past = self._past.setdefault(crew.uid, {}).setdefault(workload, deque(maxlen=_STATES))
        if not past or roll.now != past[-1]:
            past.append(roll.now)

    def forget(self, uid: str) -> None:
        """The CrewDeployment with this uid is gone."""
        self._past.pop(uid, None)
