"""Which kickoffs share a process: `spec.crew.processes`, through the server and a real worker."""

import json

from support.replicas import Replica

ONE_AT_A_TIME = {"CREWOPS_CONCURRENCY": "1"}
"""So a kickoff waits until the process of the one before it has said whether it is clean."""


async def say(replica: Replica, session: str) -> tuple[int, int]:
    """The process that ran a kickoff of this session, and how many it had run by then."""
    body = {"inputs": {"message": "hi"}, "session_id": session}
    seen = (await replica.api.post("/kickoff?wait=20", json=body)).json()
    assert seen["status"] == "completed", seen
    told = json.loads(seen["result"]["output"])
    return told["pid"], told["kickoffs"]


async def test_kickoffs_of_a_session_share_a_process_that_no_other_session_enters(real):
    replica = await real("counting:crew", CREWOPS_PROCESSES="PerSession", **ONE_AT_A_TIME)
    ada, begun = await say(replica, "ada")
    assert begun == 1
    assert await say(replica, "ada") == (ada, 2)
    bob, begun = await say(replica, "bob")
    assert (bob != ada, begun) == (True, 1)
    assert await say(replica, "bob") == (bob, 2)


async def test_kickoffs_of_a_session_have_a_process_each_unless_the_spec_says_otherwise(real):
    replica = await real("counting:crew", **ONE_AT_A_TIME)
    told = [await say(replica, "ada") for _ in range(3)]
    assert len({pid for pid, _ in told}) == 3
    assert [kickoffs for _, kickoffs in told] == [1, 1, 1]
