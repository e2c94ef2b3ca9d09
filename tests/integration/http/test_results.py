"""Results, errors and inputs over HTTP as CrewAI itself has them: real server, real worker, real CrewAI."""

from typing import Any

import pytest

from support.replicas import Replica


async def _ended(replica: Replica, inputs: dict[str, Any], session: str = "s") -> dict[str, Any]:
    answer = await replica.api.post("/kickoff?wait=30", json={"inputs": inputs, "session_id": session})
    seen: dict[str, Any] = answer.json()
    return seen


@pytest.mark.parametrize("processes", ["PerKickoff", "Shared"])
async def test_a_model_is_json_the_output_is_raw_and_usage_is_of_one_kickoff(real, processes):
    replica = await real("results:booking", CREWOPS_PROCESSES=processes, CREWOPS_CONCURRENCY="1")
    first, second = await _ended(replica, {}), await _ended(replica, {}, "other")
    assert first["status"] == "completed", first
    assert first["result"]["json"] == {
        "urgency": "high",
        "at": "2026-01-02T03:04:00Z",
        "id": "00000000-0000-0000-0000-000000000007",
        "guest": {"name": "Ann", "born": "2000-01-01"},
    }
    assert first["result"]["output"].startswith('{"urgency":"high"')
    assert first["result"]["usage"]["total_tokens"] > 0
    assert first["result"]["usage"]["total_tokens"] == 7 * first["result"]["usage"]["successful_requests"]
    assert second["result"]["usage"] == first["result"]["usage"]


async def test_an_after_kickoff_that_returns_nothing_leaves_the_tasks_outputs(real):
    replica = await real("results:silent")
    seen = await _ended(replica, {})
    assert (seen["status"], seen["result"]["output"], seen["result"]["json"]) == ("completed", "", None)
    assert [(one["name"], one["output"]) for one in seen["result"]["tasks"]] == [("book", "booked")]


async def test_an_error_names_its_type_and_shows_the_users_frames_alone(real):
    replica = await real("results:failing")
    seen = await _ended(replica, {})
    assert (seen["status"], seen["reason"]) == ("error", "CrewFailed")
    assert seen["error"] == "support.user_crews.results.NoTableError: the house is full"
    assert "KeyError: 'table'" in seen["traceback"]
    assert "in _fail" in seen["traceback"]
    assert "crew_runtime" not in seen["traceback"]


async def test_braces_are_demanded_exactly_where_crewai_would_raise(real):
    replica = await real("results:menu")
    bare = await _ended(replica, {})
    assert [one["output"] for one in bare["result"]["tasks"]] == ["{dish}: {price}", "done"]
    refused = await replica.api.post("/kickoff", json={"inputs": {"dish": "soup"}})
    assert (refused.status_code, refused.json()["details"]) == (422, {"missing_inputs": ["price"]})
    assert "spec.crew.inputs" in refused.json()["message"]


async def test_braces_that_are_declared_away_stay_as_they_are(real):
    declared = await real("results:menu", CREWOPS_INPUTS="dish")
    assert (await declared.api.get("/inputs")).json() == {"inputs": ["dish"]}
    assert (await declared.api.post("/kickoff", json={})).json()["details"] == {"missing_inputs": ["dish"]}
    told = await _ended(declared, {"dish": "soup"})
    assert told["result"]["tasks"][0]["output"] == "soup: {price}"


async def test_a_field_that_an_old_flow_state_lacks_is_named(real):
    replica = await real("results:Visits")
    assert (await _ended(replica, {}))["result"]["output"] == "visit 1"
    assert (await _ended(replica, {}))["result"]["output"] == "visit 2"
    seen = await _ended(replica, {"new": True})
    assert (seen["status"], seen["reason"]) == ("error", "CrewFailed")
    assert seen["error"].startswith("KeyError: 'vip'\n")
    assert "saved count and no 'vip'" in seen["error"]
    fresh = await _ended(replica, {"new": True}, "another")
    assert fresh["error"] == "KeyError: 'vip'"


async def test_files_are_refused_with_the_way_to_give_them(real):
    replica = await real("results:silent")
    answer = await replica.api.post("/kickoff", json={"input_files": {"photo": "https://example.com/a.png"}})
    assert answer.status_code == 422
    assert "@before_kickoff" in answer.json()["message"]
