"""The messages of a session, beside LangChain's own class on the same list of a real Redis."""

import asyncio
import json

import pytest

from crew_runtime.contract import keys, messages
from support import langchain_lists
from support.replicas import wait_until

PREFIX = "test/crew"
ODD = "a/b ä%2F{x}|*"
ENABLED = {"CREWOPS_HISTORY_FORMAT": "LangChain", "CREWOPS_HISTORY_INPUT": "say"}


async def _langchain(redis, session, **more):
    """With a crew's rights. redis-py tells its name at connect, which is not among them, and does without."""
    found = await asyncio.to_thread(langchain_lists.read, redis.url, keys.messages_root(PREFIX), session, **more)
    with redis.client() as client:
        if {one["object"] for one in client.acl_log()} <= {"client|setinfo"}:
            client.acl_log_reset()
    return found


async def _page(replica, session, **params):
    answer = await replica.api.get(f"/sessions/{session}/messages", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _said(found):
    return [(one["type"], one["data"]["content"]) for one in found]


async def _ends(replica, session, **inputs):
    kickoff = await replica.kickoff(session, **inputs)
    assert (await replica.ended(kickoff))["status"] == "completed"
    return kickoff


async def test_langchain_reads_what_kickoffs_of_two_replicas_said(make, redis):
    one, other = await make("r1", **ENABLED), await make("r2", **ENABLED)
    first = await _ends(one, "ada", say="peanuts")
    await _ends(other, "ada", do="odd", say="Erdnüsse 🥜")
    await _ends(one, ODD, say="in a session of its own")

    found = await _langchain(redis, "ada")
    assert _said(found) == [
        *(("human", "peanuts"), ("ai", "peanuts")),
        *(("human", "Erdnüsse 🥜"), ("ai", "\ud800 and \x00")),
    ]
    assert [one["data"]["id"] for one in found[:2]] == [f"{first}:user", f"{first}:ai"]
    ours = [one["data"]["additional_kwargs"]["crewops"] for one in found[:2]]
    assert [one["kickoff_id"] for one in ours] == [first, first]
    assert ours[0]["at"] <= ours[1]["at"]
    assert _said(await _langchain(redis, ODD)) == [(kind, "in a session of its own") for kind in ("human", "ai")]
    assert await _langchain(redis, "ad") == []


async def test_elements_are_written_byte_by_byte_as_langchain_does(make, redis):
    replica = await make(**ENABLED)
    await _ends(replica, "ours", say='say ü " \\ and 🥜')
    found = await _langchain(redis, "ours")
    await _langchain(redis, "theirs", add=found)
    with redis.client() as client:
        ours, theirs = (client.lrange(keys.messages(PREFIX, one), 0, -1) for one in ("ours", "theirs"))
    assert ours == theirs
    assert len(ours) == 2


async def test_what_langchain_writes_is_read_and_counted(make, redis):
    replica = await make(**ENABLED)
    kickoff = await _ends(replica, "ada", say="hello")
    call = {"name": "look_up", "args": {"room": 214}, "id": "c1", "type": "tool_call"}
    written = [
        {"type": "system", "data": {"content": "be brief"}},
        {"type": "human", "data": {"content": [{"type": "text", "text": "what is this?"}]}},
        {"type": "ai", "data": {"content": "", "tool_calls": [call]}},
        {"type": "tool", "data": {"content": "quiet", "tool_call_id": "c1"}},
        {"type": "AIMessageChunk", "data": {"content": "a quiet room"}},
    ]
    theirs = await _langchain(redis, "ada", add=written)
    page = await _page(replica, "ada")
    assert page["messages"] == theirs[::-1]
    assert (page["total"], page["unreadable"], page["cursor"]) == (7, 0, None)
    assert page["messages"][2]["data"]["tool_calls"][0]["args"] == {"room": 214}
    seen = (await replica.api.get("/sessions/ada")).json()
    assert (seen["messages"], seen["records"]) == (7, 0)
    exported = (await replica.api.get("/sessions/ada/export")).json()
    assert exported["messages"] == theirs
    assert [one["kickoff_id"] for one in exported["kickoffs"]] == [kickoff]


async def test_list_that_only_langchain_writes_is_a_session_too(make, redis):
    """The recipe as people have it, without a word of it in the spec."""
    replica = await make()
    await _ends(replica, "ada", say="hello")
    assert (await replica.api.get("/sessions/ada")).json()["messages"] == 0, "nobody asked for it"
    await _langchain(redis, "bob", add=[{"type": "human", "data": {"content": "hi"}}])
    assert _said((await _page(replica, "bob"))["messages"]) == [("human", "hi")]
    assert (await replica.api.delete("/sessions/bob")).json()["messages"] == 1
    assert (await replica.api.get("/sessions/bob/messages")).json()["reason"] == "UnknownSession"
    assert await _langchain(redis, "bob") == []


async def test_pages_go_back_in_time_while_new_messages_come(make, redis):
    replica = await make(**ENABLED)
    for number in range(4):
        await _ends(replica, "ada", say=f"{number}")
    page = await _page(replica, "ada", limit=3)
    seen = _said(page["messages"])
    await _ends(replica, "ada", say="new")
    while page["cursor"]:
        page = await _page(replica, "ada", limit=3, cursor=page["cursor"])
        seen += _said(page["messages"])
    assert seen == [(kind, str(number)) for number in (3, 2, 1, 0) for kind in ("ai", "human")]
    assert page["total"] == 10
    for params in ({"cursor": "x"}, {"cursor": "0"}, {"cursor": "-1"}, {"limit": "0"}, {"limit": "1001"}):
        assert (await replica.api.get("/sessions/ada/messages", params=params)).status_code == 422, params
    assert (await _page(replica, "ada", cursor="99999"))["total"] == 10
    assert (await replica.api.get("/sessions/nobody/messages")).status_code == 404


async def test_only_an_answer_is_a_turn_and_all_inputs_are_said_where_none_is_named(make, redis):
    replica = await make(CREWOPS_HISTORY_FORMAT="LangChain")
    failed = await replica.kickoff("ada", do="leave")
    assert (await replica.ended(failed))["status"] == "error"
    running = await replica.kickoff("ada", do="sleep")
    await replica.started(running)
    await replica.api.delete(f"/kickoff/{running}")
    await replica.ended(running)
    await _ends(replica, "ada", say="hi", room={"no": 214, "ü": None}, history="what was said before")
    (user, answer) = await _langchain(redis, "ada")
    assert json.loads(user["data"]["content"]) == {"say": "hi", "room": {"no": 214, "ü": None}}
    assert "ü" in user["data"]["content"]
    assert answer["data"]["content"] == "hi"


async def test_so_many_are_kept_and_none_is_longer_than_it_may_be(make, redis):
    replica = await make(CREWOPS_HISTORY_MAX_MESSAGES="4", **ENABLED)
    for number in range(3):
        await _ends(replica, "ada", say=f"{number}")
    assert _said(await _langchain(redis, "ada")) == [("human", "1"), ("ai", "1"), ("human", "2"), ("ai", "2")]
    await _ends(replica, "ada", do="big", bytes=messages.MOST_TEXT + 5)
    (last,) = (await _page(replica, "ada", limit=1))["messages"]
    assert last["data"]["content"] == "x" * messages.MOST_TEXT
    assert last["data"]["additional_kwargs"]["crewops"]["cut_from"] == messages.MOST_TEXT + 5


async def test_turn_of_a_replica_that_is_killed_is_there_once(make, redis):
    one = await make("r1", **ENABLED)
    kickoff = await one.kickoff("ada", say="once", do="sleep_at_first", attempts=1)
    await one.started(kickoff)
    other = await make("r2", **ENABLED)
    one.server.kill()
    assert (await other.ended(kickoff))["attempt"] == 2
    assert _said(await _langchain(redis, "ada")) == [("human", "once"), ("ai", "attempt 2")]


async def test_turn_of_an_end_that_redis_lost_is_not_written_again(make, redis):
    """As when a Redis comes back from a backup in which the kickoff still runs: its owner ends it once more."""
    replica = await make(**ENABLED)
    kickoff = await replica.kickoff("ada", say="once", seconds=1)
    await replica.started(kickoff)
    with redis.client() as client:
        kept = client.hgetall(keys.run(PREFIX, kickoff))
        await replica.ended(kickoff)
        client.delete(keys.run(PREFIX, kickoff))
        client.hset(keys.run(PREFIX, kickoff), mapping=kept)
        client.zadd(keys.leases(PREFIX), {kickoff: 0})
        seen = await replica.ended(kickoff, 60)
        assert (seen["status"], seen["attempt"]) == ("completed", 2)
        assert client.llen(keys.messages(PREFIX, "ada")) == 2


async def test_messages_live_as_long_as_their_session(make, redis):
    mortal = await make("r1", CREWOPS_SESSION_TTL="100", **ENABLED)
    await _ends(mortal, "ada", say="1")
    key = keys.messages(PREFIX, "ada")
    with redis.client() as client:
        assert 90_000 < client.pttl(key) <= 100_000
        client.pexpire(key, 5_000)
        await _ends(mortal, "ada", say="2")
        assert client.pttl(key) > 90_000, "each turn restarts the time"
        page = (await mortal.api.get("/sessions")).json()["sessions"]
        assert [(one["session_id"], one["records"]) for one in page] == [("ada", 0)]
        assert 90 < page[0]["expires"] - page[0]["last_used"] <= 101
        immortal = await make("r2", **ENABLED)
        await _ends(immortal, "bob", say="3")
        assert client.pttl(keys.messages(PREFIX, "bob")) == -1
        client.pexpire(key, 1)

        async def gone():
            return not client.exists(key)

        await wait_until(gone, "the list expires")
    assert (await mortal.api.get("/sessions/ada")).json()["messages"] == 0


async def test_erased_session_has_no_messages_and_begins_anew(make, redis):
    replica = await make(**ENABLED)
    for session in ("1", "10"):
        await _ends(replica, session, say=f"in {session}")
    running = await replica.kickoff("1", do="sleep", say="never")
    await replica.started(running)
    assert (await replica.api.delete("/sessions/1")).status_code == 409
    gone = (await replica.api.delete("/sessions/1", params={"force": True})).json()
    assert (gone["messages"], gone["kickoffs"]) == (2, 2)
    assert await _langchain(redis, "1") == []
    assert (await replica.api.get("/sessions/1/messages")).status_code == 404
    assert (await replica.api.get("/sessions/1")).status_code == 404
    assert len(await _langchain(redis, "10")) == 2, "1 is not 10"
    assert (await replica.api.delete("/sessions/1")).json()["messages"] == 0
    await _ends(replica, "1", say="anew")
    assert _said(await _langchain(redis, "1")) == [("human", "anew"), ("ai", "anew")]


HOSTILE = [
    b"\xff\xfe", b"", b"[]", b"null", b"not json", b"[" * 100_000, b'{"a":' * 5_000, b"1e999",
    b'{"type":"assistant","data":{"content":"hi"}}', b'{"type":"human","data":{"content":1}}',
    b'{"type":"human","data":[]}', b'{"type":["human"],"data":{"content":""}}',
    b'{"type":"tool","data":{"content":"x"}}',
    b'{"type":"human","data":{"content":"' + b"x" * messages.MOST_ELEMENT + b'"}}',
    b'{"type":"human","data":{"content":"x","d":' + b"[" * 100 + b"]" * 100 + b"}}",
]  # fmt: skip


async def test_what_others_left_in_the_list_does_no_harm(make, redis):
    replica = await make(**ENABLED)
    key = keys.messages(PREFIX, "ada")
    odd = b'{"type":"human","data":{"content":"\\ud800 \xc3\xbc","n":NaN,"i":1e999}}'
    with redis.client() as client:
        client.lpush(key, *HOSTILE, odd)
        await _ends(replica, "ada", say="hello")
        page = await _page(replica, "ada")
        found = list(page["messages"])
        unreadable = page["unreadable"]
        while page["cursor"]:
            page = await _page(replica, "ada", cursor=page["cursor"])
            found, unreadable = found + page["messages"], unreadable + page["unreadable"]
        assert _said(found) == [("ai", "hello"), ("human", "hello"), ("human", "\ud800 ü")]
        assert (found[2]["data"]["n"], found[2]["data"]["i"]) == (None, None)
        assert (unreadable, page["total"]) == (len(HOSTILE), len(HOSTILE) + 3)
        exported = (await replica.api.get("/sessions/ada/export")).json()
        assert exported["messages"] == found[::-1]

        big = b'{"type":"human","data":{"content":"' + b"x" * (messages.MOST_ELEMENT - 100) + b'"}}'
        for _ in range(10):
            client.lpush(key, *[big] * 10)
        page = await _page(replica, "ada", limit=1000)
        assert 1 <= len(page["messages"]) <= 2, "a page has a size, whatever is asked for"
        assert page["cursor"]


@pytest.mark.parametrize("kind", ["string", "hash"])
async def test_kickoff_ends_whatever_lies_in_the_place_of_its_messages(make, redis, kind):
    replica = await make(**ENABLED)
    key = keys.messages(PREFIX, "ada")
    with redis.client() as client:
        client.set(key, "x") if kind == "string" else client.hset(key, "x", "y")
        await _ends(replica, "ada", say="hello")
        (dead,) = client.xrange(keys.dead_letters(PREFIX))
        assert (dead[1]["kind"], dead[1]["name"]) == ("messages", "ada")
        assert (await _page(replica, "ada"))["total"] == 0
        assert (await replica.api.get("/sessions/ada/export")).json()["messages"] == []
        assert (await replica.api.delete("/sessions/ada")).status_code == 200
        assert not client.exists(key)
