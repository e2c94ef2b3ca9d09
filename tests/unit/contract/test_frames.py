"""Frames survive any cut of the stream, and what is no frame is refused."""

import json
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crew_runtime.contract import frames

fields = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda key: key != "t" and key.isidentifier()),
    st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=3),
    max_size=4,
)


@given(messages=st.lists(fields, max_size=5), piece=st.integers(min_value=1, max_value=40))
def test_frames_cut_anywhere_arrive_whole_and_in_order(messages, piece):
    stream = b"".join(frames.encode("x", **message) for message in messages)
    decoder = frames.Decoder()
    arrived = [frame for start in range(0, len(stream), piece) for frame in decoder.feed(stream[start : start + piece])]
    assert arrived == [{"t": "x", **message} for message in messages]


def test_lone_surrogates_of_a_crews_output_do_not_break_the_stream():
    (frame,) = frames.Decoder().feed(frames.encode("result", output="\ud83d half an emoji"))
    assert frame["output"] == "\ud83d half an emoji"


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"type": "x"}', b'{"t": 1}'])
def test_a_body_that_is_no_frame_is_refused(body):
    with pytest.raises(frames.FrameError):
        list(frames.Decoder().feed(struct.pack(">I", len(body)) + body))


def test_a_length_over_the_limit_is_refused_before_it_is_buffered():
    with pytest.raises(frames.FrameError, match="limit"):
        list(frames.Decoder().feed(struct.pack(">I", frames.MAX_FRAME + 1)))


def test_a_result_over_the_limit_is_refused_by_the_sender():
    with pytest.raises(frames.FrameError, match="limit"):
        frames.encode("result", output="x" * frames.MAX_FRAME)


def framed(body):
    return struct.pack(">I", len(body)) + body


def many(unit):
    """A frame with a list of this, some more than a server takes."""
    return b'{"t":"result","output":[' + b",".join([unit] * (frames.MAX_VALUES + 10)) + b"]}"


def test_the_limit_may_grow_between_two_frames_that_come_together():
    decoder = frames.Decoder(40)
    incoming = decoder.feed(frames.encode("hello") + frames.encode("result", output="x" * 100))
    assert next(incoming) == {"t": "hello"}
    decoder.limit = frames.MAX_FRAME
    assert next(incoming)["output"] == "x" * 100
    with pytest.raises(frames.FrameError, match="limit of 40"):
        list(frames.Decoder(40).feed(frames.encode("result", output="x" * 100)))


@pytest.mark.parametrize(
    "unit",
    [b"[]", b"{}", b"1234", b"0.1", b'"ab"', b'{"a":1}', b'{"a":[]}', b"[[]]", b'"\\""'],
)
def test_frames_that_unfold_to_more_than_a_server_can_hold_are_refused(unit):
    with pytest.raises(frames.FrameError, match="values of a frame are over the limit"):
        list(frames.Decoder(guarded=True).feed(framed(many(unit))))


def test_they_are_refused_before_they_are_unfolded():
    data = framed(many(b"[]"))
    tracemalloc.start()
    try:
        with pytest.raises(frames.FrameError):
            list(frames.Decoder(guarded=True).feed(data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data), "the lists alone would take 20 times as much"


def test_what_passes_takes_no_more_than_the_limit_says():
    """The most that a value takes: an object in an object's only field."""
    marks = b'{"a":{}},'
    count = (frames.MAX_VALUES - 10) // sum(marks.count(one) for one in b",:[{")
    body = b'{"t":"x","l":[' + b",".join([marks[:-1]] * count) + b"]}"
    tracemalloc.start()
    try:
        (frame,) = frames.Decoder(guarded=True).feed(framed(body))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(frame["l"]) == count
    assert held < 80 * frames.MAX_VALUES


def test_marks_in_texts_are_no_values():
    told = {"output": json.dumps([{"a": '"'}] * 200_000), "escaped": '\\",[{:' * 1000}
    made = frames.encode_for_server("result", **told)
    (frame,) = frames.Decoder(guarded=True).feed(made)
    assert frame == {"t": "result", **told}


def test_a_length_that_looks_like_a_quote_is_no_text():
    """Its last byte is one: read with the frame, it would turn texts and what is between them around."""
    marks = "," * (frames.MAX_VALUES + 1)
    padding = (ord('"') - len(frames.encode("result", output=marks)) + 4) % 256
    made = frames.encode_for_server("result", output=marks + "x" * padding)
    assert made[3:4] == b'"'


def test_a_result_of_too_many_values_is_refused_by_the_sender():
    with pytest.raises(frames.FrameError, match="values of a frame are over the limit"):
        frames.encode_for_server("result", json=[[]] * frames.MAX_VALUES)
    assert frames.encode("run", finished=[[]] * frames.MAX_VALUES), "the server's own are bounded by what it took"


@pytest.mark.parametrize("end", [b"", b"\\", b'"'])
def test_looking_for_texts_takes_one_walk_whatever_they_are(end):
    """Where a text that does not end were looked for from each of its quotes, this would not come to an end today."""
    body = b'{"t":"' + b'\\",' * 200_000 + end
    with pytest.raises(frames.FrameError):
        list(frames.Decoder(guarded=True).feed(framed(body)))


def test_json_that_is_too_deep_to_read_is_no_frame():
    with pytest.raises(frames.FrameError):
        list(frames.Decoder().feed(framed(b'{"t":"x","l":' + b"[" * 200_000 + b"]" * 200_000 + b"}")))
