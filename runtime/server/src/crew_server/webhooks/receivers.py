"""Which receivers may be called: by the host's name, and by the address that it resolves to. Pure.

A webhook makes the replica send requests where a client says; without a rule a client could reach what only the pod
can: its own ports and the cloud's metadata service (server-side request forgery).
"""

import fnmatch
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

_METADATA = ipaddress.ip_network("fd00:ec2::/32")
"""Of a cloud that does not use a link-local address for IPv6."""


def problem(url: str, hosts: Sequence[str]) -> str:
    """Why the URL cannot be a receiver's, or ``. `hosts`: patterns of those that are allowed; none: every one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https"):
        return "has to begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "must have no user and password in it; use authentication"
    if hosts and not named(parts.hostname, hosts):
        return f"names a host that spec.crew.webhookHosts does not allow: {', '.join(hosts)}"
    return ""


def named(host: str, hosts: Sequence[str]) -> bool:
    """Whether one of the patterns names the host."""
    return any(fnmatch.fnmatchcase(host.lower(), one.lower()) for one in hosts)


def refused(address: str) -> bool:
    """Whether an address is none that a host may have which no pattern names."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return (
        found.is_loopback
        or found.is_link_local
        or found.is_multicast
        or found.is_unspecified
        or (found.version == 6 and found in _METADATA)
    )
