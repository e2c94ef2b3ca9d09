"""Promise: nothing that a CrewDeployment says hurts the operator or another crew, and each gets a status.

`CREWOPS_MUTATIONS` is how many mutations of each example are tried, `CREWOPS_SEED` which ones.
"""

import copy
import json
import os
import random
from pathlib import Path

import httpx
import pytest
import yaml

from crew_operator.api import names
from crew_operator.errors import RejectedError
from support.crews import GOOD
from support.waiting import eventually

MUTATIONS = int(os.environ.get("CREWOPS_MUTATIONS", "40"))
SEED = int(os.environ.get("CREWOPS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
EXAMPLES = Path(__file__).parents[3] / "examples"
DEEP = 3000
"""Levels: more than Python reads by itself, less than the API server stores."""


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"redis__managed__resources": {"limits": {"memory": "9" * 900_000 + "Ei"}}}, "resources.limits.memory"),
        ({"redis__managed__resources": {"limits": {"memory": "1e999999999"}}}, "resources.limits.memory"),
        ({"redis__managed__resources": {"limits": {"memory": {}}}}, "resources.limits.memory"),
        ({"template__resources": {"requests": {"cpu": "lots"}}}, "spec.template.resources.requests.cpu"),
        ({"template__affinity": nested(DEEP)}, "spec.template.affinity"),
        ({"crew__env": [{"name": "X", "valueFrom": nested(DEEP)}]}, "spec.crew.env[0]"),
    ],
    ids=["long", "exponent", "map for a text", "word", "deep", "deep in a list"],
)
async def test_what_the_schema_cannot_tell_is_a_problem_of_that_field(cluster, operator, changes, path):
    await cluster.make(**changes)
    assert path in await cluster.condition("Ready", "False", "SpecInvalid")
    assert await cluster.get("Deployment", "concierge") is None
    await cluster.make(name="other")
    await cluster.exists("Deployment", "other")


@pytest.mark.parametrize("memory", ["1e9", 1000000000, "1G", "953674Ki"])
async def test_any_form_of_a_quantity_that_kubernetes_takes_is_taken(cluster, operator, memory):
    await cluster.make(redis__managed__resources={"limits": {"memory": memory}})
    await cluster.exists("Deployment", "concierge")
    config = await cluster.get("ConfigMap", "concierge-redis-config")
    (line,) = (one for one in config["data"]["redis.conf"].splitlines() if one.startswith("maxmemory "))
    assert 700_000_000 < int(line.split()[1]) <= 750_000_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"redis__managed__resources": {"limits": "1Gi"}}, "spec.redis.managed.resources.limits"),
        ({"memory__timeout": "10ms"}, "timeout must be from 50ms to 10m"),
        ({"memory__timeout": "1h"}, "timeout must be from 50ms to 10m"),
        ({"memory__sessionTTL": "0s"}, "sessionTTL must be from 1s"),
        ({"memory__sessionTTL": "9999999h"}, "sessionTTL must be from 1s to 876000h"),
        ({"crew__kickoffTimeout": "0h0m"}, "kickoffTimeout must be from 1s"),
        ({"crew__kickoffTimeout": "1" * 33 + "s"}, "kickoffTimeout"),
        ({"redis__managed__storage": {"size": "0"}}, "a volume has a size"),
        ({"redis__managed__storage": {"size": "1e99999"}}, "size"),
        ({"template__labels": {f"l{number}": "x" for number in range(101)}}, "spec.template.labels"),
        ({"template__tolerations": [{}] * 101}, "spec.template.tolerations"),
        ({"template__annotations": {"note": "x" * 16385}}, "spec.template.annotations"),
    ],
)
async def test_the_schema_bounds_durations_texts_and_lists(cluster, changes, said):
    with pytest.raises(RejectedError, match=said):
        await cluster.make(**changes)


# Mutations -----------------------------------------------------------------------------------------------------------

NASTY = (
    *(
        None,
        True,
        0,
        -1,
        1,
        2**31,
        2**63,
        1.5,
        "",
        " ",
        "x",
        "0",
        "0s",
        "-1",
        "1e9",
        "1e99",
        "9" * 40,
        "1Gi",
        "\u202e",
        "a\nb",
    ),
    *(
        "x" * 2000,
        "\x00",
        "../..",
        "${HOME}",
        "{{x}}",
        [],
        {},
        [{}],
        [None],
        [[]],
        {"name": {}},
        {"name": "x"},
        {"": ""},
    ),
    *([{"name": "x"}, {"name": "x"}], {"limits": "1Gi"}, {"limits": {"memory": []}}, {"a": {"a": {"a": {"a": []}}}}),
)


def places(value, path=()):
    """Every path within a spec, and one for a field that is not there."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
        yield (*path, "unknown")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def mutated(spec, chance):
    """One to three changes at random places."""
    spec = copy.deepcopy(spec)
    for _ in range(chance.randint(1, 3)):
        *path, last = chance.choice([one for one in places(spec) if one])
        place = spec
        for part in path:
            place = place[part]
        if chance.random() < 0.15 and last in (place if isinstance(place, dict) else range(len(place))):
            del place[last]
        else:
            place[last] = copy.deepcopy(chance.choice(NASTY))
    return spec


def specs():
    """Of every CrewDeployment among the examples, and of one that says all there is to say."""
    yield "all", EVERYTHING
    for file in sorted(EXAMPLES.rglob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            if isinstance(one, dict) and one.get("kind") == names.KIND:
                yield str(file.relative_to(EXAMPLES)), one["spec"]


EVERYTHING = {
    **GOOD["spec"],
    "crew": {
        **GOOD["spec"]["crew"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "inputs": ["a", "b"],
        "kickoffTimeout": "1h30m",
        "runtime": {"injection": "Auto", "python": "/usr/bin/python"},
        "webhookHosts": ["*.example.com"],
    },
    "redis": {
        "managed": {
            "storage": {"size": "2Gi", "storageClassName": "fast", "whenDeleted": "Delete"},
            "maxMemory": "50%",
            "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1e9"}},
        }
    },
    "history": {
        "messages": {"enabled": True, "format": "LangChain", "input": "a", "maxMessages": 9, "turns": 3},
        "postgres": {
            "urlFrom": {"secretKeyRef": {"name": "a", "key": "b"}},
            "caFrom": {"secretKeyRef": {"name": "a", "key": "b"}},
            "retention": "48h",
            "maxBytes": "1Mi",
        },
    },
    "memory": {"keyPrefix": "p", "sessionTTL": "720h", "embedder": {"provider": "openai", "dimension": 3}},
    "template": {
        "labels": {"a": "b"},
        "annotations": {"a": "b"},
        "resources": {"limits": {"memory": "1Gi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "securityContext": {"runAsUser": 1000, "sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    },
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "spec"), list(specs()), ids=lambda value: value if isinstance(value, str) else "-")
async def test_no_mutation_of_a_spec_hurts_the_operator_and_each_gets_a_status(cluster, operator, name, spec):
    print(f"CREWOPS_SEED={SEED} CREWOPS_MUTATIONS={MUTATIONS} of {name}")
    chance = random.Random(f"{SEED} {name}")
    taken = 0
    for number in range(MUTATIONS):
        crew = f"crew-{number}"
        body = {**GOOD, "metadata": {"name": crew, "namespace": cluster.namespace}, "spec": mutated(spec, chance)}
        try:
            await cluster.kube.create(body)
        except RejectedError:
            continue  # the schema told
        taken += 1

        async def told(crew=crew):
            found = await cluster.kube.get(names.KIND, cluster.namespace, crew)
            return ((found or {}).get("status") or {}).get("conditions")

        await eventually(told, f"{crew} has a status: {json.dumps(body['spec'])}", 15)
        await cluster.delete(names.KIND, crew)
    print(f"{taken} of {MUTATIONS} were taken by the API server")
    assert taken > 0, "nothing came through the schema: the operator was asked nothing"
    bugs = operator.metrics.passes.labels("bug")._value.get()
    assert bugs == 0, "a pass ended in an error that nobody foresaw"
    await cluster.make(name="innocent")
    await cluster.exists("Deployment", "innocent")
    async with httpx.AsyncClient(trust_env=False) as http:
        health = await http.get(f"http://127.0.0.1:{operator.ports['healthz']}/healthz")
    assert (health.status_code, health.text) == (200, "ok\n")
