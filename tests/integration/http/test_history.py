"""What was said before, as real crews get it: by the input `history`, and by `crew_runtime.history()`."""

import asyncio
import json

import pytest

from crew_runtime.contract import keys
from support import langchain_lists
from support.replicas import wait_until

PREFIX = "test/crew"
ENABLED = {"CREWOPS_HISTORY_FORMAT": "LangChain", "CREWOPS_HISTORY_INPUT": "message"}


async def _answer(replica, session, **inputs):
    body = {"inputs": inputs, "session_id": session}
    seen = (await replica.api.post("/kickoff?wait=30", json=body)).json()
    assert seen["status"] == "completed", seen
    return seen["result"]["output"]


async def test_crew_whose_text_asks_for_it_gets_the_last_turns(real):
    options = {**ENABLED, "CREWOPS_HISTORY_TURNS": "2"}
    one, other = await real("recalling:asking", "r1", **options), await real("recalling:asking", "r2", **options)
    assert (await one.api.get("/inputs")).json() == {"inputs": ["message"]}, "nobody has to give the history"
    assert await _answer(one, "ada", message="peanuts") == "[] peanuts"
    assert await _answer(other, "ada", message="and?") == "[User: peanuts\nAssistant: [] peanuts] and?"
    third = await _answer(one, "ada", message="so?")
    fourth = await _answer(other, "ada", message="now?")
    assert third.startswith("[User: peanuts\n")
    assert fourth.startswith("[User: and?\n"), "the last two turns"
    assert await _answer(one, "ad", message="hm") == "[] hm", "another session"
    assert await _answer(one, "ada", message="mine", history="given") == "[given] mine"


async def test_crew_without_history_has_an_input_of_that_name_like_any_other(real):
    replica = await real("recalling:asking")
    assert (await replica.api.get("/inputs")).json() == {"inputs": ["history", "message"]}
    missing = await replica.api.post("/kickoff", json={"inputs": {"message": "hi"}})
    assert missing.json()["details"] == {"missing_inputs": ["history"]}
    assert await _answer(replica, "ada", message="hi", history="mine") == "[mine] hi"


async def test_own_code_reads_what_it_was_told_and_what_langchain_wrote(real, redis):
    replica = await real("recalling:Reading", **{**ENABLED, "CREWOPS_SESSION_TTL": "100"})
    assert json.loads(await _answer(replica, "ada", message="hello", turns=5)) == []
    written = [{"type": "human", "data": {"content": "hi"}}, {"type": "system", "data": {"content": "be brief"}}]
    root = keys.messages_root(PREFIX)
    await asyncio.to_thread(langchain_lists.read, redis.url, root, "ada", add=written)
    with redis.client() as client:
        client.acl_log_reset()
        client.lpush(keys.messages(PREFIX, "ada"), "not a message")
        # What reads it uses it, as a memory's recall does.
        client.pexpire(keys.messages(PREFIX, "ada"), 50_000)
        read = json.loads(await _answer(replica, "ada", message="more", turns=5))
        assert read == [["human", "hello"], ["ai", "[]"], ["human", "hi"], ["system", "be brief"]]
        client.pexpire(keys.messages(PREFIX, "ada"), 50_000)
        assert json.loads(await _answer(replica, "ada", message="last", turns=1)) == [
            ["human", "more"],
            ["ai", json.dumps(read)],
        ]
        assert client.pttl(keys.messages(PREFIX, "ada")) > 90_000


@pytest.mark.parametrize("rule", ["FailClosed", "Degrade"])
async def test_history_that_cannot_be_read_is_a_failure_of_memory(real, redis, rule):
    replica = await real("recalling:asking", CREWOPS_MEMORY_ON_FAILURE=rule, **ENABLED)
    with redis.client() as client:
        key = keys.messages(PREFIX, "ada")
        before = client.execute_command("ACL", "GETUSER", "default")["keys"]
        # All that begins with no m; what does, but for the messages, is memories and their meta.
        others = [f"~cs:{{{PREFIX}}}:{one}" for one in ("[^m]*", "meta", "m:*", "mortal")]
        client.execute_command("ACL", "SETUSER", "default", "resetkeys", *others)
        kickoff = await replica.kickoff("ada", message="hi")

        async def failed():
            return await replica.metric("crewops_memory_failures_total")

        await wait_until(failed, "the history was not read")
        client.execute_command("ACL", "SETUSER", "default", "resetkeys", *before.split())
        client.acl_log_reset()
        seen = await replica.ended(kickoff)
        if rule == "Degrade":
            assert (seen["status"], seen["memory"], seen["result"]["output"]) == ("completed", "degraded", "[] hi")
            assert client.llen(key) == 2
        else:
            assert (seen["status"], "messages" in seen["error"]) == ("error", True), seen
            assert client.llen(key) == 0
