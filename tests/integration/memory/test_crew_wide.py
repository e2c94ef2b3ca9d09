"""`@crew` in a scope is for the crew's own code to use; what an LLM says stays inside the session.

Session `ada` says it, session `bob` must not know it, unless the crew's code passed the segment.
"""

import dataclasses
import json
import re
import threading

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from crewai.llms.base_llm import BaseLLM
from crewai.memory.memory_scope import MemoryScope, MemorySlice
from crewai.memory.unified_memory import Memory
from crewai.tools import BaseTool, tool

from crew_runtime.contract import keys
from crew_runtime.crewai.state import corrections
from crew_runtime.sessions import binding, sharing
from support.memories import contents, direction, embed, record

SECRET = "Ada is allergic to peanuts"
FILED = {"categories": ["fact"], "metadata": {}, "importance": 0.5}


class Scripted(BaseLLM):
    """Analyses as the test says, and remembers what it was asked."""

    scope: str = "/"
    """Suggested for whatever is remembered, and searched."""
    plan: str = ""
    """`update` or `delete` for each similar record; else what is new is inserted beside it."""
    turns: list[str] = []  # noqa: RUF012 - a field of a model
    """What an agent says, turn by turn."""
    asked: list[str] = []  # noqa: RUF012

    def call(self, messages, *_, response_model=None, **__):
        self.asked.append(str(messages))
        fields = response_model.model_fields if response_model else {}
        if "suggested_scope" in fields:
            return response_model(suggested_scope=self.scope, categories=["fact"], importance=0.5)
        if "suggested_scopes" in fields:
            return response_model(suggested_scopes=[self.scope], recall_queries=["peanuts"])
        if "insert_new" in fields:
            known = re.findall(r"id=([0-9a-f-]{36})", str(messages))
            actions = [{"action": self.plan, "record_id": one, "new_content": "changed by an LLM"} for one in known]
            return response_model(actions=actions, insert_new=False)
        if "memories" in fields:
            return response_model(memories=[])
        return self.turns.pop(0) if self.turns else "Thought: done\nFinal Answer: done"

    def supports_function_calling(self):
        return not self.turns


class Calling(Scripted):
    """An LLM that calls tools in the way of OpenAI's API."""

    calls: list[tuple[str, dict]] = []  # noqa: RUF012

    def call(self, messages, tools=None, *rest, response_model=None, **named):
        if tools and self.calls:
            name, given = self.calls.pop(0)
            function = {"name": name, "arguments": json.dumps(given)}
            return [{"id": "call_1", "type": "function", "function": function}]
        return super().call(messages, tools, *rest, response_model=response_model, **named)

    def supports_function_calling(self):
        return True


@pytest.fixture(autouse=True)
def _corrected():
    corrections.apply()
    yield
    corrections.apply()


@pytest.fixture
def memory(storage):
    """A Memory whose LLM suggests what the test says."""

    def make(scope="/", plan="", **options):
        return Memory(
            storage=storage, embedder=embed, llm=Scripted(model="scripted", scope=scope, plan=plan), **options
        )

    return make


def known_to(session, memory, **options):
    """What a session has, and that it recalls nothing else in either depth."""
    with binding.bind(session):
        listed = sorted(one.content for one in memory.list_records())
        for depth in ("shallow", "deep"):
            found = memory.recall("peanuts", limit=50, depth=depth, include_private=True, **options)
            assert set(contents(one.record for one in found)) <= set(listed)
        return listed


# -- what an LLM suggests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suggested", ["/@crew/x", "@crew", "/guests/@crew/allergies", "//@crew//x/"])
def test_a_scope_that_an_analysis_suggests_stays_in_the_session(memory, suggested):
    mine = memory(suggested)
    with binding.bind("ada"):
        kept = mine.remember(SECRET, source="ada", private=True)
        assert mine.list_records(kept.scope)[0].scope == kept.scope, "what is answered is what is kept"
        mine.remember_many(["one more", "and a third"])
        mine.drain_writes()
    assert len(known_to("ada", mine)) == 3
    assert known_to("bob", mine) == []
    assert mine.list_records() == [], "nor outside of any session"


def test_below_the_crews_root_scope_too(memory):
    mine = memory("/@crew/x", root_scope="/crew/concierge")
    with binding.bind("ada"):
        mine.remember(SECRET)
        assert mine.list_scopes() == ["/crew/concierge/x"]
    assert known_to("bob", mine) == []


def in_words(tool_name, given):
    """As an LLM calls a tool that is not trained on it."""
    return Scripted(
        model="scripted",
        turns=[f"Thought: I must save it\nAction: {tool_name}\nAction Input: {json.dumps(given)}"],
    )


def by_function(tool_name, given):
    return Calling(model="scripted", calls=[(tool_name, given)])


def note_tool(memory):
    """A tool of the crew's own that takes a scope of the LLM."""

    @tool("note")
    def note(text: str, scope: str) -> str:
        """Note a text below a scope."""
        memory.remember(text, scope=scope, **FILED)
        return "noted"

    return note


class NoteLater(BaseTool):
    """The same in the background, with a list."""

    name: str = "note"
    description: str = "Note texts below a scope"
    memory: object = None

    def _run(self, text: str, scope: str) -> str:
        self.memory.remember_many([text], scope=scope, **FILED)
        return "noted"


def kick_off(llm, memory, tools=()):
    agent = Agent(role="host", goal="help", backstory="-", llm=llm, tools=list(tools), max_iter=3)
    task = Task(description="Save what the guest said", expected_output="done", agent=agent)
    Crew(agents=[agent], tasks=[task], memory=memory).kickoff()
    memory.drain_writes()


@pytest.mark.parametrize("call", [in_words, by_function])
@pytest.mark.parametrize("make_tool", [note_tool, lambda memory: NoteLater(memory=memory), None])
def test_a_scope_in_a_tool_call_stays_in_the_session(memory, call, make_tool):
    """CrewAI's own tool to save (it takes no scope), and the crew's own ones that do."""
    mine = memory("/@crew/x")
    tools = [make_tool(mine)] if make_tool else []
    given = {"text": SECRET, "scope": "@crew/x"} if make_tool else {"contents": [SECRET], "scope": "@crew/x"}
    with binding.bind("ada"):
        kick_off(call("note" if make_tool else "save_to_memory", given), mine, tools)
    assert SECRET in known_to("ada", mine), "the tool was called"
    assert known_to("bob", mine) == []


@pytest.mark.parametrize("call", [in_words, by_function])
def test_a_tool_shares_by_a_scope_of_its_own(memory, call):
    mine = memory()

    @tool("tell_all")
    def tell_all(text: str) -> str:
        """Tell all guests."""
        mine.remember(text, scope="/@crew/house", **FILED)
        return "told"

    with binding.bind("ada"):
        kick_off(call("tell_all", {"text": "The pool opens at seven, ask info@crew-hotel.example"}), mine, [tell_all])
    assert known_to("bob", mine) == ["The pool opens at seven, ask info@crew-hotel.example"]


def test_a_tool_that_saves_from_a_thread_of_its_own(memory):
    """Such a thread inherits no context: for as long as the tool runs, no thread of the process has the power."""
    mine = memory()

    @tool("note")
    def note(text: str, scope: str) -> str:
        """Note a text below a scope."""
        thread = threading.Thread(target=lambda: mine.remember_many([text], scope=scope, **FILED))
        thread.start()
        thread.join()
        return "noted"

    with binding.bind("ada", whole_process=True):
        note.run(text=SECRET, scope="/@crew/x")
        mine.drain_writes()
    assert known_to("bob", mine) == []
    with binding.bind("ada"):
        mine.remember("breakfast at eight", scope="/@crew/house", **FILED)
    assert known_to("bob", mine) == ["breakfast at eight"], "afterwards the crew's code shares as before"


def test_a_tool_cannot_be_made_to_forget_or_move_what_all_share(memory, storage):
    shared = record("the pool opens at seven", "/house")
    storage.save([shared])
    mine = memory()

    @tool("tidy")
    def tidy(scope: str) -> str:
        """Forget a scope."""
        mine.forget(scope=scope)
        mine.reset(scope=scope)
        return "tidied"

    @tool("file")
    def file(record_id: str, scope: str) -> str:
        """Move a memory."""
        mine.update(record_id, scope=scope)
        return "filed"

    with binding.bind("ada"):
        kept = mine.remember(SECRET, scope="/", **FILED)
        file.run(record_id=kept.id, scope="/@crew/x")
        assert mine.list_scopes() == ["/house", "/x"]
        tidy.run(scope="/@crew/house")
    assert known_to("bob", mine) == ["the pool opens at seven"]


# -- what the crew's code passes ------------------------------------------------------------------------------------


def share_by_scope(make):
    make("/elsewhere").remember(SECRET, scope="/@crew/house")


def share_many(make):
    mine = make("/elsewhere")
    mine.remember_many([SECRET], scope="/@crew/house")
    mine.drain_writes()


def share_by_root(make):
    make("/deeper", root_scope="/@crew/house").remember(SECRET)


def share_by_root_of_one_call(make):
    make("/deeper").remember(SECRET, root_scope="/@crew/house")


def share_by_flow(make):
    class Told(Flow):
        memory = make("/deeper")

        @start()
        def tell(self):
            self.remember(SECRET, scope="/@crew/house")

    Told().kickoff()


def share_by_view(make):
    MemoryScope(memory=make("/deeper"), root_path="/@crew/house").remember(SECRET)


def share_by_slice(make):
    MemorySlice(memory=make("/deeper"), scopes=["/@crew/house"], read_only=False).remember(SECRET, scope="/@crew/house")


@pytest.mark.parametrize(
    "share",
    [
        share_by_scope,
        share_many,
        share_by_root,
        share_by_root_of_one_call,
        share_by_flow,
        share_by_view,
        share_by_slice,
    ],
)
def test_what_the_crews_own_code_shares_all_sessions_know(memory, share):
    with binding.bind("ada"):
        share(memory)
    assert known_to("bob", memory()) == [SECRET]
    assert known_to("bob", memory(), scope="/@crew/house") == [SECRET]
    with binding.bind("bob"):
        found = memory().recall("peanuts", scope="/@crew/house", depth="deep")
        assert contents(one.record for one in found) == [SECRET], "by the scope that it was shared with"


def test_a_view_of_what_is_shared_holds_nothing_of_the_session(memory):
    mine = memory()
    with binding.bind("ada"):
        mine.remember("seven o'clock peanuts", scope="/@crew/house/pool", **FILED)
        mine.remember(SECRET, scope="/house/pool", **FILED)
        shared, all_of_it = (
            MemoryScope(memory=mine, root_path="/@crew/house"),
            MemoryScope(memory=mine, root_path="/house"),
        )
        piece = MemorySlice(memory=mine, scopes=["/@crew/house"])
        for view in (shared, piece):
            assert contents(one.record for one in view.recall("peanuts", depth="deep")) == ["seven o'clock peanuts"]
            assert view.info().record_count == 1
        assert len(all_of_it.recall("peanuts", depth="deep")) == 2
        assert shared.tree() == "/@crew/house (1 records)\n  /@crew/house/pool (1 records)"
        assert all_of_it.tree() == "/house (2 records)\n  /house/pool (2 records)"


def test_no_scope_that_is_listed_has_the_segment(memory):
    with binding.bind("ada"):
        memory("/guests/@crew/x").remember(SECRET)
        memory().remember("seven o'clock peanuts", scope="/house/@crew/pool", **FILED)
    for session in ("ada", "bob"):
        mine = memory()
        with binding.bind(session):
            seen = [one.scope for one in mine.list_records()]
            for place in ("/", "/guests", "/house", "/@crew", "/house/@crew"):
                seen += [*mine.list_scopes(place), *(mine.info(place).child_scopes if "@" not in place else ())]
            seen += [one.record.scope for one in mine.recall("peanuts", limit=50, depth="deep")]
            mine.remember("Ada likes soy")
            mine.recall("peanuts " * 40, depth="deep")
        assert "/house" in seen
        assert "@crew" not in str(seen)
        assert "/house" in str(mine.llm.asked), "the LLM was shown the scopes"
        assert "@crew" not in str(mine.llm.asked)
    assert memory().list_scopes() == ["/house"]


def comes_by(mortal):
    """Somebody uses a session of theirs, which takes a step with those that have ended."""
    with binding.bind("who comes by"):
        mortal.save([record("hello", "/guests")])


# -- changing what is there -----------------------------------------------------------------------------------------


def test_update_shares_a_record_for_the_crews_code(memory, storage, settings, server, make_storage, time_passes):
    mortal = make_storage(dataclasses.replace(settings, session_ttl=60.0))
    mine = Memory(storage=mortal, embedder=embed, llm=Scripted(model="scripted"))
    with binding.bind("ada"):
        kept = mine.remember(SECRET, scope="/guests", **FILED)
        lost = mine.remember("gone with the session", scope="/guests", **FILED)
        mine.update(kept.id, scope="/@crew/house")
        assert sorted(mine.list_scopes()) == ["/guests", "/house"]
    assert known_to("bob", memory()) == [SECRET]
    with server.client() as client:
        assert client.ttl(keys.memory(settings.key_prefix, kept.id)) == -1
        assert client.smembers(keys.session_records(settings.key_prefix, "ada")) == {lost.id.encode()}
        comes_by(mortal)  # since then there is a time to live again: bob's process had none
        time_passes(61)
        comes_by(mortal)
        assert not client.exists(keys.memory(settings.key_prefix, lost.id))
    assert known_to("bob", memory()) == [SECRET], "its end does not take it from the others"


def test_update_shares_below_the_root_scope(memory):
    mine = memory(root_scope="/crew/x")
    with binding.bind("ada"):
        kept = mine.remember(SECRET, scope="/guests", **FILED)
        assert mine.update(kept.id, scope="/@crew/house").scope == "/crew/x/house"
    with binding.bind("bob"):
        assert mine.recall("peanuts", scope="/@crew/house", depth="shallow")[0].record.scope == "/crew/x/house"


def test_update_without_the_segment_leaves_a_record_where_it_is(memory, storage):
    shared = record("the pool opens at seven", "/house")
    storage.save([shared])
    mine = memory()
    with binding.bind("ada"):
        kept = mine.remember(SECRET, scope="/guests", **FILED)
        mine.update(kept.id, content="Ada likes peanuts", scope="/house")
        mine.update(shared.id, content="the pool opens at eight", scope="/pool")
    assert known_to("bob", mine) == ["the pool opens at eight"]


def test_a_root_that_names_the_crew_reaches_no_record_of_the_session(memory):
    with binding.bind("ada"):
        kept = memory().remember(SECRET, scope="/house", **FILED)
        shared = memory(root_scope="/@crew")
        with pytest.raises(ValueError, match="Record not found"):
            shared.update(kept.id, content="changed")
        assert shared.forget(record_ids=[kept.id]) == 0
        assert known_to("ada", memory()) == [SECRET]


def test_the_crews_code_forgets_what_is_shared(memory, storage):
    storage.save([record("the pool opens at seven", "/house"), record("the bar is closed", "/bar")])
    mine = memory()
    with binding.bind("ada"):
        mine.remember(SECRET, scope="/house", **FILED)
        assert mine.forget(scope="/@crew/house") == 1
        assert known_to("ada", mine) == [SECRET, "the bar is closed"]
        mine.reset(scope="/house")
        mine.reset()
        assert known_to("ada", mine) == ["the bar is closed"]
        mine.reset(scope="/@crew")
    assert known_to("bob", mine) == []


# -- consolidation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", ["update", "delete"])
def test_a_plan_in_a_session_reaches_nothing_that_is_shared(memory, storage, plan):
    storage.save([record(SECRET, "/guests", categories=["fact"])])
    mine = memory(plan=plan)
    with binding.bind("ada"):
        mine.remember(SECRET, scope="/guests", **FILED)
        mine.remember(SECRET, scope="/guests/x", **FILED)
    assert known_to("bob", mine) == [SECRET]
    assert SECRET in known_to("ada", mine)
    assert contents(storage.list_records()) == [SECRET], "as it was"


def test_a_plan_that_names_a_shared_record_all_the_same_changes_nothing(storage):
    """As a memory of a future CrewAI might, that the corrections do not fit: an unknown caller reaches its own only."""
    shared = record("the pool opens at seven", "/house")
    storage.save([shared])
    with binding.bind("ada"):
        with sharing.asks("/house", planned=True):
            storage.update(shared.model_copy(update={"content": "changed"}))
            assert storage.delete(record_ids=[shared.id]) == 0
        storage.update(shared.model_copy(update={"content": "changed"}))
        assert storage.delete(record_ids=[shared.id]) == 0
        storage.save([record(SECRET, "/@crew/x")])
    assert contents(storage.list_records()) == ["the pool opens at seven"]


def test_what_the_session_knows_is_consolidated_in_it(memory):
    mine = memory(plan="update")
    with binding.bind("ada"):
        mine.remember(SECRET, scope="/guests", **FILED)
        mine.remember(SECRET, scope="/guests", **FILED)
    assert known_to("ada", mine) == ["changed by an LLM"]


def test_what_the_crews_code_shares_is_consolidated_with_what_is_shared(memory, storage):
    storage.save([record(SECRET, "/house", categories=["fact"])])
    mine = memory(plan="update")
    with binding.bind("ada"):
        memory().remember(SECRET, scope="/house", **FILED)
        mine.remember(SECRET, scope="/@crew/house", **FILED)
    assert known_to("bob", mine) == ["changed by an LLM"]
    assert known_to("ada", mine) == [SECRET, "changed by an LLM"], "and not with what is the session's"


# -- the rest -------------------------------------------------------------------------------------------------------


def test_what_an_llm_filed_so_ends_with_its_session(settings, make_storage, server, time_passes):
    mortal = make_storage(dataclasses.replace(settings, session_ttl=60.0))
    mine = Memory(storage=mortal, embedder=embed, llm=Scripted(model="scripted", scope="/@crew/x"))
    with binding.bind("ada"):
        kept = mine.remember(SECRET)
    with server.client() as client:
        assert client.sismember(keys.session_records(settings.key_prefix, "ada"), kept.id), "what an erasure takes"
        time_passes(61)
        comes_by(mortal)
        assert not client.exists(keys.memory(settings.key_prefix, kept.id))
    assert mortal.search(direction(SECRET)) == []


def test_with_isolation_crew_and_outside_any_session_it_is_one_memory(settings, make_storage, memory):
    together = make_storage(dataclasses.replace(settings, isolation="Crew"))
    mine = Memory(storage=together, embedder=embed, llm=Scripted(model="scripted", scope="/@crew/x"))
    with binding.bind("ada"):
        mine.remember(SECRET)
        mine.remember("seven o'clock", scope="/@crew/house", **FILED)
    memory().remember("breakfast at eight", scope="/@crew/house", **FILED)
    assert mine.list_scopes() == ["/house", "/x"]
    assert sorted(contents(mine.list_records("/@crew/house"))) == ["breakfast at eight", "seven o'clock"]


def test_in_a_storage_of_the_users_own_it_is_text_like_any_other(tmp_path):
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    own = LanceDBStorage(path=str(tmp_path))
    mine = Memory(storage=own, embedder=embed, llm=Scripted(model="scripted", scope="/@crew/x"), root_scope="/@crew/y")
    with binding.bind("ada"):
        kept = mine.remember(SECRET)
        assert kept.scope == own.get_record(kept.id).scope == "/@crew/y/@crew/x"
        assert mine.update(kept.id, scope="/@crew/z").scope == "/@crew/y/@crew/z"
        assert mine.list_scopes() == ["/@crew/y/@crew"]
        assert contents(one.record for one in mine.recall("peanuts", depth="deep")) == [SECRET]


@pytest.mark.parametrize(
    ("owner", "method"),
    [(Memory, "_encode_batch"), (Memory, "_submit_save"), (BaseTool, "run")],
)
def test_in_a_crewai_that_a_correction_does_not_fit_the_segment_has_no_power(memory, monkeypatch, owner, method):
    original = getattr(owner, method).__wrapped__

    def changed(self, *given, **named):
        return original(self, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, changed)
        corrections.apply()
        assert corrections.unshared() == (f"{owner.__name__}.{method}",)
        with binding.bind("ada"):
            memory().remember(SECRET, scope="/@crew/house", **FILED)
        assert known_to("bob", memory()) == []
    corrections.apply()
    with binding.bind("ada"):
        memory().remember("seven o'clock", scope="/@crew/house", **FILED)
    assert known_to("bob", memory()) == ["seven o'clock"]
