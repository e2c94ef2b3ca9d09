"""Frames survive any cut of the stream, and what is no frame is refused."""

import struct

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
