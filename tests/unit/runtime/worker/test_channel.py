"""A child's connection, over a real pair of sockets."""

import socket
import threading

import pytest

from crew_runtime.contract import frames
from crew_runtime.worker import channel as channels


@pytest.fixture
def pair(monkeypatch):
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    # The reader ends its process when the connection ends; this process is pytest's.
    monkeypatch.setattr(channels.os, "_exit", lambda code: None)
    made = channels.Channel(theirs, "slot", "token-1")
    made.start_kickoff()
    yield made, ours
    theirs.shutdown(socket.SHUT_RDWR)
    ours.close()
    for thread in threading.enumerate():
        if thread.name == "crewops-reader":
            thread.join(5)


def read(sock: socket.socket, until: str) -> list[frames.Frame]:
    decoder, seen = frames.Decoder(), []
    while not any(one["t"] == until for one in seen):
        seen += decoder.feed(sock.recv(1 << 16))
    return [one for one in seen if one["t"] != frames.BEAT]


def test_hello_shows_role_and_token(pair):
    hello = read(pair[1], frames.HELLO)[0]
    assert (hello["role"], hello["token"], hello["protocol"]) == ("slot", "token-1", 1)


def test_events_are_put_in_order_and_come_before_the_result(pair):
    channel, sock = pair
    for seq in (3, 1, 2, 5, 4):
        channel.event(seq, type="x", task="", agent="")
    channel.send(frames.RESULT, id="k")
    seen = read(sock, frames.RESULT)
    assert [one["seq"] for one in seen if one["t"] == frames.EVENT] == [1, 2, 3, 4, 5]
    assert seen[-1]["t"] == frames.RESULT


def test_event_with_more_than_a_server_takes_is_told_without_it_and_stops_nothing(pair):
    channel, sock = pair
    channel.event(1, type="task_completed", task="t", agent="a", data={"output_json": [[]] * (frames.MAX_VALUES + 1)})
    channel.send(frames.RESULT, id="k")
    (event,) = [one for one in read(sock, frames.RESULT) if one["t"] == frames.EVENT]
    assert (event["type"], event["task"], event["data"]) == ("task_completed", "t", {})


def test_too_many_events_are_dropped_and_counted(pair):
    channel, sock = pair
    with channel._lock:
        channel._events.extend((seq, seq, float("inf"), {"type": "x"}) for seq in range(channels.MAX_EVENTS))
    channel.event(2000, type="x")
    channel.event(2001, type="x")
    channel.send(frames.RESULT, id="k")
    events = [one for one in read(sock, frames.RESULT) if one["t"] == frames.EVENT]
    assert len(events) == channels.MAX_EVENTS
    assert events[-1]["dropped"] == 2


def test_frames_reach_the_main_thread(pair):
    channel, sock = pair
    sock.sendall(frames.encode(frames.RUN, id="k"))
    assert channel.take()["id"] == "k"


def test_a_term_between_kickoffs_is_ignored(pair):
    channel, sock = pair
    channel.busy = False
    sock.sendall(frames.encode(frames.TERM) + frames.encode(frames.RUN, id="k"))
    assert channel.take()["t"] == frames.RUN


def test_a_beat_comes_every_second(pair):
    decoder, beats = frames.Decoder(), 0
    while beats < 2:
        beats += sum(one["t"] == frames.BEAT for one in decoder.feed(pair[1].recv(1 << 16)))
