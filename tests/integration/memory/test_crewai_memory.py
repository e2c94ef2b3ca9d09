"""Through CrewAI's own Memory, Flow and lock, in processes of their own as replicas are."""

from pathlib import Path

import pytest

from support.programs import Programs
from support.redis_server import RedisServer, start_redis


class Run:
    """Calls functions of the programs, each in a process of its own."""

    def __init__(self, programs: Programs, mode: str, url: str, folder: Path) -> None:
        self.mode, self.folder, self._programs = mode, folder, programs
        self._environ = {"CREWOPS_REDIS_URL": url, "CREWOPS_KEY_PREFIX": f"crewai/{mode}/{folder.name}"}

    def __call__(self, name: str, *arguments: str, **environ: str) -> object:
        return self.at_once(1, name, *arguments, **environ)[0]

    def at_once(self, times: int, name: str, *arguments: str, **environ: str) -> list[object]:
        for _ in range(times):
            self._programs.ask(
                name=name, arguments=arguments, environ={**self._environ, **environ}, folder=str(self.folder)
            )
        return [self._programs.answer() for _ in range(times)]


@pytest.fixture(params=["index", "plain"])
def run(request: pytest.FixtureRequest, programs: Programs, tmp_path: Path) -> Run:
    server: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return Run(programs, request.param, server.url, tmp_path)


def test_what_one_process_remembers_another_recalls(run):
    """Two replicas share one memory; nothing of it lies on a disk."""
    assert run("remember", "s1", "Anna is allergic to peanuts", "The pool opens at seven") == 2
    assert run("recall", "s1", "allergic to peanuts")[0] == "Anna is allergic to peanuts"
    assert run("recall", "s2", "allergic to peanuts") == []
    assert run("deep_recall", "s1", "allergic to peanuts")[0] == "Anna is allergic to peanuts"
    assert list(run.folder.rglob("*.lance")) == []


def test_a_crew_is_built_on_the_shared_store(run):
    assert run("crew_storage") == ["RedisStorage", "RedisStorage", run.mode]


def test_the_proof_goes_through_every_process(run):
    run("prove", "write", "nonce-1")
    assert run("prove", "read", "nonce-1") == [True, "list"]
    run("remember", "s1", "now there is a dimension")
    assert run("prove", "read", "nonce-1") == [True, "list"], "written before any vector"
    run("prove", "write", "nonce-2")
    assert run("prove", "read", "nonce-2") == [True, "recall"]
    assert run("prove", "read", "nonce-3") == [False, "recall"]
    run("prove", "forget", "nonce-2")
    assert run("prove", "read", "nonce-2") == [False, "recall"]
    assert run("recall", "s1", "crewops proof nonce-1") == ["now there is a dimension"]


def test_effective_state_says_what_the_crew_really_uses(run):
    assert run("state", "untouched") == {
        "memory": ["redis", False],
        "flow": ["redis", False],
        "locks": ["redis", False],
        "knowledge": ["redis", False],
        "checkpoints": ["redis", False],
        "task-outputs": ["redis", False],
    }
    assert run("state", "own_memory")["memory"] == ["lancedb", True]
    assert run("state", "own_factory")["memory"] == ["lancedb", True]
    assert run("state", "own_persistence")["flow"] == ["sqlite", True]
    assert run("state", "own_locks")["locks"] == ["files", True]


def test_what_nobody_chose_is_told_apart_from_what_the_crew_chose(run):
    """With FailClosed a replica does not serve with the one; the other is the crew's own affair."""
    assert run("unfit", "own_memory") == run("unfit", "untouched") == {}
    assert run("unfit", "ignored_factory") == {"memory": "this CrewAI's Memory does not ask the storage factory"}
    assert run("unfit", "other_checkpoints") == {"checkpoints": "another signature"}


def test_a_method_that_a_correction_does_not_fit_is_named(run):
    assert run("details", "untouched")["memory"] == ""
    told = "not corrected in this CrewAI: BaseTool.run; @crew in a scope shares nothing"
    assert run("details", "other_tools")["memory"] == told


def test_what_stays_in_the_process_is_named_with_what_that_means(run):
    told = run("local_by_nature")
    assert set(told) == {"tool-cache", "mcp-cache", "rpm-limit", "input-files", "a2a-tasks", "event-record"}
    assert "N times max_rpm" in told["rpm-limit"]


def test_a_flow_goes_on_in_another_process(run):
    assert run("flow", "guest-7") == 1
    assert run("flow", "guest-7") == 2
    assert run("flow", "guest-8") == 1
    assert list(run.folder.rglob("flow_states.db")) == []


def test_feedback_is_awaited_in_one_process_and_given_in_another(run):
    flow_id = run("ask_human")
    assert run("answer_human", flow_id, "approved") == ["approved", "the draft"]
    assert run("pending", flow_id) is None


def test_a_checkpoint_of_one_process_is_restored_by_another(run):
    """What was done is not done again; nothing of it lies on a disk, and no other session reads it."""
    done, paths = run("checkpoint_flow", "s1")
    assert done == ["draft", "send"]
    assert run("restore_flow", "s1", paths[-1]) == [["send"], "sent: drafted, drafted"]
    assert run("restore_flow", "s2", paths[-1]) is None
    assert list(run.folder.rglob(".checkpoints")) == []


def test_the_oldest_checkpoints_of_a_branch_go(run):
    removed, found = run("prune_checkpoints", "s1")
    assert removed == 3
    assert found == [None, None, None, "data 3", "data 4", "other"]


def test_feedback_is_given_once(run):
    """Whoever comes second is refused, and takes away no later pause of the same flow."""
    flow_id = run("ask_human")
    assert run("answer_human_twice", flow_id) == [2, "the second draft"]


def test_what_one_process_learned_another_knows(run):
    """Knowledge is embedded once for all replicas, and belongs to no session."""
    assert run("learn", "house", "the pool opens at seven", "the bar is closed") == 2
    assert run("learn", "house", "the pool opens at seven", "the bar is closed") == 0
    assert run("learn", "house", "the pool opens at seven", "the spa is new") == 1
    assert run("know", "house", "pool opens at seven the")[0] == ["the pool opens at seven", 1.0]
    assert run("know", "house2", "the pool opens at seven") == []
    assert list(run.folder.rglob("chroma*")) == []


def test_two_collections_may_have_embedders_of_two_dimensions(run):
    run("learn", "house", "the pool opens at seven")
    assert run("know", "house", "the pool opens at seven", "24") == []
    run("learn", "other", "the bar is closed")
    run("unlearn", "house")
    assert run("know", "house", "the pool opens at seven") == []
    assert run("know", "other", "the bar is closed")[0][0] == "the bar is closed"
    assert run("learn", "house", "the pool opens at seven") == 1


def test_a_crew_answers_from_its_knowledge_and_says_where_it_lies(run):
    assert run("answer_from_knowledge", "s1") is True
    assert run("answer_from_knowledge", "s2") is True
    assert run("state", "untouched")["knowledge"] == ["redis", False]


def test_a_kickoff_is_replayed_in_another_process(run):
    """`Crew.replay` needs what the tasks before gave: kept for each session, so that none deletes another's."""
    assert run("kick_off", "s1", "Ada")[0] == ["drafted", "checked: drafted"]
    assert run("kick_off", "s2", "Bob")[0] == ["drafted", "checked: drafted"]
    assert run("replay_last", "s1") == [{"who": "Ada"}, ["drafted", "checked: drafted"]]
    assert run("replay_last", "s3") is None
    assert list(run.folder.rglob("latest_kickoff_task_outputs.db")) == []


def test_a_kickoff_ends_though_its_task_outputs_cannot_be_kept(programs, tmp_path):
    """It is the record of failures that tells, not an exception half way through the user's work."""
    with start_redis(tmp_path / "redis") as server:
        gone = Run(programs, "plain", server.url, tmp_path)
        outputs, failed = gone("kick_off_without_store", "s1", server.process.pid)
    assert outputs == ["drafted", "checked: drafted"]
    assert failed == ["task-outputs"]


def test_the_process_may_fork_after_install(run):
    """The zygote installs and forks: neither thread nor connection is left in it."""
    assert run("fork_after_install") == {"threads": ["MainThread"], "sockets": 0, "children": [True, True]}


def test_a_lock_is_held_by_one_process_at_a_time(run):
    """Ten read-modify-writes of each of three processes, without a loss."""
    run.at_once(3, "count_under_lock", "10")
    assert run("counted") == 30


def test_no_store_means_no_start(run):
    """Never a local fallback."""
    with pytest.raises(
        AssertionError, match=r"BackendUnavailableError: Redis at 127\.0\.0\.1:1 could not be reached for 2 s"
    ):
        run("crew_storage", CREWOPS_REDIS_URL="redis://127.0.0.1:1/0", CREWOPS_BACKEND_DEADLINE="0.2")


def test_a_conversation_goes_on_in_another_process(run):
    assert run("turn", "1", "good morning") == "good morning"
    assert run("turn", "1", "still me") == "good morning; still me"
    assert run("turn", "10", "somebody else") == "somebody else"
