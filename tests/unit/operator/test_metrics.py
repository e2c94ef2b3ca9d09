from prometheus_client.parser import text_string_to_metric_families

from crew_operator.metrics import Metrics


def figures(metrics):
    """Those that have a crew's name."""
    found = text_string_to_metric_families(metrics.text().decode())
    samples = [one for family in found for one in family.samples if "namespace" in one.labels]
    labels = ("namespace", "name", "type", "status")
    return {(one.name, *(one.labels[key] for key in labels if key in one.labels)): one.value for one in samples}


def test_the_figures_of_a_crew_are_shown_while_there_is_one():
    metrics = Metrics()
    metrics.conditions.show("lobby", "concierge", [{"type": "Ready", "status": "False", "reason": "R"}])
    metrics.conditions.show("lobby", "concierge", [{"type": "Ready", "status": "True", "reason": "R"}])
    metrics.conditions.show("lobby", "porter", [{"type": "Ready", "status": "Unknown", "reason": "R"}])
    metrics.redis_seconds.set("lobby", "concierge", 0.25)
    metrics.proof_time.set("lobby", "concierge", 1e9)
    metrics.watched.set("lobby", "concierge", True)
    metrics.memory_losses.labels("lobby", "concierge").inc()
    shown = figures(metrics)
    ready = {key[1:]: value for key, value in shown.items() if key[0] == "crew_operator_condition"}
    assert ready == {
        ("lobby", "concierge", "Ready", "True"): 1,
        ("lobby", "concierge", "Ready", "False"): 0,
        ("lobby", "concierge", "Ready", "Unknown"): 0,
        ("lobby", "porter", "Ready", "True"): 0,
        ("lobby", "porter", "Ready", "False"): 0,
        ("lobby", "porter", "Ready", "Unknown"): 1,
    }
    assert shown["crew_operator_redis_seconds", "lobby", "concierge"] == 0.25
    assert shown["crew_operator_last_proof_timestamp_seconds", "lobby", "concierge"] == 1e9
    assert shown["crew_operator_watched", "lobby", "concierge"] == 1
    metrics.forget("lobby", "concierge")
    metrics.forget("lobby", "nobody")
    assert {key[2] for key in figures(metrics)} == {"porter"}
