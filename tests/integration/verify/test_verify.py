"""`crewctl verify` on real crews: two processes, two disks, a real Redis."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from crew_operator.desired import definition
from support.interpreters import crew_python
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(360)  # two rehearsals each, which import CrewAI from a cold disk

EXAMPLES = Path(__file__).parents[3] / "examples"
CONCIERGE = EXAMPLES / "concierge"

OWN = """
import os

from crewai import Agent, Crew, Task
from crewai.memory.unified_memory import Memory
from crewai.project import CrewBase, agent, crew, task

@CrewBase
class Own:
    agents_config = {}
    tasks_config = {}

    @agent
    def host(self):
        os.environ["OPENAI_API_KEY"]
        return Agent(role="Host", goal="greet", backstory="polite")

    @task
    def greet(self):
        return Task(description="Greet.", expected_output="a line", agent=self.host())

    @crew
    def crew(self):
        return Crew(agents=self.agents, tasks=self.tasks, memory=Memory(storage="./mine"))
"""

FLOW = """
from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist
from pydantic import BaseModel

class State(BaseModel):
    id: str = ""

@persist()
class Poem(Flow[State]):
    @start()
    def begin(self):
        raise AssertionError("no kickoff is run")

    @persist(SQLiteFlowPersistence("own.db"))
    @listen(begin)
    def end(self):
        pass
"""


@pytest.fixture
def verify(monkeypatch):
    """The command: (exit code, what it printed, what it said besides)."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)

    def run(path: Path, *options: str, python: str = "") -> tuple[int, str, str]:
        argv = [sys.executable, "-m", "crewctl", "verify", str(path), *options]
        argv += ["--python", python or crew_python()]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    return run


def rows(text: str) -> dict[str, tuple[str, str, bool]]:
    return {row["state"]: (row["liesIn"], row["level"], row["exercised"]) for row in json.loads(text)["state"]}


def project(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.fixture
def bare_python(tmp_path):
    """The crew's interpreter without our worker half: .pth files of a folder that a .pth names are not read."""
    made = tmp_path / "bare"
    subprocess.run([crew_python(), "-m", "venv", "--without-pip", made], check=True)
    packages = subprocess.run(
        [crew_python(), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    site = next((made / "lib").glob("python3*/site-packages"))
    (site / "crew.pth").write_text(packages)
    return str(made / "bin" / "python")


def test_the_concierge_passes_in_an_interpreter_without_the_runtime(verify, bare_python):
    """With its own embedder, which needs no key; and what happens without the runtime is said beside it."""
    code, out, err = verify(CONCIERGE, "--json", python=bare_python)
    assert code == 0, err
    told = json.loads(out)
    assert (told["passed"], told["result"], told["kickoffNotSeen"]) == (True, "passed", [])
    assert told["lent"] == ["crew_runtime"]
    assert rows(out)["memory"] == ("redis", "OK", True)
    assert told["withoutRuntime"][0] == "memory, in lancedb: what process A remembered, process B did not find"
    kinds = {"memory", "flow", "knowledge", "checkpoints", "task-outputs", "locks"}
    assert rows(out) == dict.fromkeys(kinds, ("redis", "OK", True))
    lost = {line.partition(",")[0] for line in told["withoutRuntime"] if line.endswith("process B did not find")}
    assert lost == kinds - {"knowledge"}
    assert not any("stand-in" in note for note in told["notes"])


def test_a_storage_of_the_crews_own_fails_the_build_by_name(verify, tmp_path):
    """Its code reads an API key that is not there: a placeholder stands in, and it is said."""
    folder = project(tmp_path / "own", "crew.py", OWN)
    code, out, err = verify(folder)
    assert code == 1, err
    line = next(line for line in out.splitlines() if "lancedb mine" in line)
    assert "LOCAL" in line
    assert "give Memory no storage=" in out
    assert "Failed: memory would not be shared by two replicas." in out
    assert "placeholders stood in for API keys" in out
    assert sorted(path.name for path in folder.iterdir()) == ["crew.py"], "the user's own folder is left as it was"


def test_a_declared_crew_is_found_by_its_definition(verify, tmp_path):
    """The example that needs a key, without one: its embedder is OpenAI's, and a stand-in takes its place."""
    example = yaml.safe_load((EXAMPLES / "definition" / "crewdeployment.yaml").read_text())
    for name, text in definition.files(example["spec"]["crew"]["definition"]["inline"]).items():
        project(tmp_path / "librarian", name, text)
    code, out, err = verify(tmp_path / "librarian", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["source"] == "crew.jsonc"
    assert rows(out)["memory"] == ("redis", "OK", True)
    assert any("a stand-in embedded the texts" in note for note in told["notes"])


def test_a_flow_is_judged_by_each_of_its_stores(verify, tmp_path):
    code, out, err = verify(project(tmp_path / "poem", "main.py", FLOW), "--json")
    assert code == 1, err
    found = rows(out)
    assert found["memory"] == ("redis", "OK", True)
    assert found["flow"] == ("redis", "OK", True)
    assert found["flow (2)"][1:] == ("FAIL", True)
    assert found["flow (2)"][0].startswith("sqlite")


STATES = """
import numpy as np
from chromadb.api.types import EmbeddingFunction
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction
from crewai import Agent, Crew, Task
from crewai.flow.conversational import ConversationConfig, ConversationState
from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import persist
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.llms.base_llm import BaseLLM
from crewai.memory.unified_memory import Memory

class Own(BaseLLM):
    def call(self, *_, **__):
        raise AssertionError("no LLM is asked")

def vectors(texts):
    return [[float(len(text)), float(text.count("e")) + 1] for text in texts]

class Embed(CustomEmbeddingFunction, EmbeddingFunction):
    def __call__(self, input):
        return [np.array(one, dtype=np.float32) for one in vectors(input)]

def no_kickoff(*_):
    raise AssertionError("no callback is called")

def task(agent):
    return Task(description="Greet {guest}.", expected_output="a line", agent=agent, callback=no_kickoff)

def crew():
    memory = Memory(llm=Own(model="own"), embedder=vectors)
    source = StringKnowledgeSource(content="Breakfast is at eight.")
    first = Agent(role="Host", goal="g", backstory="b", llm=Own(model="own"), memory=memory.scope("/host"))
    second = Agent(
        role="Cook", goal="g", backstory="b", llm=Own(model="own"),
        memory=memory.slice(scopes=["/host"], read_only=True),
        knowledge_sources=[source],
    )
    return Crew(
        agents=[first, second], tasks=[task(first), task(second)], memory=memory, planning=True,
        embedder={"provider": "custom", "config": {"embedding_callable": Embed}},
        planning_llm=Own(model="own"), before_kickoff_callbacks=[no_kickoff], checkpoint=True,
    )

def broken():
    from own_tools import tool

    boss = Agent(role="Boss", goal="g", backstory="b", llm=Own(model="own"), tools=[tool])
    host = Agent(role="Host", goal="g", backstory="b", llm=Own(model="own"))
    return Crew(agents=[host], tasks=[task(None)], process="hierarchical", manager_agent=boss)

def only_in_tasks():
    return Crew(tasks=[Task(description="Greet.", expected_output="a line", agent=host())])

def host():
    return Agent(role="Host", goal="g", backstory="b", llm=Own(model="own"))

def failing_before():
    return Crew(tasks=only_in_tasks().tasks, before_kickoff_callbacks=[no_kickoff])

def failing_after_a_task():
    return Crew(tasks=[task(host())])

@persist()
class FailingFlow(Flow):
    @start()
    def begin(self):
        raise AssertionError("no method is called")

    @listen(begin)
    def end(self):
        pass

@persist()
class Talk(Flow[ConversationState]):
    conversational = True
    conversational_config = ConversationConfig(llm=Own(model="own"))

class Forgets(Flow[ConversationState]):
    conversational = True
    conversational_config = ConversationConfig(llm=Own(model="own"))
"""

TOOL = """
from crewai.tools import tool as made

@made
def tool(text: str) -> str:
    "Says it."
    raise AssertionError("no tool is called")
"""


@pytest.fixture
def states(tmp_path):
    project(tmp_path / "states", "own_tools.py", TOOL)
    return project(tmp_path / "states", "hotel.py", STATES)


def test_each_kind_of_state_is_written_by_one_process_and_found_by_the_other(verify, states):
    code, out, err = verify(states, "--entrypoint", "hotel:crew", "--json")
    assert code == 0, out + err
    assert json.loads(out)["result"] == "not seen", "its callbacks were not called"
    kinds = {"memory", "memory of agent Host", "memory of agent Cook", "knowledge of agent Cook"}
    assert rows(out) == dict.fromkeys(kinds | {"flow", "checkpoints", "task-outputs", "locks"}, ("redis", "OK", True))


def test_a_crew_of_which_no_kickoff_works_fails_with_its_exception(verify, states):
    code, out, _ = verify(states, "--entrypoint", "hotel:broken")
    assert code == 1
    assert "KickoffBroken: Exception: Manager agent should not have tools" in out


def test_a_crew_whose_agents_only_its_tasks_know_passes(verify, states):
    code, out, err = verify(states, "--entrypoint", "hotel:only_in_tasks", "--strict")
    assert code == 0, out + err
    assert "Passed: what one process keeps, the other one finds; a rehearsed kickoff worked, with stand-ins" in out


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("failing_before", "before_kickoff callbacks: no_kickoff"),
        ("failing_after_a_task", "callbacks of tasks: 1"),
        ("FailingFlow", "methods of the flow: begin, end"),
    ],
)
def test_what_fails_in_each_kickoff_but_was_left_out_is_not_called_passed(verify, states, name, left_out):
    """A rehearsal calls nothing of the user's, so it can say neither that such a crew works nor that it does not."""
    code, out, err = verify(states, "--entrypoint", f"hotel:{name}")
    assert code == 0, out + err
    assert f"the kickoff: not run: {left_out}" in out
    assert "Whether a kickoff works was not seen" in out
    assert "Passed" not in out
    code, out, _ = verify(states, "--entrypoint", f"hotel:{name}", "--strict", "--json")
    assert code == 1
    told = json.loads(out)
    assert (told["passed"], told["result"], told["failure"]) == (False, "not seen", "")
    assert told["kickoffNotSeen"] == [f"not run: {left_out}"]


def test_a_conversation_is_held_in_one_process_and_remembered_in_the_other(verify, states):
    code, out, err = verify(states, "--entrypoint", "hotel:Talk", "--json")
    assert code == 0, out + err
    assert rows(out)["conversation"] == ("redis", "OK", True)


def test_a_conversation_that_no_process_keeps_is_named_with_what_keeps_it(verify, states):
    code, out, _ = verify(states, "--entrypoint", "hotel:Forgets", "--json")
    assert code == 1
    assert rows(out)["conversation"][1] == "FAIL"


def test_a_crew_that_does_not_import_fails_with_its_traceback(verify, tmp_path):
    text = "import a_package_that_nobody_has\nfrom crewai.project import CrewBase\n\n@CrewBase\nclass A:\n    pass\n"
    code, out, _ = verify(project(tmp_path / "broken", "crew.py", text))
    assert code == 1
    assert "EntrypointBroken: importing crew failed: No module named 'a_package_that_nobody_has'" in out
    assert "crew.py" in out


def test_a_process_that_hangs_is_ended_and_said(verify, tmp_path):
    folder = project(tmp_path / "hangs", "crew.py", "import time\ntime.sleep(600)\n")
    code, out, _ = verify(folder, "--entrypoint", "crew:x", "--timeout", "4")
    assert code == 1
    assert "did not end within 4 s and was killed" in out


def test_a_check_that_is_called_off_leaves_no_process(tmp_path):
    folder = project(tmp_path / "hangs", "crew.py", "import time\nopen('../../begun', 'w')\ntime.sleep(600)\n")
    argv = [sys.executable, "-m", "crewctl", "verify", str(folder), "--entrypoint", "crew:x", "--python", crew_python()]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def mine() -> list[str]:
        """Command lines of processes that work below this test's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and str(tmp_path / "crewctl-verify") in str((entry / "cwd").readlink()):
                    found.append((entry / "cmdline").read_text())
        return found

    try:
        wait_until(
            lambda: len(list(tmp_path.glob("crewctl-verify-*/*/begun"))) == 2, "both processes load the crew", 60
        )
        assert len(mine()) == 3, "two processes and their Redis"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    assert mine() == []
    assert list(tmp_path.glob("crewctl-verify-*")) == []


def test_a_folder_without_a_crew_is_a_usage_error(verify, tmp_path):
    code, _, err = verify(tmp_path)
    assert code == 2
    assert "has no crew" in err
    assert "--entrypoint" in err


def test_an_interpreter_without_crewai_is_a_usage_error(verify):
    code, _, err = verify(CONCIERGE, python=sys.executable)
    assert code == 2
    assert "has no crewai" in err
