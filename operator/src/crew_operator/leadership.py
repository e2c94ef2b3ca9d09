"""One operator acts and the others stand by: whoever holds a Lease runs, as Kubernetes' own controllers do.

In: the Lease's name, what to run. Out: it runs while the Lease is held. A holder that cannot renew stops before another
may begin; one that dies is followed within LEASE_SECONDS and two tries. Renewing is a write every TRY_SECONDS, so an
operator that is alone does without.
"""

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from crew_operator.errors import LeadershipLostError
from crew_operator.kube_client import KubeClient

log = logging.getLogger(__name__)

LEASE_SECONDS = 15
RENEW_SECONDS = 10
"""A holder that could not renew for so long stops."""
TRY_SECONDS = 2
"""These three are client-go's defaults."""
ANSWER_SECONDS = 1.5
"""A request that hangs must not keep a holder from stopping in time: two fit between its end and the Lease's."""
assert RENEW_SECONDS + 2 * ANSWER_SECONDS < LEASE_SECONDS  # noqa: S101 - else two could act
_NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)


async def lead(kube: KubeClient, lease: str, run: Callable[[], Awaitable[None]]) -> None:
    """Wait for the Lease `namespace/name`, run while it is held. Raises LeadershipLostError, or as `run`."""
    namespace, _, name = lease.partition("/")
    identity = f"{os.uname().nodename}_{uuid.uuid4().hex[:8]}"
    lock = _Lock(name, namespace, identity, kube.api)
    election = LeaderElection(Config(lock, LEASE_SECONDS, RENEW_SECONDS, TRY_SECONDS, _nothing, _nothing))
    log.info("standing by", extra={"lease": lease, "identity": identity})
    await election.acquire()
    log.info("leading", extra={"lease": lease, "identity": identity})
    renewing = asyncio.create_task(election.renew_loop(), name="lease")
    running = asyncio.ensure_future(run())
    try:
        await asyncio.wait((renewing, running), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise LeadershipLostError(f"the Lease {lease} could not be renewed for {RENEW_SECONDS} s")
        running.result()
    finally:
        renewing.cancel()
        running.cancel()
        # What acts has to have ended before another may begin.
        await asyncio.gather(renewing, running, return_exceptions=True)
        await lock.release()


class _Lock(LeaseLock):
    """The library's, for which a connection that fails is no answer, and which can be given back."""

    async def get(self, name: str, namespace: str) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await super().get(name, namespace)
        except _NO_ANSWER as error:
            return False, client.ApiException(status=0, reason=repr(error))

    async def create(self, name: str, namespace: str, election_record: Any) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                # The library's own asks for it in a way that its client refuses (kubernetes 37).
                made = client.V1Lease(metadata=client.V1ObjectMeta(name=name), spec=self.update_lease(election_record))
                await self.api_instance.create_namespaced_lease(namespace, made)
                return True
        except (*_NO_ANSWER, client.ApiException) as error:
            log.warning("the Lease cannot be made", extra={"error": repr(error)})
            return False

    async def update(self, name: str, namespace: str, updated_record: Any) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await super().update(name, namespace, updated_record)
        except _NO_ANSWER as error:
            log.warning("the Lease cannot be renewed", extra={"error": repr(error)})
            return False

    async def release(self) -> None:
        """Let the next one begin at once. Only a courtesy: without it the Lease runs out."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                held = await self.api_instance.read_namespaced_lease(self.name, self.namespace)
                if held.spec is not None and held.spec.holder_identity == self.identity:
                    held.spec.holder_identity, held.spec.lease_duration_seconds = "", 1
                    await self.api_instance.replace_namespaced_lease(self.name, self.namespace, held)
        except (*_NO_ANSWER, client.ApiException) as error:
            log.warning("the Lease cannot be given back", extra={"error": repr(error)})


async def _nothing() -> None:
    pass
