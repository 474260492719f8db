"""Clips and their packets, without a network."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from camera_hub.simulator import rtp
from camera_hub.simulator.clip import CLOCK_RATE, AccessUnit, LoopedClip
from core.clock import ManualClock


def _clip(ticks: list[int], tail: int) -> LoopedClip:
    units = tuple(AccessUnit((b"\x65",), at, index == 0) for index, at in enumerate(ticks))
    return LoopedClip(
        units=units,
        duration_ticks=ticks[-1] + tail,
        sps=b"\x67",
        pps=b"\x68",
        width=16,
        height=16,
        bitrate=1,
        keyframe_interval=len(units),
    )


_gaps = st.lists(st.integers(1, 20_000), min_size=1, max_size=30)


@given(gaps=_gaps, tail=st.integers(1, 20_000), now=st.integers(0, 10_000_000))
def test_frames_go_on_over_the_seam(gaps: list[int], tail: int, now: int) -> None:
    ticks = [0]
    for gap in gaps:
        ticks.append(ticks[-1] + gap)
    clip = _clip(ticks, tail)
    number = clip.first_due(now)
    assert clip.due_ticks(number) >= now
    assert number == 0 or clip.due_ticks(number - 1) < now
    following = [clip.due_ticks(number + step) for step in range(2 * len(ticks) + 1)]
    allowed = {*gaps, tail}
    assert {later - earlier for earlier, later in pairwise(following)} <= allowed


def _reassemble(payloads: list[bytes]) -> list[bytes]:
    nals: list[bytes] = []
    for payload in payloads:
        if payload[0] & 0x1F != 28:
            nals.append(payload)
            continue
        if payload[1] & 0x80:
            nals.append(bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)))
        nals[-1] += payload[2:]
        assert bool(payload[1] & 0x40) == (len(payload) < rtp.MAX_PAYLOAD) or payload[1] & 0x40
    return nals


@given(sizes=st.lists(st.integers(1, 6_000), min_size=1, max_size=4), keyframe=st.booleans())
def test_fragments_make_the_picture_again(sizes: list[int], keyframe: bool) -> None:
    nals = tuple(b"\x65" + bytes(index % 251 for index in range(size)) for size in sizes)
    clip = _clip([0, 1], 1)
    packets = list(rtp.payloads(clip, AccessUnit(nals, 0, keyframe)))
    assert all(len(payload) <= rtp.MAX_PAYLOAD for payload, _ in packets)
    assert [last for _, last in packets] == [False] * (len(packets) - 1) + [True]
    expected = [clip.sps, clip.pps, *nals] if keyframe else list(nals)
    assert _reassemble([payload for payload, _ in packets]) == expected


def test_sequence_and_timestamp_wrap_round() -> None:
    packet = rtp.packet(b"x", marker=True, sequence=65_536 + 7, ticks=2**32 + 5, ssrc=9)
    assert packet[1] == 0x80 | rtp.PAYLOAD_TYPE
    assert int.from_bytes(packet[2:4], "big") == 7
    assert int.from_bytes(packet[4:8], "big") == 5


def test_sender_report_ties_ticks_to_the_wall_clock() -> None:
    now = ManualClock().now()
    report = rtp.sender_report(ssrc=1, now=now, ticks=CLOCK_RATE, packets=3, octets=4)
    assert len(report) == 28
    # 2026-01-01T08:00Z is this many seconds after 1900 (RFC 5905: 2208988800 to 1970).
    assert int.from_bytes(report[8:12], "big") == 2_208_988_800 + int(now.timestamp())
    assert int.from_bytes(report[16:20], "big") == CLOCK_RATE


def test_a_prepared_clip_can_be_looped(clip: LoopedClip) -> None:
    assert clip.units[0].keyframe
    assert [unit.ticks for unit in clip.units] == sorted({unit.ticks for unit in clip.units})
    assert (clip.width, clip.height) == (320, 240)
    assert clip.keyframe_interval == 25
    assert round(clip.fps) == 25
    assert clip.sps[0] & 0x1F == 7
    assert clip.pps[0] & 0x1F == 8
