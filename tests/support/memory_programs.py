"""What the processes of the memory tests do.

`python memory_programs.py` imports CrewAI once and forks a process for each line of its input, `{name, arguments,
environ, folder}`; that process installs anew and answers with one line: `{answer}` or `{error}`.
"""

import contextlib
import gc
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from crew_runtime import telemetry
from crew_runtime.installation import Installation, install
from crew_runtime.sessions import binding
from support.waiting import wait_until


def memory(**options):
    from crewai.memory.unified_memory import Memory

    from support.memories import embed

    return Memory(embedder=embed, llm=silent_llm(), **options)


def silent_llm():
    from crewai.llms.base_llm import BaseLLM

    class Silent(BaseLLM):
        def call(self, *args, **kwargs):
            raise AssertionError("no LLM is to be asked")

    return Silent(model="silent")


def remember(installed, session, *facts):
    with binding.bind(session):
        made = memory(root_scope="/crew/concierge")
        for fact in facts:
            made.remember(fact, scope="/guests", categories=["fact"], metadata={}, importance=0.5)
    return len(facts)


def remember_for_all(installed, fact):
    memory(root_scope="/crew/concierge").remember(fact, scope="/guests", categories=["fact"], importance=0.5)


def recall(installed, session, query, depth="shallow"):
    with binding.bind(session):
        made = memory(root_scope="/crew/concierge")
        return [one.record.content for one in made.recall(query, depth=depth, limit=3)]


def deep_recall(installed, session, query):
    return recall(installed, session, query, "deep")


def crew_recall(installed, session, query):
    """What the crew of `bare_crew` recalls on the runtime."""
    from support.user_crews.remembering import crew

    with binding.bind(session):
        return [one.record.content for one in crew()._memory.recall(query, depth="shallow", limit=3)]


def crew_storage(installed: Installation):
    from crewai import Agent, Crew, Task

    agent = Agent(role="r", goal="g", backstory="b", llm=silent_llm())
    crew = Crew(agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)], memory=True)
    return [type(one._memory._storage).__name__ for one in (crew, crew.copy())] + [installed.facts()["search_mode"]]


def _two_tasks():
    """A crew whose second answer holds the first: `drafted`, then `checked: drafted`."""
    from crewai import Agent, Crew, Task
    from crewai.llms.base_llm import BaseLLM

    class Echo(BaseLLM):
        def call(self, messages, *args, **kwargs):
            asked = str(messages)
            if "Check it" not in asked:
                return "Thought: known\nFinal Answer: drafted"
            return "Thought: known\nFinal Answer: checked" + (": drafted" if "drafted" in asked else "")

    agent = Agent(role="writer", goal="write", backstory="writes", llm=Echo(model="echo"), max_iter=1)
    tasks = [
        Task(description=f"{what} for {{who}}", expected_output="a word", agent=agent)
        for what in ("Draft it", "Check it")
    ]
    return Crew(agents=[agent], tasks=tasks, verbose=False)


def kick_off(installed, session, who):
    with binding.bind(session):
        done = _two_tasks().kickoff(inputs={"who": who})
        return [[one.raw for one in done.tasks_output], str(done.tasks_output[-1].raw)]


def replay_last(installed, session):
    """In another process than the kickoff's: from the last task on, with what the first one gave and its inputs."""
    with binding.bind(session):
        crew = _two_tasks()
        kept = crew._task_output_handler.load()
        if not kept:
            return None
        done = crew.replay(kept[-1]["task_id"])
        return [kept[-1]["inputs"], [one.raw for one in done.tasks_output]]


def kick_off_without_store(installed, session, redis_pid):
    """Redis is killed before the crew starts: what the kickoff gave, and what the guard recorded."""
    import signal

    from crew_runtime.guard import ledger

    failures = []
    ledger.subscribe(lambda one: failures.append(one.op))
    os.kill(int(redis_pid), signal.SIGKILL)
    return [kick_off(installed, session, "Ada")[0], sorted(set(failures))]


def _knowledge(collection, sources, dimension=16):
    from crewai.knowledge.knowledge import Knowledge
    from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource

    from support.memories import counting_embedder

    embedder = {"provider": "custom", "config": {"embedding_callable": counting_embedder(dimension)}}
    made = Knowledge(collection, [StringKnowledgeSource(content=one) for one in sources], embedder=embedder)
    if sources:
        made.add_sources()
    return made


def learn(installed, collection, *facts):
    """Saves sources as a Crew does when it is made; how many texts the embedder was given."""
    from support.memories import embedded

    before = embedded()
    _knowledge(collection, facts)
    return embedded() - before


def know(installed, collection, question, dimension="16"):
    found = _knowledge(collection, [], int(dimension)).query([question], results_limit=2, score_threshold=0.1)
    return [[one["content"], round(one["score"], 2)] for one in found]


def unlearn(installed, collection):
    _knowledge(collection, []).reset()


def answer_from_knowledge(installed, session):
    """A crew with a knowledge source: what the agent's prompt held."""
    from crewai import Agent, Crew, Task
    from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
    from crewai.llms.base_llm import BaseLLM

    from support.memories import counting_embedder

    asked = []

    class Listening(BaseLLM):
        def call(self, messages, *args, **kwargs):
            asked.append(str(messages))
            return "Thought: known\nFinal Answer: done"

    agent = Agent(role="host", goal="answer", backstory="knows", llm=Listening(model="listening"), max_iter=1)
    task = Task(description="When does the pool open?", expected_output="a time", agent=agent)
    embedder = {"provider": "custom", "config": {"embedding_callable": counting_embedder(16)}}
    source = StringKnowledgeSource(content="When does the pool open? At seven.")
    crew = Crew(agents=[agent], tasks=[task], knowledge_sources=[source], embedder=embedder)
    with binding.bind(session):
        crew.kickoff()
    return any("At seven." in one for one in asked)


def prove(installed, action, nonce):
    from crew_runtime.crewai.proofs.memory import Prover

    return getattr(Prover(), action)(nonce)


def _changed(what):
    """What the crew's code may do to where its state lies; what has to be kept alive for it."""
    kept = []
    if what == "own_memory":
        kept.append(memory(storage=tempfile.mkdtemp()))
    elif what == "own_factory":
        from crewai.memory.storage.factory import set_memory_storage_factory

        set_memory_storage_factory(None)
    elif what == "own_persistence":
        from crewai.flow.persistence.sqlite import SQLiteFlowPersistence

        kept.append(SQLiteFlowPersistence("flows.db"))
    elif what == "own_locks":
        from crewai_core.lock_store import set_lock_backend

        set_lock_backend(None)
    elif what == "ignored_factory":
        from crewai.memory.storage import factory

        factory.resolve_memory_storage = lambda spec: None
        kept.append(memory())
    elif what == "other_tools":
        from crewai.tools.base_tool import BaseTool

        from crew_runtime.crewai.state import corrections

        BaseTool.run = lambda self, given: None
        corrections.apply()
    elif what == "other_checkpoints":
        from crewai.state.checkpoint_config import CheckpointConfig

        from crew_runtime.crewai.state import checkpoints

        checkpoints.obstacle = lambda: "another signature"
        checkpoints.in_force = lambda: False
        kept.append(CheckpointConfig())
    return kept


def state(installed: Installation, what):
    return {one.kind: [one.backend, one.local] for one in installed.state(_changed(what)) if not one.by_nature}


def unfit(installed: Installation, what):
    """The kinds that stay local because something does not fit."""
    return {one.kind: one.detail for one in installed.state(_changed(what)) if one.unfit}


def details(installed: Installation, what):
    return {one.kind: one.detail for one in installed.state(_changed(what)) if not one.by_nature}


def local_by_nature(installed: Installation):
    return {one.kind: one.detail for one in installed.state() if one.by_nature}


def _steps(done, written=None):
    """`written`: waits for the first step's checkpoint; the second step fails then."""
    from crewai.flow.flow import Flow, listen, start
    from crewai.state.checkpoint_config import CheckpointConfig
    from pydantic import BaseModel

    class Letter(BaseModel):
        id: str = ""
        text: str = ""

    class Steps(Flow[Letter]):
        @start()
        def draft(self):
            done.append("draft")
            self.state.text = "drafted"
            return "drafted"

        @listen(draft)
        def send(self, drafted):
            done.append("send")
            if written is not None:
                # A step's end is told from another thread, and not told any more once the flow has failed.
                written()
                raise RuntimeError("the replica went away here")
            return f"sent: {drafted}, {self.state.text}"

    return Steps, CheckpointConfig(on_events=["method_execution_finished"], max_checkpoints=3)


def checkpoint_flow(installed, session):
    """A flow that fails in its second step: where its checkpoint lies.

    Now and then CrewAI loses one: it serializes its record of events while a thread adds to it, and pydantic panics
    ("dictionary changed size during iteration", in CrewAI's state/runtime.py). Then the flow is run again.
    """
    from crewai.events.event_bus import crewai_event_bus

    client = installed.connections.redis
    branch = f"{_keys_of(installed)}cps:s:{session}:.checkpoints/main"
    before = client.zcard(branch)

    def written():
        with contextlib.suppress(AssertionError):
            wait_until(lambda: client.zcard(branch) > before, "the first step's checkpoint is written", timeout=5)

    for _ in range(5):
        done = []
        steps, config = _steps(done, written)
        with binding.bind(session, whole_process=True):
            try:
                steps(checkpoint=config).kickoff()
            except RuntimeError:
                crewai_event_bus.flush(10)
        if client.zcard(branch) > before:
            return [done, [one.decode() for one in client.zrange(branch, 0, -1)]]
    raise AssertionError("no checkpoint was written")


def restore_flow(installed, session, path):
    """In another process: only what was not done yet is done."""
    from crewai.state.checkpoint_config import CheckpointConfig

    done = []
    steps, _ = _steps(done)
    with binding.bind(session, whole_process=True):
        try:
            restored = steps.from_checkpoint(CheckpointConfig(restore_from=path))
        except FileNotFoundError:
            return None
        return [done, restored.kickoff()]


def prune_checkpoints(installed, session):
    """More than are to be kept, on two branches; which are left."""
    from crewai.state.provider.json_provider import JsonProvider

    provider = JsonProvider()
    with binding.bind(session, whole_process=True):
        other = provider.checkpoint("other", ".checkpoints", branch="other")
        paths = [provider.checkpoint(f"data {number}", ".checkpoints") for number in range(5)]
        removed = provider.prune(".checkpoints", 2)
        found = [_read_or_none(provider, one) for one in (*paths, other)]
    return [removed, found]


def _read_or_none(provider, path):
    try:
        return provider.from_checkpoint(path)
    except FileNotFoundError:
        return None


def _keys_of(installed):
    from crew_runtime.contract import keys

    return keys.root(installed.settings.key_prefix)


def flow(installed, session):
    from crewai.flow.flow import Flow, start
    from crewai.flow.persistence import persist
    from pydantic import BaseModel

    class Counter(BaseModel):
        id: str = ""
        visits: int = 0

    @persist()
    class Visits(Flow[Counter]):
        @start()
        def visit(self):
            self.state.visits += 1

    made = Visits()
    made.kickoff(inputs={"id": session})
    return made.state.visits


def turn(installed, session, message):
    """One turn of a conversation, as a slot runs it: all that was said so far."""
    from crewai.flow import Flow
    from crewai.flow.conversational import ConversationConfig, ConversationState
    from crewai.flow.persistence import persist

    from crew_runtime.crewai.kickoffs import kickoff
    from crew_runtime.crewai.loading.load import Loaded, Made

    @persist()
    @ConversationConfig()
    class Talk(Flow[ConversationState]):
        def converse_turn(self):
            return "; ".join(str(one.content) for one in self.state.messages if one.role == "user")

    with binding.bind(session, whole_process=True):
        return kickoff.run(Loaded("talk", lambda: Made(Talk())), {"message": message}, session).text


def _persistence():
    from crewai.flow.persistence.factory import default_flow_persistence

    return default_flow_persistence()


def ask_human(installed):
    from crewai.flow.async_feedback.types import PendingFeedbackContext

    context = PendingFeedbackContext(
        flow_id="f 1", flow_class="x.Y", method_name="review", method_output="the draft", message="ok?"
    )
    _persistence().save_pending_feedback("f 1", context, {"id": "f 1", "draft": "the draft"})
    return "f 1"


def answer_human(installed, flow_id, answer):
    found_state, context = _persistence().load_pending_feedback(flow_id)
    _persistence().clear_pending_feedback(flow_id)
    assert found_state["draft"] == context.method_output
    assert _persistence().load_state(flow_id) == found_state
    return [answer, context.method_output]


def answer_human_twice(installed, flow_id):
    """Two replicas load the same pause before either resumes; then the first pauses anew before the second resumes."""
    from crewai.flow.async_feedback.types import PendingFeedbackContext

    from crew_runtime.errors import FeedbackGivenError

    first, second, third = _persistence(), _persistence(), _persistence()
    for one in (first, second, third):
        assert one.load_pending_feedback(flow_id) is not None
    first.clear_pending_feedback(flow_id)
    refused = []
    for one in (second, third):
        if one is third:
            again = PendingFeedbackContext(
                flow_id=flow_id, flow_class="x.Y", method_name="review", method_output="the second draft", message="ok?"
            )
            first.save_pending_feedback(flow_id, again, {"id": flow_id})
        try:
            one.clear_pending_feedback(flow_id)
        except FeedbackGivenError as error:
            refused.append(str(error))
    return [len(refused), _persistence().load_pending_feedback(flow_id)[1].method_output]


def pending(installed, flow_id):
    return _persistence().load_pending_feedback(flow_id)


def ask_human_of(installed, session):
    from crewai.flow.async_feedback.types import PendingFeedbackContext

    context = PendingFeedbackContext(
        flow_id=session, flow_class="x.Y", method_name="review", method_output="the draft", message="ok?"
    )
    with binding.bind(session):
        _persistence().save_pending_feedback(session, context, {"id": session, "draft": "the draft"})


def copies_after(installed, session, erased):
    """What a copy of the records holds before and after somebody else erased the session: signs by two files."""
    with binding.bind(session):
        storage = installed.registered.storage
        before = storage.count()
        Path(erased + ".read").touch()
        for _ in range(600):
            if Path(erased).exists():
                break
            time.sleep(0.05)
        after = storage.count()
        made = memory(root_scope="/crew/concierge")
        try:
            made.remember("too late", scope="/guests", categories=["fact"], metadata={}, importance=0.5)
        except Exception as error:
            late = type(error).__name__
        else:
            late = "saved"
        return [before, after, late, storage.count()]


def fork_after_install(installed):
    sockets = sum(1 for one in Path("/proc/self/fd").iterdir() if str(Path(one).resolve()).count("socket:"))
    threads = [one.name for one in threading.enumerate()]
    children = []
    for number in range(2):
        pid = os.fork()
        if not pid:
            try:
                remember(installed, f"s{number}", f"fact {number}")
                os._exit(0 if recall(installed, f"s{number}", "fact") == [f"fact {number}"] else 1)
            finally:
                os._exit(2)
        children.append(os.waitpid(pid, 0)[1] == 0)
    return {"threads": threads, "sockets": sockets, "children": children}


def count_under_lock(installed: Installation, times):
    from crewai_core.lock_store import lock

    counter = Path("counter")
    for _ in range(int(times)):
        with lock("the counter"):
            seen = int(counter.read_text()) if counter.exists() else 0
            time.sleep(0.002)
            counter.write_text(str(seen + 1))


def counted(installed):
    return int(Path("counter").read_text())


def do(name, arguments, environ, folder):
    """In a process of its own."""
    os.environ.update(environ)
    os.chdir(folder)
    return globals()[name](install(), *arguments)


def main():
    install_imports()
    answers = os.dup(1)
    os.dup2(2, 1)  # CrewAI prints
    for line in sys.stdin:
        if not os.fork():
            try:
                told = {"answer": do(**json.loads(line))}
            except BaseException as error:
                told = {"error": "".join(traceback.format_exception(error))}
            os.write(answers, json.dumps(told).encode() + b"\n")
            os._exit(0)


def install_imports():
    telemetry.turn_off_unattended(os.environ)
    import crewai
    from crewai.memory import unified_memory

    assert crewai
    assert unified_memory
    assert memory
    gc.freeze()  # each fork would walk and copy it at its first collection


if __name__ == "__main__":
    main()
