"""The same idempotency key is the same kickoff, on any replica, at once or later."""

import asyncio

from support.replicas import wait_until

BODY = {"inputs": {"say": "once"}}


def key(value):
    return {"Idempotency-Key": value}


async def test_same_key_at_once_on_two_replicas_is_one_kickoff(make):
    replicas = [await make("r1"), await make("r2")]
    answers = await asyncio.gather(
        *(replicas[n % 2].api.post("/kickoff", json=BODY, headers=key("order-7")) for n in range(10))
    )
    assert [one.status_code for one in answers] == [200] * 10
    told = {(one.json()["kickoff_id"], one.json()["session_id"]) for one in answers}
    assert len(told) == 1
    assert [one.headers.get("idempotent-replayed") for one in answers].count("true") == 9
    ((kickoff, _),) = told
    assert (await replicas[0].ended(kickoff))["result"]["output"] == "once"
    again = await replicas[1].api.post("/kickoff?wait=5", json=BODY, headers=key("order-7"))
    assert (again.json()["status"], again.json()["kickoff_id"]) == ("completed", kickoff)

    async def started():
        return sum(one.log("server").count("kickoff started") for one in replicas)

    assert await wait_until(started, "the log tells of it") == 1


async def test_key_in_the_body_and_in_quotes_is_the_same_key(replica):
    first = await replica.api.post("/kickoff", json={**BODY, "idempotency_key": "a"})
    quoted = await replica.api.post("/kickoff", json=BODY, headers=key('"a"'))
    assert quoted.json() == first.json()


async def test_same_key_for_another_body_is_refused_in_words(replica):
    first = await replica.api.post("/kickoff", json=BODY, headers=key("a"))
    for other in ({"inputs": {"say": "twice"}}, {**BODY, "session_id": "s"}, {**BODY, "meta": {"x": 1}}):
        answer = await replica.api.post("/kickoff", json=other, headers=key("a"))
        assert (answer.status_code, answer.json()["reason"]) == (422, "IdempotencyKeyReused")
        assert first.json()["kickoff_id"] in answer.json()["message"]


async def test_unusable_keys_are_refused(replica):
    for body, headers in (
        (BODY, key("x" * 256)),
        ({**BODY, "idempotency_key": ""}, {}),
        ({**BODY, "idempotency_key": "a"}, key("b")),
    ):
        answer = await replica.api.post("/kickoff", json=body, headers=headers)
        assert (answer.status_code, answer.json()["details"]) == (422, {"field": "idempotency_key"})
