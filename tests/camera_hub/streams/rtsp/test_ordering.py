"""Decoding times: rising, and never above the time of the showing."""

import itertools
import random
from fractions import Fraction

import av
import numpy as np
import pytest

from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.rtsp.ordering import DecodingOrder


def encoded(frames: int, bframes: int) -> tuple[list[bytes], list[int]]:
    """Return pictures with B-frames in decoding order and the numbers of their showing."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.time_base = 1 / encoder.framerate
    encoder.options = {
        "preset": "medium",
        "x264-params": f"bframes={bframes}:b-adapt=0:keyint=25:repeat-headers=1:b-pyramid=normal",
    }
    packets = []
    for number in range(frames):
        picture = np.full((120, 160, 3), 3 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [bytes(p) for p in packets], [p.pts or 0 for p in packets]


def check(order: DecodingOrder, times: list[int]) -> list[int]:
    found = [order.dts(pts) for pts in times]
    assert all(dts <= pts for dts, pts in zip(found, times, strict=True))
    return found


@pytest.mark.parametrize(("bframes", "depth"), [(0, 0), (1, 1), (2, 1), (3, 2)])
def test_what_an_encoder_with_b_frames_sends(bframes: int, depth: int) -> None:
    units, shown = encoded(60, bframes)
    sets = parameter_sets("h264", units[0])
    info = read_info("h264", sets, units[0], Fraction(1, 90000))
    assert info.reorder >= depth
    order = DecodingOrder(90000)
    order.expect(info.reorder)
    found = check(order, [number * 3600 for number in shown])
    assert all(b > a for a, b in itertools.pairwise(found))


def test_what_nobody_announced_is_learned() -> None:
    _, shown = encoded(60, 3)
    order = DecodingOrder(90000)
    check(order, [number * 3600 for number in shown])
    assert order.depth == 2
    found = check(order, [(number + 60) * 3600 for number in shown])
    assert all(b > a for a, b in itertools.pairwise(found))


def test_a_clock_that_jumps_is_no_reordering() -> None:
    order = DecodingOrder(90000)
    times = [n * 3600 for n in range(50)] + [n * 3600 for n in range(20, 40)]
    times += [10**9 + n * 3600 for n in range(10)] + [n * 3600 for n in range(10)]
    assert check(order, times) == times
    assert order.depth == 0


def test_anything_at_all_keeps_the_rule() -> None:
    rng = random.Random(3)
    for _ in range(50):
        order = DecodingOrder(90000)
        order.expect(rng.choice([0, 0, 1, 2, 16, 99]))
        check(order, [rng.randrange(10**6) for _ in range(200)])
