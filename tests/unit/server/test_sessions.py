"""When a session may be erased."""

import dataclasses

import pytest

from crew_server.errors import SessionBusyError
from crew_server.sessions import service
from crew_server.sessions.service import Sessions


@dataclasses.dataclass
class Store:
    """One kickoff, and a record that is there until it is erased."""

    status: str = "running"
    records: int = 3

    async def busy(self, session_id):
        return ["k"] if self.status == "running" else []

    async def erase_records(self, session_id):
        erased, self.records = self.records, 0
        return erased

    async def erase_flow(self, session_id):
        return 1, 1

    async def erase_task_outputs(self, session_id):
        return 2

    async def erase_checkpoints(self, session_id):
        return 1

    async def erase_messages(self, session_id):
        return 4

    async def strip_kickoffs(self, session_id):
        return (0, 1) if self.status == "running" else (1, 0)

    async def erased(self):
        pass


@pytest.fixture
def store():
    return Store()


async def test_a_running_kickoff_keeps_it(store):
    async def cancel(kickoff_id):
        raise AssertionError("nobody asked for that")

    with pytest.raises(SessionBusyError) as caught:
        await Sessions(store, cancel).erase("1", force=False)
    assert caught.value.running == 1
    assert store.records == 3


async def test_force_stops_it_first(store):
    async def cancel(kickoff_id):
        assert store.records == 3
        store.status = "cancelled"

    erased = await Sessions(store, cancel).erase("1", force=True)
    assert (erased.records, erased.flow_states, erased.pending_feedback, erased.kickoffs) == (3, 1, 1, 1)
    assert (erased.task_outputs, erased.checkpoints, erased.messages) == (2, 1, 4)


async def test_what_cannot_be_stopped_keeps_it(store, monkeypatch):
    monkeypatch.setattr(service, "PATIENCE", 0.3)
    asked = []

    async def cancel(kickoff_id):
        asked.append(kickoff_id)

    with pytest.raises(SessionBusyError):
        await Sessions(store, cancel).erase("1", force=True)
    assert asked == ["k"]
    assert store.records == 3


async def test_one_that_started_meanwhile_is_told(store):
    store.status = "completed"

    async def cancel(kickoff_id):
        raise AssertionError("nothing runs")

    async def strip(session_id):
        return 1, 1

    store.strip_kickoffs = strip
    with pytest.raises(SessionBusyError):
        await Sessions(store, cancel).erase("1", force=False)
