import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_operator.api import parse
from crew_operator.api.spec import Durability, Isolation, OnFailure, Processes
from crew_operator.errors import InvalidSpecError
from support.crews import crew_manifest

TOKEN = {"secretKeyRef": {"name": "api", "key": "token"}}
TASK = {"name": "t", "agent": "a"}
EXTERNAL = {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}


def problems(**changes):
    with pytest.raises(InvalidSpecError) as caught:
        parse.crew_deployment(crew_manifest(**changes))
    return [str(problem) for problem in caught.value.problems]


def nested(levels):
    value = []
    for _ in range(levels):
        value = {"a": value}
    return value


def test_minimal_spec_gets_the_defaults():
    crew = parse.crew_deployment(crew_manifest(redis=None, replicas=None))
    assert crew.spec.replicas == 1
    assert crew.spec.redis.managed is not None
    assert crew.spec.redis.managed.storage.size == "1Gi"
    assert crew.spec.memory.isolation is Isolation.SESSION
    assert crew.spec.memory.on_failure is OnFailure.FAIL_CLOSED
    assert crew.spec.crew.processes is Processes.PER_KICKOFF
    assert crew.spec.crew.inputs is None
    assert crew.key_prefix == "lobby/concierge"


def test_wrong_types_are_all_named_at_once():
    found = problems(
        replicas="three", crew__concurrency=True, redis__managed__storage__size=5, memory__isolation="Both"
    )
    assert found == [
        "write a number from 1 to 256, not True @ spec.crew.concurrency",
        "write a number from 0 to 1000, not 'three' @ spec.replicas",
        "write a quantity such as 512Mi or 5Gi, not 5 @ spec.redis.managed.storage.size",
        "write Session or Crew, not 'Both' @ spec.memory.isolation",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"crew__definition": {"configMapRef": {"name": "x"}}},
            "set either image and entrypoint, or definition @ spec.crew",
        ),
        ({"crew": {"definition": {}}}, "set one of configMapRef and inline @ spec.crew.definition"),
        (
            {"crew": {"definition": {"inline": {"tasks": [TASK]}}}},
            "add it: it is required @ spec.crew.definition.inline.agents",
        ),
        (
            {"crew": {"definition": {"inline": {"agents": {"a": {}}, "tasks": {"t": TASK}}}}},
            "add it: it is required @ spec.crew.definition.inline.tasks",
        ),
        ({"crew": {"definition": {"inline": {"agents": {"crew": {}}, "tasks": [TASK]}}}}, "none of them crew"),
        ({"crew": {"definition": {"inline": {"agents": {"a b": {}}, "tasks": [TASK]}}}}, "letters, digits"),
        ({"crew__entrypoint": "no colon"}, "write module:attr, such as concierge.crew:Concierge, not 'no colon'"),
        (
            {"crew__processes": "Threads"},
            "write PerKickoff or PerSession or Shared, not 'Threads' @ spec.crew.processes",
        ),
        ({"crew__warmUp": "load()"}, "write module:function, such as concierge.models:load, not 'load()'"),
        ({"crew__warmUp": f"a:{'b' * 252}"}, "write module:function, such as concierge.models:load, not 'a:bbb"),
        ({"crew__inputs": "topic"}, "write a list, not 'topic' @ spec.crew.inputs"),
        ({"crew__inputs": ["a", "b", "a"]}, "remove it: 'a' is there already @ spec.crew.inputs[2]"),
        ({"crew__inputs": ["{topic}"]}, "write the name of an input, such as topic, not '{topic}'"),
        ({"crew__inputs": ["a,b"]}, "write the name of an input, such as topic, not 'a,b' @ spec.crew.inputs[0]"),
        ({"crew__inputs": ["n" * 129]}, "write the name of an input, such as topic, not 'nnn"),
        ({"crew__inputs": [f"n{index}" for index in range(101)]}, "write at most 100 items, not 101"),
        ({"crew__entrypoint": None}, "image and entrypoint go together"),
        ({"crew": {}}, "set either image and entrypoint, or definition"),
        (
            {"redis": {"managed": {}, "external": {"urlFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}}},
            "set one of",
        ),
        ({"redis": {"external": {}}}, "add it: it is required @ spec.redis.external.urlFrom"),
        ({"crew__api": {"auth": "Basic"}}, "write Token or None, not 'Basic' @ spec.crew.api.auth"),
        ({"crew__api": {"auth": "None", "tokenFrom": TOKEN}}, "remove tokenFrom, or set auth to Token @ spec.crew.api"),
        ({"crew__api": {"auth": "None"}, "crew__apiTokenFrom": TOKEN}, "remove apiTokenFrom, or set api.auth to Token"),
        ({"crew__api": {"tokenFrom": TOKEN}, "crew__apiTokenFrom": TOKEN}, "keep one of the two @ spec.crew"),
        ({"crew__api": {"allowFrom": "all"}}, "write a list, not 'all' @ spec.crew.api.allowFrom"),
        ({"crew__api": {"allowFrom": ["all"]}}, "write an object, not 'all' @ spec.crew.api.allowFrom[0]"),
        ({"crew__kickoffTimeout": "soon"}, "write a duration such as 90s, 30m or 720h, not 'soon'"),
        ({"crew__env": [{"value": "x"}]}, "add it: it is required @ spec.crew.env[0].name"),
        ({"template__nodeSelector": {"disk": 1}}, "write a text in quotes, not 1 @ spec.template.nodeSelector.disk"),
        ({"template__tolerations": "all"}, "write a list, not 'all' @ spec.template.tolerations"),
        ({"crew__kickoffTimeout": "0s"}, "kickoffTimeout must be from 1s to 876000h @ spec.crew.kickoffTimeout"),
        ({"memory__sessionTTL": "0s"}, "sessionTTL must be from 1s to 876000h @ spec.memory.sessionTTL"),
        ({"history": {"messages": {"maxMessages": 1}}}, "write a number from 2 to 10000, not 1"),
        ({"history": {"messages": {"turns": 0}}}, "write a number from 1 to 500, not 0 @ spec.history.messages.turns"),
        ({"history": {"messages": {"format": "Langchain"}}}, "write LangChain, not 'Langchain'"),
        ({"history": {"messages": {"enabled": "yes"}}}, "@ spec.history.messages.enabled"),
        ({"history": {"messages": {"input": "a b"}}}, "@ spec.history.messages.input"),
        ({"memory__sessionTTL": "1h" * 20}, "write a duration such as 90s, 30m or 720h"),
        ({"redis__managed__storage__size": "0"}, "a volume has a size"),
        ({"redis__managed__storage__size": "1e99"}, "a volume has a size"),
        ({"redis__managed__storage__size": "9" * 33}, "write a quantity such as 512Mi or 5Gi"),
        ({"redis__managed__maxMemory": "75%\n"}, "write a percentage"),
        ({"redis__managed__passwordRotation": {"every": "59m"}}, "every must be from 1h to 876000h"),
        (
            {"redis__managed__passwordRotation": {}},
            "@ spec.redis.managed.passwordRotation.every",
        ),
        ({"crew__image": "registry.example/x:1\n"}, "write a text that is not empty"),
        (
            {"redis__managed__resources": {"limits": "1Gi"}},
            "write an object such as {memory: 512Mi} @ spec.redis.managed.resources.limits",
        ),
        (
            {"redis__managed__resources": {"limits": {"memory": "1e99"}}},
            "that is more than Kubernetes can count @ spec.redis.managed.resources.limits.memory",
        ),
        (
            {"template__resources": {"requests": {"cpu": []}}},
            "that is no quantity such as 512Mi or 5Gi @ spec.template",
        ),
        ({"template__affinity": nested(33)}, "write at most 32 levels of objects and lists @ spec.template.affinity"),
        ({"template__affinity": nested(100_000)}, "write at most 32 levels of objects and lists"),
        ({"crew__env": [{"name": "X", "valueFrom": nested(33)}]}, "write at most 32 levels"),
        (
            {"crew__env": [{"name": "A"}, {"name": "B", "value": "x" * 131_073}]},
            "write at most 131072 characters, not 131073 @ spec.crew.env[1].value",
        ),
        (
            {"crew__envFrom": [{"secretRef": {"n" * 131_073: "a"}}]},
            f"write at most 131072 characters, not 131073 @ spec.crew.envFrom[0].secretRef.{'n' * 100}",
        ),
        (
            {"crew__api": {"allowFrom": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.1", "1" * 200_000]}}]}},
            "write at most 131072 characters, not 200000 @ spec.crew.api.allowFrom[0].ipBlock.except[1]",
        ),
        ({"template__affinity": {"a": [{"b": "x" * 131_073}]}}, "@ spec.template.affinity.a[0].b"),
        (
            {"crew": {"definition": {"inline": {"agents": {"a": {"role": "x" * 1_048_577}}, "tasks": [TASK]}}}},
            "write at most 1048576 characters, not 1048577 @ spec.crew.definition.inline.agents.a.role",
        ),
        ({"template__tolerations": [{}] * 101}, "write at most 100 items, not 101 @ spec.template.tolerations"),
        ({"template__labels": {str(one): "x" for one in range(101)}}, "write at most 100 entries, not 101"),
        ({"template__labels": {"a": "x" * 254}}, "write at most 253 characters, not 254 @ spec.template.labels.a"),
        ({"replicas": nested(100_000)}, "write a number from 0 to 1000, not an object @ spec.replicas"),
        ({"replicas": 10**5000}, "write a number from 0 to 1000, not so large a number @ spec.replicas"),
        ({"name": "Concierge"}, "take a name of at most 46 lower-case letters"),
        ({"name": "c" * 47}, "take a name of at most 46 lower-case letters"),
    ],
)
def test_bad_field_is_named_with_what_to_write(changes, problem):
    (found,) = problems(**changes)
    assert problem in found


def test_the_longest_texts_that_can_run_are_taken():
    value, story = "x" * 131_072, "y" * 1_048_576
    crew = parse.crew_deployment(crew_manifest(crew__env=[{"name": "A", "value": value}]))
    assert crew.spec.crew.env[0]["value"] == value
    inline = {"agents": {"a": {"backstory": story}}, "tasks": [TASK]}
    crew = parse.crew_deployment(crew_manifest(crew={"definition": {"inline": inline}}))
    assert crew.spec.crew.definition.inline["agents"]["a"]["backstory"] == story


def test_missing_spec_is_a_problem_and_no_crash():
    manifest = crew_manifest()
    del manifest["spec"]
    with pytest.raises(InvalidSpecError, match="write an object, not None @ spec"):
        parse.crew_deployment(manifest)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        [
            "replicas",
            "crew",
            "redis",
            "memory",
            "template",
            "crew__env",
            "crew__inputs",
            "redis__managed",
            "crew__image",
            "crew__api",
            "crew__apiTokenFrom",
        ]
    ),
    anything,
)
def test_any_value_parses_or_is_told_as_problems(where, value):
    try:
        parse.crew_deployment(crew_manifest(**{where: value}))
    except InvalidSpecError as error:
        told = error.problems
    else:
        told = None
    assert told is None or all(problem.path and problem.message for problem in told)


def test_a_managed_redis_of_one_member_has_no_replica_to_wait_for():
    (problem,) = problems(memory__durability="Replicated")
    assert problem.startswith("Replicated needs a replica of Redis: set spec.redis.managed.replicas to 3, write Fsync")
    parse.crew_deployment(crew_manifest(redis={"managed": {"replicas": 3}}, memory__durability="Replicated"))
    assert problem.endswith("@ spec.memory.durability")
    assert problems(redis=None, memory__durability="Replicated")
    crew = parse.crew_deployment(crew_manifest(redis={"external": EXTERNAL}, memory__durability="Replicated"))
    assert crew.spec.durability is Durability.REPLICATED


def test_durability_is_what_its_redis_gives_by_itself_unless_it_is_asked_for():
    assert parse.crew_deployment(crew_manifest()).spec.durability is Durability.BUFFERED
    assert parse.crew_deployment(crew_manifest(redis={"external": EXTERNAL})).spec.durability is Durability.BUFFERED
    assert parse.crew_deployment(crew_manifest(memory__durability="Fsync")).spec.durability is Durability.FSYNC
