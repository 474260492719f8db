"""The parts of sound by themselves: frames out of packets, one clock after the other."""

import random

import pytest

from camera_hub.streams.rtsp.aac import MAX_FRAME_BYTES, AacUnpacker, aac_track
from camera_hub.streams.rtsp.rtp import SenderReport
from camera_hub.streams.rtsp.sdp import SideTrack, read_description
from camera_hub.streams.rtsp.sound import BYTES_PER_S, PACKETS_PER_S, Allowance
from camera_hub.streams.sound.config import read_config, silent_frame
from camera_hub.streams.sound.g711 import G711ToAac
from camera_hub.streams.sound.placing import SoundClock
from tests.support.sounding import aac_lines, g711, packed, tone

FRAME_S = 0.064


def track() -> SideTrack:
    return read_description(aac_lines().encode()).sounds[0]


def unpacker() -> AacUnpacker:
    found = aac_track(track())
    assert found is not None
    return AacUnpacker(found)


def test_whatever_is_sent_as_aac_frames_are_bounded_and_memory_too() -> None:
    chance = random.Random(3640)
    good = packed(tone()[1][:3])
    for _ in range(200):
        taking = unpacker()
        for number in range(60):
            data = bytearray(good[: chance.randrange(len(good) + 1)])
            for _ in range(chance.randrange(6)):
                if data:
                    data[chance.randrange(min(len(data), 12))] = chance.randrange(256)
            frames = taking.take(
                bytes(data), chance.choice((7, number)), lost=chance.random() < 0.1
            )
            assert all(0 < len(frame.data) <= MAX_FRAME_BYTES for frame in frames)
            assert sum(map(len, taking._parts)) <= MAX_FRAME_BYTES + len(good)


def test_a_fragment_that_is_lost_costs_its_frame_and_no_other() -> None:
    frames = tone()[1][:5]
    packets = []
    for number, frame in enumerate(frames):
        whole = packed([frame])
        head, body = whole[:4], whole[4:]
        third = len(body) // 3 + 1
        packets += [(head + body[at : at + third], number) for at in range(0, len(body), third)]
    for lost in range(len(packets)):
        taking, found = unpacker(), []
        for index, (payload, number) in enumerate(packets):
            if index != lost:
                found += taking.take(payload, number * 1024, lost=index == lost + 1)
        kept = [n for n in range(5) if n != packets[lost][1]]
        assert [frame.ticks // 1024 for frame in found] == kept
        assert [frame.data for frame in found] == [frames[n] for n in kept]
        assert taking.dropped >= 1 or lost >= len(packets) - 3


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        ({}, True),
        ({"sizelength": "6", "indexlength": "2", "indexdeltalength": "2"}, True),
        ({"sizelength": "0"}, False),
        ({"sizelength": "x"}, False),
        ({"sizelength": "99999999999"}, False),
        ({"indexdeltalength": "7"}, False),
        ({"ctsdeltalength": "10"}, False),
        ({"config": ""}, False),
        ({"config": "1"}, False),
    ],
)
def test_what_a_description_says_of_aac(change: dict[str, str], reads: bool) -> None:
    found = track()
    found.parameters.update(change)
    assert (aac_track(found) is not None) == reads


def test_configs_that_are_not_plain_aac_are_not_read() -> None:
    chance = random.Random(14496)
    for _ in range(2000):
        found = read_config(chance.randbytes(chance.randrange(12)))
        assert found is None or (found.channels in (1, 2) and found.rate <= 96000)
    assert read_config(bytes.fromhex("1408")) is not None
    for config in ("2b11880800", "1400", "1418", "140c", "ff", "", "f8"):
        assert read_config(bytes.fromhex(config)) is None


def test_silence_is_short_and_of_the_right_kind() -> None:
    assert len(silent_frame(16000, 1)) < 20
    assert silent_frame(8000, 1)[0] >> 5 == 0
    assert silent_frame(48000, 2)[0] >> 5 == 1


def test_a_gap_of_g711_begins_a_frame_and_nothing_is_heard_twice() -> None:
    encoder = G711ToAac("pcm_mulaw", 8000, 1)
    data = g711("PCMU", 0.5)
    found = encoder.put(data, 10.0)
    found += encoder.put(data, 20.0)
    found += encoder.put(data, 20.5)
    times = [round(frame.at_s, 3) for frame in found]
    assert times == [10.0, 10.128, 10.256, 10.384, 20.0, 20.128, 20.256, 20.384, 20.512]
    assert encoder.put(b"", 21.0) == []


def test_an_allowance_is_used_up_and_comes_back() -> None:
    allowance = Allowance()
    taken = sum(allowance.allows(100, 0.0) for _ in range(10_000))
    assert 4 * PACKETS_PER_S <= taken <= 4 * PACKETS_PER_S + 1
    assert sum(allowance.allows(100, 1.0) for _ in range(10_000)) == PACKETS_PER_S
    assert sum(allowance.allows(60_000, 100.0) for _ in range(100)) == 4 * BYTES_PER_S // 60_000
    # A clock that goes back gives nothing away.
    assert not any(allowance.allows(60_000, at) for at in (50.0, 10.0))


class Both:
    """A clock of sound beside a video of 25 pictures a second, in simulated time."""

    def __init__(self, clock: SoundClock) -> None:
        self.clock = clock
        clock.begin_video(90000)
        self.placed: list[tuple[float, float]] = []
        self._shown = 0

    def until(self, begin: float, end: float, *, drift: float = 0.0, delay: float = 0.1) -> None:
        """Hear frames from `begin` to `end`; their clock is `drift` too fast."""
        number = round(begin / FRAME_S)
        while number * FRAME_S < end:
            now = number * FRAME_S
            while self._shown * 0.04 <= now:
                self.clock.video(self._shown * 3600, self._shown * 0.04 + 0.05)
                self._shown += 1
            ticks = round(number * 1024 * (1 + drift))
            own = self.clock.heard(ticks, FRAME_S, now + FRAME_S + delay, lost=False)
            at = self.clock.place(own, FRAME_S)
            if at is not None:
                self.placed.append((now, at / 90000))
            number += 1


def test_two_clocks_that_drift_stay_together() -> None:
    both = Both(SoundClock(16000))
    both.until(0, 1800, drift=200e-6)
    # Of 0.36 s that they drift apart in half an hour, less than a picture is left.
    errors = [at - now for now, at in both.placed]
    assert abs(errors[-1] - errors[200]) < 0.04
    assert len(both.placed) >= 1800 / FRAME_S - 2
    steps = [b[1] - a[1] for a, b in zip(both.placed, both.placed[1:], strict=False)]
    assert min(steps) >= 0.063


def test_reports_are_followed_and_those_before_a_jump_are_not() -> None:
    clock = SoundClock(16000)
    both = Both(clock)
    both.until(0, 10)
    by_arrival = both.placed[-1][1] - both.placed[-1][0]
    # The sound of this report was heard half a second later than its arrival lets one think.
    sound = SenderReport(1000.0 + by_arrival + 0.5, 10 * 16000, 10.1)
    clock.reports(sound, SenderReport(1000.0, 900_000, 10.1), 10.0)
    both.until(10, 20)
    assert abs(both.placed[-1][1] - both.placed[-1][0] - by_arrival - 0.5) < 0.03
    clock.heard(10**9, FRAME_S, 20.2, lost=False)
    clock.reports(sound, SenderReport(1000.0, 900_000, 10.1), 10.0)
    assert clock.jumps == 1
    assert clock._exact_s is None


def test_whatever_the_clocks_do_places_never_fall() -> None:
    chance = random.Random(3550)
    for _ in range(60):
        clock = SoundClock(chance.choice((8000, 16000, 90000)))
        clock.begin_video(90000)
        last, now, ticks = 0, 0.0, 0
        for _ in range(400):
            now += chance.choice((0.0, 0.02, 0.064, 0.064, 3.0))
            ticks += chance.choice((0, 1024, 1024, 1024, -5000, 2**31, 160, -(2**31)))
            if chance.random() < 0.5:
                clock.video(round(now * 90000), now)
            if chance.random() < 0.1:
                report = SenderReport(chance.choice((0.0, now, 1e9)), ticks, now)
                clock.reports(report, SenderReport(now, 0, now), chance.choice((0.0, now)))
            own = clock.heard(ticks, FRAME_S, now, lost=chance.random() < 0.1)
            at = clock.place(own, FRAME_S)
            if at is not None:
                assert at >= last
                last = at
