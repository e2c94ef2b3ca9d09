"""Events that are alike: some have one of their own, all further ones share one."""

import asyncio

from crew_operator.errors import UnreachableError
from crew_operator.events import Note
from crew_operator.recorder import Recorder

OWNER = {"metadata": {"name": "concierge", "namespace": "lobby", "uid": "u"}}


class Written:
    """What an API server would be given."""

    def __init__(self):
        self.events = []
        self.away = False

    async def apply(self, event):
        if self.away:
            raise UnreachableError("away")
        self.events.append(event)


def say(recorder, *messages, reason="ReplicaSilent", owner=OWNER, since=0):
    """Each a second after the one before."""

    async def main():
        for number, message in enumerate(messages):
            await recorder.say(owner, [Note(reason, message, warning=True)], since + number)

    asyncio.run(main())


def short(event):
    return event["message"], event["count"], event["firstTimestamp"][-3:-1]


TEN = [f"no report from {name}" for name in "abcdefghij"]


def test_the_eleventh_message_of_a_reason_and_all_further_ones_share_an_event_that_counts():
    kube = Written()
    say(Recorder(kube), *TEN, "no report from k", "no report from l", "no report from k")
    first, further = kube.events[:10], kube.events[10:]
    assert [short(one)[:2] for one in first] == [(text, 1) for text in TEN]
    assert [short(one) for one in further] == [
        ("(combined from similar events) no report from k", 1, "10"),
        ("(combined from similar events) no report from l", 2, "10"),
        ("(combined from similar events) no report from k", 3, "10"),
    ]
    assert len({one["metadata"]["name"] for one in first}) == 10
    assert len({one["metadata"]["name"] for one in further}) == 1


def test_a_message_that_has_an_event_of_its_own_goes_on_counting_there():
    kube = Written()
    say(Recorder(kube), *TEN, "no report from k", TEN[3])
    assert short(kube.events[-1]) == (TEN[3], 2, "03")
    assert kube.events[-1]["metadata"] == kube.events[3]["metadata"]


def test_another_reason_and_another_crew_have_messages_of_their_own():
    kube = Written()
    recorder = Recorder(kube)
    say(recorder, *TEN, "no report from k")
    say(recorder, "no answer", reason="RedisWedged")
    say(recorder, "no report from k", owner={"metadata": {**OWNER["metadata"], "uid": "another"}})
    assert [short(one)[:2] for one in kube.events[-2:]] == [("no answer", 1), ("no report from k", 1)]


def test_an_event_that_could_not_be_written_is_counted_and_costs_no_pass():
    kube = Written()
    recorder = Recorder(kube)
    kube.away = True
    say(recorder, "no answer")
    kube.away = False
    say(recorder, "no answer", since=1)
    assert [short(one) for one in kube.events] == [("no answer", 2, "00")]
