"""Every setting that the docs, an error or the CRD names can be set: by a field of the spec, or it says why not."""

import re
from pathlib import Path

from crew_operator.api import parse
from crew_operator.api.access import Access
from crew_operator.desired import environment
from crew_runtime.contract import env
from support.crews import crew_manifest

ROOT = Path(__file__).parents[3]
NAMES = {value for name, value in vars(env).items() if name.isupper() and str(value).startswith(env.PREFIX)} - {
    env.PREFIX
}
INTERNAL = {
    env.DEFINITION_DIGEST: "the worker's own, for the processes that it starts",
    env.BIND_ADDRESS: "the local cluster's: its pods share one machine",
    env.HTTP_PORT: "the same",
    env.HEALTH_PORT: "the same",
    env.INTERPRETER: "the launcher's own, for the worker that it starts",
    env.LOG_FORMAT: "for runs by hand: a pod's log is JSON",
}
"""Not for the spec, and why."""
EVERYTHING = {
    "crew__apiTokenFrom": {"secretKeyRef": {"name": "api", "key": "token"}},
    "crew__gracePeriod": "20m",
    "crew__inputs": ["message"],
    "crew__processes": "Shared",
    "crew__runtime": {"python": "/opt/python"},
    "crew__storage": {"size": "1Gi"},
    "crew__warmUp": "a:b",
    "crew__webhookHosts": ["example.com"],
    "kickoffs": {
        "retention": "72h",
        "maxBytes": "512Mi",
        "maxWaiting": 50,
        "humanInputTimeout": "24h",
        "memory": "2Gi",
    },
    "crew__image": "registry.example/concierge:3",
    "history": {
        "messages": {"enabled": True, "input": "message", "maxMessages": 50, "turns": 5},
        "postgres": {
            "urlFrom": {"secretKeyRef": {"name": "audit", "key": "url"}},
            "caFrom": {"configMapKeyRef": {"name": "audit", "key": "ca"}},
            "retention": "8760h",
            "maxBytes": "1Gi",
        },
    },
    "memory": {
        "durability": "Fsync",
        "embedder": {"provider": "openai", "model": "m", "dimension": 8},
        "sessionTTL": "1h",
        "timeout": "1s",
        "vectorType": "Float16",
    },
}


def _set(**more):
    crew = parse.crew_deployment(crew_manifest(**{**EVERYTHING, **more}))
    return {one["name"] for one in (*environment.server(crew, Access()), *environment.worker(crew))}


def test_every_setting_of_a_replica_has_a_field_of_the_spec_or_is_internal():
    external = {"external": {"urlFrom": {"secretKeyRef": {"name": "a", "key": "b"}},
                             "caFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}}  # fmt: skip
    definition = {"definition": {"configMapRef": {"name": "files"}}}
    reached = _set() | _set(redis=external) | _set(crew=definition)
    assert NAMES - reached == set(INTERNAL), "give it a field, or say here why it has none"


def test_what_docs_and_messages_name_is_a_setting_that_can_be_set():
    places = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    places += [*(ROOT / "runtime/server/src").rglob("*.py"), *(ROOT / "crds").glob("*.yaml")]
    named = {name for path in places for name in re.findall(r"CREWOPS_[A-Z][A-Z_]*[A-Z]", path.read_text())}
    assert named <= NAMES - set(INTERNAL), named - (NAMES - set(INTERNAL))
