"""Fragments on a timeline that browsers play without a break, and queues that never grow."""

import itertools
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.live.muxer import Fragment, Init, Muxer, StateChange
from camera_hub.live.queue import ViewerQueue
from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.types import ReasonCode, StreamState
from tests.support.examples import examples
from tests.support.media_footage import make_units, packets_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
UNITS = make_units(width=64, height=64, frames=8, gop=8)
INFO = read_info("h264", parameter_sets("h264", UNITS[0]), UNITS[0], packets_of(UNITS)[0].time_base)


def timeline(stamps: list[int]) -> list[tuple[int, int]]:
    """Return (decode time, duration) of the fragments made at these dts, in 1/90000 s."""
    muxer = Muxer(INFO, UNITS[0])
    result = []
    for number, dts in enumerate(stamps):
        packet: Any = packets_of(UNITS[min(number, 1) :][:1])[0]
        packet.dts = packet.pts = dts
        data = muxer.fragment(packet, AT).data
        (time,) = struct.unpack_from(">Q", data, data.index(b"tfdt") + 8)
        (duration,) = struct.unpack_from(">I", data, data.index(b"trun") + 16)
        result.append((time, duration))
    return result


def assert_unbroken(times: list[tuple[int, int]]) -> None:
    """Check that no step is over twice the duration before it: browsers would drop frames."""
    for (before, duration), (after, _) in itertools.pairwise(times):
        assert 0 < after - before <= 2 * duration


def test_a_regular_stream_keeps_its_time() -> None:
    times = timeline([n * 3600 for n in range(100)])
    assert times == [(n * 3600, 3600) for n in range(100)]


def test_a_late_frame_is_caught_up() -> None:
    # A third of a second is missing, as after a loss on the network.
    times = timeline([n * 3600 + (30000 if n > 20 else 0) for n in range(60)])
    assert_unbroken(times)
    assert times[-1][0] == 59 * 3600 + 30000


def test_a_long_gap_is_cut_out() -> None:
    times = timeline([n * 3600 + (90000 * 60 if n > 20 else 0) for n in range(40)])
    assert_unbroken(times)
    assert times[-1][0] < 42 * 3600


def test_a_stream_that_is_slower_than_it_says() -> None:
    # 25 fps by its parameters, 5 fps in truth.
    times = timeline([n * 18000 for n in range(60)])
    assert_unbroken(times)
    assert times[-1][1] == pytest.approx(18000, rel=0.05)
    assert times[-1][0] - times[-11][0] == pytest.approx(10 * 18000, rel=0.1)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.integers(1, 90000 * 20), min_size=2, max_size=60))
def test_whatever_the_steps_the_timeline_does_not_break(steps: list[int]) -> None:
    stamps = [sum(steps[:n]) for n in range(len(steps))]
    assert_unbroken(timeline(stamps))


def item(keyframe: bool, size: int = 10) -> Fragment:
    return Fragment(keyframe, AT, bytes(size))


async def test_a_queue_begins_and_goes_on_with_keyframes() -> None:
    queue = ViewerQueue(max_items=5)
    init = Init("avc1", 1, 1, b"init")
    state = StateChange(StreamState.ONLINE, ReasonCode.OK, "")
    for one in (state, init, item(False), item(True), item(False)):
        queue.put(one)
    assert [type(i) for i in await queue.get()] == [StateChange, Init, Fragment, Fragment]
    assert queue.skipped == 1
    for _ in range(7):
        queue.put(item(False))
    queue.put(state)
    assert queue.skipped > 5
    queue.put(item(False))
    queue.put(item(True))
    assert await queue.get() == [state, item(True)]


async def test_a_queue_is_bounded_in_bytes() -> None:
    queue = ViewerQueue(max_bytes=1000, max_items=10_000)
    for number in range(990):
        queue.put(item(number % 10 == 0, 100))
    assert sum(len(i.data) for i in await queue.get() if isinstance(i, Fragment)) <= 1200


async def test_a_new_viewer_is_given_a_group_of_ten_seconds_whole() -> None:
    # 4 Mbit/s at 25 fps with a keyframe every ten seconds, x264's default; 60 fps every five.
    for frames, size in ((250, 20_000), (300, 4_000)):
        queue = ViewerQueue()
        for number in range(frames):
            queue.put(item(number == 0, size))
        assert len(await queue.get()) == frames
        assert queue.skipped == 0


async def test_a_late_viewer_goes_on_with_the_next_keyframe_without_a_gap() -> None:
    queue = ViewerQueue(late_items=4)
    for keyframe in (True, False, False, False, False, True, False):
        queue.put(item(keyframe))
    assert await queue.get() == [item(True), item(False)]
    assert queue.skipped == 5


async def test_a_closed_queue_gives_nothing() -> None:
    queue = ViewerQueue()
    queue.put(item(True))
    queue.close()
    queue.put(item(True))
    assert await queue.get() == []
