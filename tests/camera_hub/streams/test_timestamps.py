"""The timeline of a stream, whatever a camera says about time."""

from fractions import Fraction
from typing import Any

import av
from hypothesis import example, given
from hypothesis import strategies as st

from camera_hub.streams.timestamps import Timeline

TICKS = 90000


def fix_all(stamps: list[tuple[int | None, int | None]], interval: float = 0.04) -> list[Any]:
    timeline = Timeline(Fraction(1, TICKS))
    packets = []
    for number, (pts, dts) in enumerate(stamps):
        packet: av.Packet[Any] = av.Packet(b"x")
        packet.pts, packet.dts = pts, dts
        timeline.fix(packet, 100.0 + number * interval)
        packets.append(packet)
    return packets


stamp = st.none() | st.integers(-(2**33), 2**33)


@given(st.lists(st.tuples(stamp, stamp), max_size=40))
@example([(None, None), (3600, 3600), (3600, 3600), (0, 0)])
def test_time_only_goes_forward(stamps: list[tuple[int | None, int | None]]) -> None:
    packets = fix_all(stamps)
    assert len(packets) == len(stamps)
    last = -1
    for packet in packets:
        assert packet.dts > last
        assert packet.dts <= packet.pts <= packet.dts + 5 * TICKS
        last = packet.dts


def test_regular_time_is_left_alone() -> None:
    packets = fix_all([(9000 + n * 3600, 9000 + n * 3600) for n in range(50)])
    assert [p.dts for p in packets] == [n * 3600 for n in range(50)]


def test_reordered_pictures_keep_their_order() -> None:
    # I P B B P B B as an encoder gives them.
    shown = [1, 4, 2, 3, 7, 5, 6]
    packets = fix_all([(n * 3600, d * 3600) for d, n in enumerate(shown)])
    assert [p.pts for p in packets] == [n * 3600 for n in shown]


def test_missing_time_is_taken_from_arrival() -> None:
    packets = fix_all([(None, None)] * 26)
    assert abs(packets[-1].dts - TICKS) < 100


def test_a_jump_of_the_camera_leaves_no_gap() -> None:
    for jump in (3600 * TICKS, -3600 * TICKS):
        stamps = [(n * 3600 + (jump if n > 10 else 0),) * 2 for n in range(20)]
        packets = fix_all(stamps)
        assert abs(packets[-1].dts - 19 * 3600) <= 40
