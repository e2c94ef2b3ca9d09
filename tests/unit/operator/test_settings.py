import itertools

import pytest

from crew_operator import doorbells, healing, redis_client, replica_client, settings
from crew_operator.settings import Restrictions
from crew_runtime.contract.reasons import Reason
from crew_server import backend, changes


def test_flags_win_over_environment_and_environment_over_defaults():
    environ = {"CREW_OPERATOR_REDIS_IMAGE": "redis:8.2", "CREW_OPERATOR_RESYNC": "10", "KUBECONFIG": "/k"}
    found = settings.parse(["--redis-image", "redis:8.4"], environ)
    assert (found.redis_image, found.resync, found.kubeconfig) == ("redis:8.4", 10.0, "/k")


def test_namespaces_come_from_repeated_flags_or_one_variable():
    assert settings.parse(["--namespace", "a", "--namespace", "b"], {}).namespaces == ("a", "b")
    assert settings.parse([], {"CREW_OPERATOR_NAMESPACES": "a, b"}).namespaces == ("a", "b")
    assert settings.parse([], {}).namespaces == ()


def test_own_pods_are_a_namespace_and_labels():
    found = settings.parse(["--own-pods", "crew-system:app.kubernetes.io/name=op,a=b"], {})
    assert found.own_pods == ("crew-system", {"app.kubernetes.io/name": "op", "a": "b"})
    assert settings.parse([], {}).own_pods is None


def test_monitoring_is_a_list_of_peers():
    found = settings.parse([], {"CREW_OPERATOR_MONITORING": '[{"namespaceSelector": {}}]'})
    assert found.monitoring == ({"namespaceSelector": {}},)
    assert settings.parse([], {}).monitoring == ()


@pytest.mark.parametrize("given", ["monitoring", "{}", '["a"]', "[{}]"])
def test_peers_that_are_none_end_with_what_to_set(given, capsys):
    """An empty peer would be refused by the API server for every crew, one by one."""
    with pytest.raises(SystemExit):
        settings.parse(["--monitoring", given], {})
    assert "JSON list of NetworkPolicy peers" in capsys.readouterr().err


def test_templates_are_restricted_when_asked_for_and_by_any_word_but_no():
    assert settings.parse([], {}).restrictions is None
    assert settings.parse(["--restrict-templates"], {}).restrictions == Restrictions()
    flags = ["--restrict-templates", "--allow-service-account", "crew", "--allow-metadata", "acme.com/*"]
    assert settings.parse(flags, {}).restrictions == Restrictions(("crew",), ("acme.com/*",))
    environ = {"CREW_OPERATOR_ALLOW_SERVICE_ACCOUNTS": "a,b", "CREW_OPERATOR_ALLOW_METADATA": "x y"}
    for word in ("true", "1", "yes", "ture"):
        found = settings.parse([], {"CREW_OPERATOR_RESTRICT_TEMPLATES": word, **environ})
        assert found.restrictions == Restrictions(("a", "b"), ("x", "y"))
    for word in ("false", "0", "no", ""):
        assert settings.parse([], {"CREW_OPERATOR_RESTRICT_TEMPLATES": word}).restrictions is None


def test_exceptions_from_what_is_not_restricted_are_a_mistake(capsys):
    with pytest.raises(SystemExit):
        settings.parse(["--allow-service-account", "crew"], {})
    assert "do nothing without --restrict-templates" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--own-pods", "crew-system"], ["--own-pods", "a:b"], ["--lease", "a"]])
def test_half_a_name_ends_with_what_to_set(flags, capsys):
    with pytest.raises(SystemExit):
        settings.parse(flags, {})
    assert f"{flags[0]} is '{flags[1]}'; set it to NAMESPACE" in capsys.readouterr().err


def test_unknown_flag_ends_with_usage(capsys):
    with pytest.raises(SystemExit):
        settings.parse(["--nonsense"], {})
    assert "usage: crew-operator" in capsys.readouterr().err


def look():
    """Seconds that a look takes at most: Redis and the replicas are asked at the same time."""
    return max(replica_client.REPORT_DEADLINE, redis_client.DEADLINE)


@pytest.mark.parametrize("gap", [doorbells.GAP, doorbells.SLOW_GAP])
def test_a_dead_redis_shows_within_ten_seconds_where_a_replica_notices_it(gap):
    """It checked just before, runs into its deadline, compares, signals, and the crew has been woken a moment ago."""
    noticed = backend.EVERY + backend.DEADLINE + changes.EVERY
    assert noticed + gap + look() <= 10


def test_a_replica_whose_node_vanished_shows_within_ten_seconds():
    silent = doorbells.IDLE + doorbells.INTERVAL * doorbells.COUNT
    assert silent + doorbells.GAP + look() <= 10


def test_a_dead_redis_shows_within_ten_seconds_where_the_operator_looks_by_the_clock():
    """A proof may just have begun when it dies: the server half gives it up, and the crew is looked at anew."""
    found = settings.Settings()
    assert found.tick + look() <= 10
    assert replica_client.PROOF_DEADLINE + replica_client.FORGET_DEADLINE + look() <= 10


def test_wedged_redis_gets_more_patience_than_it_takes_to_be_seen():
    assert settings.Settings().tick + redis_client.DEADLINE < healing.PATIENCE


def test_reasons_are_unlike_and_carry_cause_and_remedy():
    for one, other in itertools.combinations(Reason, 2):
        assert one.word != other.word
    for reason in Reason:
        assert reason.word.isalpha()
        assert reason.cause.endswith(".")
        assert reason.remedy.endswith(".")
