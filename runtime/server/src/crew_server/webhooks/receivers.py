"""Which receivers may be called: by the host's name, and by the address that it resolves to. Pure.

A webhook makes the replica send requests where a client says; without a rule a client could reach what only the pod
can: its own ports, the cluster's other services, and the cloud's metadata service (server-side request forgery).

Three kinds of addresses, from outside to inside: any of the internet; private ones, which a cluster's pods, Services
and nodes have; and those that mean the pod itself, its link or the cloud's metadata.
"""

import fnmatch
import ipaddress
from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from crew_server.errors import CrewServerError

MAX_URL = 2048
"""Characters."""
_WILD = frozenset("*?[")
_METADATA = tuple(
    ipaddress.ip_network(one)
    for one in (
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle
    )
)
"""Of clouds that do not use a link-local address."""
_TRANSLATED = tuple(ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48"))
"""NAT64: the last 32 bits are an IPv4 address."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ReceiverError(CrewServerError):
    """A URL that can be no receiver's; the message goes on behind the field's name."""


def checked(url: str, hosts: Sequence[str]) -> str:
    """The URL in the form in which it is sent: the host in ASCII (IDNA), the rest percent-encoded.

    Args:
        hosts: patterns of those that are allowed; none: every one whose address is allowed.

    Raises:
        ReceiverError: why it cannot be a receiver's.
    """
    if len(url) > MAX_URL:
        raise ReceiverError(f"has {len(url)} characters; at most {MAX_URL} are allowed")
    if not url.isprintable():
        raise ReceiverError("holds control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ReceiverError("is no URL") from error
    if parts.scheme not in ("http", "https"):
        raise ReceiverError("has to begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise ReceiverError("names no host")
    if parts.username is not None or parts.password is not None:
        raise ReceiverError("must have no user and password in it; use authentication")
    host = _ascii(parts.hostname)
    if hosts and not named(host, hosts):
        raise ReceiverError(f"names a host that spec.crew.webhookHosts does not allow: {', '.join(hosts)}")
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    path, query = quote(parts.path, safe="/%:@!$&'()*+,;=~-._"), quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]")
    return urlunsplit((parts.scheme, place, path, query, ""))


def named(host: str, hosts: Sequence[str]) -> bool:
    """Whether one of the patterns names the host, or the address."""
    return any(fnmatch.fnmatchcase(host.lower(), one.lower()) for one in hosts)


def refused(address: str, host: str, hosts: Sequence[str], *, own: bool = False) -> bool:
    """Whether a receiver that is called `host` must not be reached at `address`.

    A pattern such as `*.example.com` says who may be called, and nothing of where that is: whoever answers for one of
    its names could point it anywhere. So a private address has to be named itself, by its host without a wildcard or by
    a pattern of addresses (`10.*`); and one of the pod, its link or the metadata service by a host or an address
    without any wildcard.

    Args:
        own: the address is one of the pod's.
    """
    exact = [one for one in hosts if not _WILD.intersection(one)]
    if named(host, exact) or named(address, exact):
        return False
    judged = ["inmost" if own else _kind(one) for one in _meant(address)]
    return "inmost" in judged or ("private" in judged and not named(address, hosts))


def _ascii(host: str) -> str:
    """As it is asked for in the DNS."""
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host.partition("%")[0]))
        except ValueError as error:
            raise ReceiverError("is no URL") from error
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ReceiverError(f"names a host that no domain can be called: {host[:100]}") from error
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or any(not 0 < len(one) <= 63 for one in labels) or not _is_name(name):
        raise ReceiverError(f"names a host that no domain can be called: {host[:100]}")
    return name.lower()


def _is_name(name: str) -> bool:
    return all(one.isalnum() or one in "-._" for one in name)


def _meant(address: str) -> tuple[_Address, ...]:
    """The address, and the IPv4 address in it where there is one: both are reached."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return (found,)
    if (mapped := found.ipv4_mapped) is not None:
        return (mapped,)
    inner = [found.sixtofour, *(found.teredo or ())]
    if any(found in one for one in _TRANSLATED) or (int(found) >> 32 == 0 and int(found) > 1):
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return (found, *(one for one in inner if one is not None))


def _kind(found: _Address) -> str:
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        return "inmost"
    if any(found.version == one.version and found in one for one in _METADATA):
        return "inmost"
    # NAT64's own prefix counts as global or not by the version of Python; what lies in it is judged by itself.
    if any(found.version == one.version and found in one for one in _TRANSLATED):
        return "public"
    return "public" if found.is_global else "private"
