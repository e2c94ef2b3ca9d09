"""Leases in memory and operators' ways to them, for tests in virtual time."""

import asyncio
import copy

from crew_operator.errors import ConflictError, UnreachableError


class Server:
    """Leases by their name, with optimistic locking: who writes what is not the newest any more fails."""

    def __init__(self):
        self.leases = {}
        self.version = 0

    def write(self, manifest, *, create):
        name = manifest["metadata"]["name"]
        known = self.leases.get(name)
        newest = known and known["metadata"]["resourceVersion"]
        if create != (known is None) or (not create and manifest["metadata"]["resourceVersion"] != newest):
            raise ConflictError(409, "changed")
        self.version += 1
        self.leases[name] = copy.deepcopy(manifest)
        self.leases[name]["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.leases[name])


class Kube:
    """One operator's way to it. `way(verb, now)`: seconds there, seconds back; None: never."""

    def __init__(self, server, way=lambda *_: (0.01, 0.01)):
        self._server = server
        self._way = way
        self.fence = lambda: None

    async def _go(self, verb, act):
        there, back = self._way(verb, asyncio.get_running_loop().time())
        await _pause(there)
        result = act()  # what was asked is done, whether or not the answer comes
        await _pause(back)
        return result

    async def get(self, _, __, name):
        return await self._go("get", lambda: copy.deepcopy(self._server.leases.get(name)))

    async def create(self, manifest):
        return await self._go("put", lambda: self._server.write(manifest, create=True))

    async def replace(self, manifest):
        return await self._go("put", lambda: self._server.write(manifest, create=False))


async def _pause(seconds):
    if seconds is None:
        await asyncio.Event().wait()
    elif seconds < 0:
        raise UnreachableError("cut")
    await asyncio.sleep(seconds)
