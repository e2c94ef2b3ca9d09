"""What a kickoff tells is POSTed to the URLs that it was given: at least once, in order, whatever dies meanwhile."""

import base64
import hashlib
import hmac
import json
import signal

import pytest

from crew_runtime.contract import tokens
from support.receiver import DROP, HANG, receiver
from support.replicas import wait_until

HERE = {"CREWOPS_WEBHOOK_HOSTS": "127.0.0.1 localhost"}


@pytest.fixture
def hooks():
    with receiver() as one:
        yield one


def _asked(hooks, *channels, **inputs):
    urls = {f"{one}WebhookUrl": hooks.url(one) for one in channels}
    return {"inputs": {"do": "step", **inputs}, "meta": {"order": 7}, **urls}


async def _kickoff(replica, body):
    answer = await replica.api.post("/kickoff", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["kickoff_id"]


async def _received(hooks, path, number=1, seconds=20.0):
    async def look():
        return len(hooks.of(path)) >= number

    await wait_until(look, f"{number} on /{path}", seconds)
    return hooks.of(path)


async def _webhooks(replica, kickoff, **wanted):
    async def look():
        seen = (await replica.status(kickoff))["webhooks"]
        return seen if {name: seen.get(name) for name in wanted} == wanted else None

    return await wait_until(look, f"webhooks are {wanted}", 20)


async def test_task_step_and_end_are_told_in_the_platforms_words(make, hooks):
    replica = await make(**HERE)
    kickoff = await _kickoff(replica, _asked(hooks, "task", "step", "crew", say="at seven"))
    (crew,) = await _received(hooks, "crew")
    (task,), (step,) = await _received(hooks, "task"), await _received(hooks, "step")
    shared = {"kickoff_id": kickoff, "meta": {"order": 7}}
    for one in (task, step, crew):
        assert shared.items() <= one.body.items()
        assert one.headers["content-type"] == "application/json"
        assert one.headers["webhook-id"] == f"{kickoff}-{one.body['event']['id']}"
        assert "webhook-signature" not in one.headers
    told = {"task_id": "1", "name": "answer", "description": "Answer", "agent": "echo", "output": "at seven"}
    assert told.items() <= task.body.items()
    assert {"tool": "look_up", "tool_input": {"room": 214}, "result": "quiet"}.items() <= step.body.items()
    ended = {"status": "completed", "result": "at seven", "token_usage": {"total_tokens": 7}}
    assert ended.items() <= crew.body.items()
    assert (await _webhooks(replica, kickoff, delivered=3)) == {"delivered": 3, "failed": 0}


@pytest.mark.parametrize(
    ("inputs", "status", "reason"),
    [
        ({"do": "leave"}, "error", "Exited"),
        ({"do": "sleep"}, "cancelled", "Cancelled"),
    ],
)
async def test_every_end_is_told(make, hooks, inputs, status, reason):
    replica = await make(**HERE)
    kickoff = await _kickoff(replica, _asked(hooks, "crew", **inputs))
    if status == "cancelled":
        await replica.started(kickoff)
        await replica.api.delete(f"/kickoff/{kickoff}")
    (crew,) = await _received(hooks, "crew")
    assert (crew.body["status"], crew.body["reason"]) == (status, reason)


async def test_with_a_token_each_delivery_is_signed(make, hooks):
    replica = await make(CREWOPS_API_TOKEN="t0ken", **HERE)
    replica.api.headers["Authorization"] = "Bearer t0ken"
    await _kickoff(replica, _asked(hooks, "crew"))
    (crew,) = await _received(hooks, "crew")
    signed = f"{crew.headers['webhook-id']}.{crew.headers['webhook-timestamp']}.".encode() + crew.raw
    key = base64.b64decode(tokens.webhook_secret("t0ken").removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert crew.headers["webhook-signature"] == f"v1,{wanted}"


async def test_without_a_token_nothing_is_signed(make, hooks):
    await _kickoff(await make(**HERE), _asked(hooks, "crew"))
    (crew,) = await _received(hooks, "crew")
    assert "webhook-signature" not in crew.headers


async def test_a_delivery_that_fails_is_tried_again_under_its_id(make, hooks):
    replica = await make(**HERE)
    hooks.answers = [503, DROP]
    kickoff = await _kickoff(replica, _asked(hooks, "crew"))
    tries = await _received(hooks, "crew", 3)
    assert len({one.headers["webhook-id"] for one in tries}) == 1
    seen = await _webhooks(replica, kickoff, delivered=1)
    assert "crew webhook: " in seen["last_error"]
    assert await replica.metric("crewops_webhooks_total") == 3


async def test_a_receiver_is_given_the_pause_that_it_asks_for(make, hooks):
    replica = await make(**HERE)
    hooks.answers, hooks.headers = [429], {"Retry-After": "3"}
    await _kickoff(replica, _asked(hooks, "crew"))
    first, second = await _received(hooks, "crew", 2)
    assert second.at - first.at >= 2.9


async def test_a_refusal_for_good_is_told_and_does_not_hold_up_what_comes_behind(make, hooks):
    replica = await make(**HERE)
    body = _asked(hooks, "task", "crew")
    body["crewWebhookUrl"] = body["taskWebhookUrl"]
    hooks.answers = [400]
    kickoff = await _kickoff(replica, body)
    await _received(hooks, "task", 2)
    seen = await _webhooks(replica, kickoff, delivered=1, failed=1)
    assert seen["last_error"].endswith("webhook: the receiver answered 400")


async def test_deliveries_of_one_webhook_keep_their_order_over_failures(make, hooks):
    replica = await make(**HERE)
    hooks.answers = [500]
    kickoff = await _kickoff(replica, _asked(hooks, "step"))
    await replica.ended(kickoff)
    await _received(hooks, "step", 2)
    second = await _kickoff(replica, _asked(hooks, "task", "crew"))
    await _received(hooks, "crew")
    assert [one.body["kickoff_id"] for one in hooks.of("step")] == [kickoff, kickoff]
    assert [one.body["kickoff_id"] for one in hooks.of("task")] == [second]


async def test_a_receiver_that_hangs_delays_no_kickoff_and_no_other_receiver(make, hooks):
    replica = await make(**HERE)
    with receiver() as stuck:
        stuck.answers = [HANG] * 20
        held = [await _kickoff(replica, _asked(stuck, "crew")) for _ in range(6)]
        for one in held:
            assert (await replica.ended(one))["status"] == "completed"
        await _received(stuck, "crew", 4)
        await _kickoff(replica, _asked(hooks, "crew"))
        await _received(hooks, "crew", seconds=8)


async def test_a_delivery_whose_replica_died_is_made_by_another(make, hooks):
    first = await make("r1", **HERE)
    hooks.answers = [HANG]
    kickoff = await _kickoff(first, _asked(hooks, "crew"))
    await _received(hooks, "crew")
    first.server.send_signal(signal.SIGKILL)
    second = await make("r2", idle=True, **HERE)
    tries = await _received(hooks, "crew", 2, seconds=60)
    assert len({one.headers["webhook-id"] for one in tries}) == 1
    await _webhooks(second, kickoff, delivered=1)


async def test_the_end_of_a_kickoff_whose_replica_died_is_told(make, hooks):
    fail = {"CREWOPS_ON_REPLICA_LOSS": "Fail", **HERE}
    first, _ = await make("r1", **fail), await make("r2", idle=True, **fail)
    kickoff = await _kickoff(first, _asked(hooks, "crew", do="sleep"))
    await first.started(kickoff)
    first.server.send_signal(signal.SIGKILL)
    (crew,) = await _received(hooks, "crew", seconds=30)
    assert (crew.body["status"], crew.body["reason"]) == ("error", "ReplicaLost")


async def test_deliveries_outlive_redis(make, redis, hooks):
    replica = await make(**HERE)
    hooks.answers = [503]
    kickoff = await _kickoff(replica, _asked(hooks, "task", "crew", seconds=1.5))
    await _received(hooks, "task")
    redis.kill()
    redis.start()
    assert (await replica.ended(kickoff, 30))["status"] == "completed"
    await _received(hooks, "task", 2, seconds=60)
    await _received(hooks, "crew", seconds=30)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_a_client_cannot_reach_through_the_replica_what_only_the_pod_can(make, hooks, host):
    replica = await make()
    body = {"inputs": {"do": "step"}, "crewWebhookUrl": f"http://{host}:{hooks.port}/crew"}
    kickoff = await _kickoff(replica, body)
    seen = await _webhooks(replica, kickoff, failed=1)
    assert "no webhook may reach unless spec.crew.webhookHosts names it" in seen["last_error"]
    assert hooks.received == []


async def test_a_url_that_is_no_ascii_is_delivered_and_one_that_cannot_be_sent_is_refused_at_once(make, hooks):
    replica = await make(**HERE)
    body = {"inputs": {"do": "step"}, "crewWebhookUrl": hooks.url("größe?an=Zoë")}
    kickoff = await _kickoff(replica, body)
    await _webhooks(replica, kickoff, delivered=1)
    assert [one.path for one in hooks.received] == ["/gr%C3%B6%C3%9Fe?an=Zo%C3%AB"]
    for url in (f"http://{'a' * 64}.example/", "http://example.com/\x00"):
        answer = await replica.api.post("/kickoff", json={"inputs": {}, "crewWebhookUrl": url})
        assert (answer.status_code, answer.json()["details"]["field"]) == (422, "crewWebhookUrl")


async def test_a_delivery_that_can_never_be_made_is_given_up_and_shows(make, redis, hooks):
    replica = await make(**HERE)
    hooks.answers = [503] * 50
    kickoff = await _kickoff(replica, _asked(hooks, "task"))
    await replica.ended(kickoff, 20)  # whose end writes down what was asked for once more
    # As an older server took it.
    hook = {"task": {"url": hooks.url("task"), "authentication": {"strategy": "bearer", "token": "tokén\n"}}}
    redis.client().hset(f"cs:{{test/crew}}:run:{kickoff}", "hooks", json.dumps(hook))
    seen = await _webhooks(replica, kickoff, delivered=0, failed=1)
    assert "cannot be sent" in seen["last_error"]


async def test_with_hosts_given_others_are_refused_at_once(make, hooks):
    replica = await make(CREWOPS_WEBHOOK_HOSTS="*.example.com")
    answer = await replica.api.post("/kickoff", json=_asked(hooks, "crew"))
    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidField")
    assert "*.example.com" in answer.json()["message"]


async def test_what_an_erased_session_has_still_to_tell_is_not_told(make, redis, hooks):
    replica = await make(**HERE)
    hooks.answers = [503] * 50
    kickoff = await _kickoff(replica, _asked(hooks, "crew", "task", "step") | {"session_id": "ann"})
    await replica.ended(kickoff)
    await _received(hooks, "crew")
    answer = await replica.api.delete("/sessions/ann")
    assert answer.status_code == 200, answer.text
    left = [one for one in redis.client().keys("*") if ":ev:" in one or ":hook:" in one]
    assert left == []
