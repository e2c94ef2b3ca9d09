"""The operator's settings, read once from flags and environment."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crew_operator import __version__

MOST_SHARDS: Final = 64
"""Each is a Lease that every operator asks for every 2 s."""


@dataclass(frozen=True)
class Restrictions:
    """What tenants may do nevertheless, where templates are restricted."""

    service_accounts: tuple[str, ...] = ()
    """Names of accounts that crews may run as."""
    metadata: tuple[str, ...] = ()
    """Keys of labels and annotations that pods may have; `example.com/*` for all of one prefix."""


@dataclass(frozen=True)
class Settings:
    """One process' settings."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to serve; empty: all."""
    kubeconfig: str | None = None
    """Path; None: the account of the pod that this runs in, or ~/.kube/config outside of one."""
    runtime_image: str = f"ghcr.io/crewops/crew-runtime:{__version__}"
    """Image of the sidecar, and of crews that are declared without an image."""
    redis_image: str = "redis:8"
    """Of a managed Redis whose spec names none. Needs the search module for its index; works without."""
    resync: float = 600.0
    """Seconds after which a crew's children and pods are read from the API server though no event told of a change."""
    reread: float = 30.0
    """Seconds after which Secrets and ConfigMaps that are the user's are read again: nobody watches them."""
    watched_tick: float = 60.0
    """Seconds between two looks at a healthy crew whose replicas signal what changes. What no replica would notice is
    unseen for so long."""
    tick: float = 3.0
    """Seconds between two looks at any other healthy crew: with the deadlines it bounds how long a dead Redis stays
    unseen (under 10 s)."""
    restless_tick: float = 1.0
    """Seconds between two looks while something is not ready."""
    waiting_tick: float = 10.0
    """The same while neither Redis nor a replica has an address: there is nobody to ask, and an event tells when there
    is."""
    proof_interval: float = 300.0
    """Seconds after which a proof of shared memory is repeated though nothing changed."""
    own_pods: tuple[str, Mapping[str, str]] | None = None
    """Namespace and labels of this operator's pods. Known, each managed Redis gets a NetworkPolicy that lets in them
    and the crew alone, and the replicas one that lets in whom the spec names, and them to the health port."""
    monitoring: tuple[Mapping[str, Any], ...] = ()
    """Who reaches the replicas' health port beside the operator, where it makes NetworkPolicies: peers as in those."""
    restrictions: Restrictions | None = None
    """Known, templates that reach beyond what a tenant's pod should are refused; None: whoever may create a
    CrewDeployment may create such pods."""
    lease: str = ""
    """`namespace/name` of the Lease whose holder acts; empty: this operator is alone, and acts."""
    shards: int = 1
    """Leases that the operators share, each for a part of the CrewDeployments; 1: one operator acts for all."""
    workers: int = 16
    """Passes at once that compare a crew with its spec, and requests to the API server at once."""
    passes: int = 256
    """Passes at once with those that only wait for Redis and replicas: each look at one that is silent takes seconds,
    and 200 such crews must not hold up any other."""
    metrics_port: int = 8080
    """Port of /metrics; 0: any free one."""
    healthz_port: int = 8081
    """Port of /healthz and /readyz; may be the same as the metrics'."""
    bind: str = "0.0.0.0"  # noqa: S104 - a pod's ports; --bind narrows it
    """Address of both."""
    log_level: str = "INFO"
    log_format: str = "json"
    """`json` or `text`."""


def parse(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings by flags; each flag's default comes from the environment, as CREW_OPERATOR_<FLAG>."""
    default = Settings()

    def of(name: str, fallback: object) -> str:
        return environ.get(f"CREW_OPERATOR_{name}", str(fallback))

    parser = argparse.ArgumentParser("crew-operator", description="The Kubernetes operator for CrewDeployments.")
    add = parser.add_argument
    add("--namespace", action="append", default=None, metavar="NAME", help="serve this namespace only; repeatable")
    add("--kubeconfig", default=environ.get("KUBECONFIG") or None, help="file; default: the pod's account")
    add("--runtime-image", default=of("RUNTIME_IMAGE", default.runtime_image), help="image of the crews' sidecar")
    add("--redis-image", default=of("REDIS_IMAGE", default.redis_image), help="image of managed Redis")
    add("--resync", type=float, default=of("RESYNC", default.resync), help="seconds between reads without events")
    add("--lease", default=of("LEASE", ""), metavar="NAMESPACE/NAME", help="act while holding this Lease only")
    add("--shards", type=int, default=of("SHARDS", default.shards),
        help="with --lease: split the CrewDeployments into this many parts, which the operators share")  # fmt: skip
    add("--own-pods", default=of("OWN_PODS", ""), metavar="NAMESPACE:LABEL=VALUE,...",
        help="how NetworkPolicies tell this operator's pods; without it none is made")  # fmt: skip
    add("--monitoring", default=of("MONITORING", "[]"), metavar="JSON",
        help="list of NetworkPolicy peers that may read the replicas' metrics")  # fmt: skip
    add("--restrict-templates", action="store_true", default=_switch(of("RESTRICT_TEMPLATES", "false")),
        help="refuse templates with host paths, foreign accounts, loosened security contexts and the like")  # fmt: skip
    add("--allow-service-account", action="append", default=None, metavar="NAME",
        help="with --restrict-templates: an account that crews may run as; repeatable")  # fmt: skip
    add("--allow-metadata", action="append", default=None, metavar="KEY",
        help="with --restrict-templates: a label or annotation of pods, or PREFIX/*; repeatable")  # fmt: skip
    add(
        "--workers",
        type=int,
        default=of("WORKERS", default.workers),
        help="crews compared with their spec, and requests to the API server, at once",
    )
    add("--metrics-port", type=int, default=of("METRICS_PORT", default.metrics_port), help="port of /metrics")
    add("--healthz-port", type=int, default=of("HEALTHZ_PORT", default.healthz_port), help="port of /healthz, /readyz")
    add("--bind", default=of("BIND", default.bind), help="address of both ports")
    add("--log-level", default=of("LOG_LEVEL", default.log_level), choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    add("--log-format", default=of("LOG_FORMAT", default.log_format), choices=["json", "text"])
    add("--version", action="version", version=__version__)
    found = parser.parse_args(arguments)
    if found.lease and [bool(one) for one in found.lease.split("/")] != [True, True]:
        parser.error(f"--lease is '{found.lease}'; set it to NAMESPACE/NAME")
    if not 1 <= found.shards <= MOST_SHARDS:
        parser.error(f"--shards is {found.shards}; set it to a number from 1 to {MOST_SHARDS}")
    if found.shards > 1 and not found.lease:
        parser.error("--shards does nothing without --lease: add it")
    try:
        own_pods = _pods(found.own_pods)
    except ValueError:
        parser.error(f"--own-pods is '{found.own_pods}'; set it to NAMESPACE:LABEL=VALUE,LABEL=VALUE")
    try:
        monitoring = _peers(found.monitoring)
    except ValueError:
        parser.error(f"--monitoring is '{found.monitoring}'; set it to a JSON list of NetworkPolicy peers")
    accounts = found.allow_service_account or _words(of("ALLOW_SERVICE_ACCOUNTS", ""))
    metadata = found.allow_metadata or _words(of("ALLOW_METADATA", ""))
    if (accounts or metadata) and not found.restrict_templates:
        parser.error("--allow-service-account and --allow-metadata do nothing without --restrict-templates: add it")
    return Settings(
        namespaces=tuple(found.namespace or _words(of("NAMESPACES", ""))),
        kubeconfig=found.kubeconfig,
        runtime_image=found.runtime_image,
        redis_image=found.redis_image,
        resync=found.resync,
        own_pods=own_pods,
        monitoring=monitoring,
        restrictions=Restrictions(tuple(accounts), tuple(metadata)) if found.restrict_templates else None,
        lease=found.lease,
        shards=found.shards,
        workers=found.workers,
        metrics_port=found.metrics_port,
        healthz_port=found.healthz_port,
        bind=found.bind,
        log_level=found.log_level,
        log_format=found.log_format,
    )


def _pods(text: str) -> tuple[str, Mapping[str, str]] | None:
    """Raises ValueError."""
    if not text:
        return None
    namespace, labels = text.split(":")
    pairs = ((label, value) for label, value in (one.split("=") for one in labels.split(",")))
    return namespace, dict(pairs)


def _peers(text: str) -> tuple[Mapping[str, Any], ...]:
    """Raises ValueError."""
    found = json.loads(text or "[]")
    if not isinstance(found, list) or not all(isinstance(one, dict) and one for one in found):
        raise ValueError("no list of objects")
    return tuple(found)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _switch(text: str) -> bool:
    """Whatever does not say no: who misspells it must not be without what it protects from."""
    return text.strip().lower() not in ("", "0", "false", "no", "off")
