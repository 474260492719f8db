"""Pictures from payloads: whole ones as they were sent, broken ones not at all."""

import itertools

import pytest

from camera_hub.streams.parameters import Codec, nal_units, parameter_sets
from camera_hub.streams.rtsp.depacketizer import (
    MAX_UNIT_BYTES,
    AccessUnit,
    Depacketizer,
    depacketizer_for,
)
from tests.support.media_footage import make_units
from tests.support.odd_camera import payloads

SLICES = {"h264": {1, 5}, "hevc": {*range(10), *range(16, 22)}}


def feed(
    into: Depacketizer, codec: Codec, units: list[bytes], *, markers: bool = True,
    lose: set[int] | None = None,
) -> list[AccessUnit]:  # fmt: skip
    """Send `units` but for the packets numbered in `lose`; return the pictures that came."""
    numbers = itertools.count()
    for index, unit in enumerate(units):
        packed = payloads(codec, unit)
        for position, payload in enumerate(packed):
            if next(numbers) in (lose or ()):
                into.lost()
                continue
            last = position == len(packed) - 1
            data = b"head" + payload + b"tail"
            end = 4 + len(payload)
            into.packet(data, 4, end, index * 3600, marker=markers and last)
    return into.units


@pytest.fixture(scope="module", params=["h264", "hevc"])
def footage(request: pytest.FixtureRequest) -> tuple[Codec, list[bytes]]:
    return request.param, make_units(codec=request.param, frames=12, gop=6)


@pytest.mark.parametrize("markers", [True, False])
def test_every_picture_comes_out_as_it_went_in(
    footage: tuple[Codec, list[bytes]], markers: bool
) -> None:
    codec, units = footage
    given = feed(depacketizer_for(codec, ()), codec, units, markers=markers)
    sent = [list(nal_units(unit)) for unit in (units if markers else units[:-1])]
    assert [list(nal_units(unit.data)) for unit in given] == sent
    assert [unit.keyframe for unit in given] == [i % 6 == 0 for i in range(len(sent))]
    assert [unit.ticks for unit in given] == [i * 3600 for i in range(len(sent))]


def test_each_single_lost_packet_costs_its_picture_and_no_other(
    footage: tuple[Codec, list[bytes]],
) -> None:
    codec, units = footage
    first = feed(depacketizer_for(codec, ()), codec, units[:1])[0].data
    sets = parameter_sets(codec, first)

    def kind(payload: bytes) -> int:
        if codec == "h264":
            return payload[1] & 31 if payload[0] & 31 == 28 else payload[0] & 31
        return payload[2] & 63 if payload[0] >> 1 == 49 else payload[0] >> 1 & 63

    def slices(unit: bytes) -> list[bytes]:
        return [nal for nal in nal_units(unit) if kind(nal) in SLICES[codec]]

    sent = [(index, p) for index, unit in enumerate(units) for p in payloads(codec, unit)]
    for number, (index, payload) in enumerate(sent):
        into = depacketizer_for(codec, sets)
        given = feed(into, codec, units, lose={number})
        missing = {index} if kind(payload) in SLICES[codec] else set()
        assert [unit.ticks // 3600 for unit in given] == sorted(set(range(12)) - missing)
        for unit in given:
            assert slices(unit.data) == slices(units[unit.ticks // 3600])
            assert not unit.keyframe or set(sets) <= set(nal_units(unit.data))
        others = [p for i, p in sent[:-1] if i == index and kind(p) in SLICES[codec]]
        if missing and len(others) > 1 and number < len(sent) - 1:
            # Of a picture in a single packet nothing is left that could be counted.
            assert into.dropped == 1


def test_keyframes_without_parameter_sets_get_the_last_known(
    footage: tuple[Codec, list[bytes]],
) -> None:
    codec, units = footage
    into = depacketizer_for(codec, ())
    kinds = into.set_kinds

    def kind(nal: bytes) -> int:
        return nal[0] & 31 if codec == "h264" else nal[0] >> 1 & 63

    bare = [
        b"".join(b"\0\0\0\1" + n for n in nal_units(unit) if kind(n) not in kinds)
        for unit in units[6:]
    ]
    given = feed(into, codec, units[:6] + bare)
    found = [kind(n) for n in nal_units(given[6].data)]
    assert [k for k in found if k in kinds] == list(kinds)


def test_a_marker_on_every_slice_is_seen_through() -> None:
    into = depacketizer_for("h264", ())
    first, second = b"\x41\x9a" + b"a" * 20, b"\x41\x10" + b"b" * 20
    for number in range(6):
        for part in (first, second):
            into.packet(part, 0, len(part), number * 3600, marker=True)
    whole = [unit for unit in into.units if len(list(nal_units(unit.data))) == 2]
    assert [unit.ticks for unit in whole] == [3600, 7200, 10800, 14400]


def test_a_stream_refreshed_bit_by_bit_begins_at_its_recovery_point() -> None:
    into = depacketizer_for("h264", ())
    message = b"\x06\x05\x02ab\x06\x01\x84\x80"
    for number, parts in enumerate([[b"\x41\x9a"], [message, b"\x41\x9a"], [b"\x41\x9a"]]):
        for part in parts:
            into.packet(part, 0, len(part), number, marker=part is parts[-1])
    assert [unit.keyframe for unit in into.units] == [False, True, False]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_rubbish_makes_no_picture_and_no_error(codec: Codec) -> None:
    into = depacketizer_for(codec, ())
    for first in range(256):
        for rest in (b"", b"\x80", b"\xc0\xff", b"\x00\x00", b"\x00\xff\xff\xff", b"\x00\x01"):
            data = bytes((first,)) + rest
            into.packet(data, 0, len(data), first * 7, marker=bool(first & 1))
    into.packet(b"", 0, 0, 1, marker=True)
    assert into.unusable > 0
    big = b"\x7c\x05" + b"x" * 65000 if codec == "h264" else b"\x62\x01\x13" + b"x" * 65000
    into.units.clear()
    for _ in range(MAX_UNIT_BYTES // 65000 + 300):
        into.packet(big, 0, len(big), 99999, marker=False)
    assert into._size <= MAX_UNIT_BYTES + 65000
    into.packet(big, 0, len(big), 100000, marker=True)
    assert not into.units


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_picture_in_pieces_of_one_byte_ends_before_it_fills_the_memory(codec: Codec) -> None:
    into = depacketizer_for(codec, ())
    begin, go_on = (
        (b"\x7c\x85\x80", b"\x7c\x05x")
        if codec == "h264"
        else (b"\x62\x01\x93\x80", b"\x62\x01\x13x")
    )
    into.packet(begin, 0, len(begin), 1, marker=False)
    most = 0
    for _ in range(MAX_UNIT_BYTES // 50):
        into.packet(go_on, 0, len(go_on), 1, marker=False)
        most = max(most, len(into._parts))
    assert most <= MAX_UNIT_BYTES // 64 + 3
    into.packet(begin, 0, len(begin), 2, marker=False)
    assert not into.units
    assert into.dropped == 1
