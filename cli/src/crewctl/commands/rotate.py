"""`crewctl rotate`: another password for the managed Redis of a crew, while the crew works."""

import argparse
import hashlib
import secrets
import time

from crew_runtime.contract import resource
from crewctl import target
from crewctl.errors import ClusterError
from crewctl.kube import Kube, condition

_TOLD = (resource.ConditionType.PROGRESSING.value, resource.ConditionType.READY.value)
"""What a rotation that takes too long shows."""
HELP = "give a crew's managed Redis another password, without a failed kickoff"
EVERY = 2.0
"""Seconds between two looks at the Secret."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="the CrewDeployment")
    parser.add_argument(
        "--timeout", type=float, default=1800, help="seconds to wait for the old one's end; 0: not at all (%(default)g)"
    )
    target.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Write it, and wait until Redis takes the old one no more. Raises ClusterError when it does not come to that."""
    kube = target.connect(options)
    try:
        secret = _secret(kube, options.name)
        password = secrets.token_hex(32)
        path = f"/api/v1/namespaces/{kube.namespace}/secrets/{secret}"
        kube.merge(path, {"stringData": {resource.PASSWORD_KEY: password}})
        print(f"the Secret {secret} has a new password; the old one holds until all replicas use that")
        if options.timeout:
            _wait(kube, options.name, secret, hashlib.sha256(password.encode()).hexdigest(), options.timeout)
            print("Redis takes the new password alone")
    finally:
        kube.close()
    return 0


def _secret(kube: Kube, name: str) -> str:
    secret = resource.redis_auth(name)
    external = (
        ((kube.wanted(name)["spec"].get("redis") or {}).get("external") or {}).get("urlFrom", {}).get("secretKeyRef")
    )
    if external:
        raise ClusterError(f"the Redis of {name} is not managed: change its URL in the Secret {external['name']}")
    if kube.secret(secret, resource.USERS_KEY) is None:
        raise ClusterError(f"the operator has not made the Secret {secret} yet")
    return secret


def _wait(kube: Kube, name: str, secret: str, digest: str, timeout: float) -> None:
    until = time.monotonic() + timeout
    while not resource.takes_only((kube.secret(secret, resource.USERS_KEY) or b"").decode(errors="replace"), digest):
        if time.monotonic() > until:
            progress, ready = (condition(kube.crew(name), one) for one in _TOLD)
            said = "; ".join(f"{one['type']} is {one['status']}: {one['message']}" for one in (progress, ready))
            raise ClusterError(f"after {timeout:g} s replicas still use the old password, which holds: {said}")
        time.sleep(EVERY)
