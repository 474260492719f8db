"""A camera whose sound is made to harm: its pictures, its worker and the other cameras go on."""

import struct

import pytest

from camera_hub.streams.rtsp.client import Beside
from camera_hub.streams.rtsp.sdp import read_description
from camera_hub.streams.rtsp.sound import FRAMES_PER_S, Heard, SoundSide
from camera_hub.streams.sound.config import read_config, silent_frame
from camera_hub.streams.types import SoundState
from tests.camera_hub.streams.test_sound import Listen, listen
from tests.support.sounding import aac, aac_lines, packed, tone

__all__ = ["listen"]


class Taken:
    """Takes what a side hands on."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.states: list[SoundState] = []

    def sound(self, heard: list[Heard], side: SoundSide) -> None:
        self.heard += heard

    def sound_state(self, state: SoundState, side: SoundSide) -> None:
        self.states.append(state)


@pytest.mark.parametrize("rate", [88200, 96000])
def test_sound_that_no_file_can_hold_ends_no_recording(listen: Listen, rate: int) -> None:
    assert read_config(tone(rate)[0]) is None
    listening = listen(aac(rate))
    listening.until(SoundState.CODEC)
    listening.until_seen(20)
    assert all(info.sound is None for info in listening.sink.infos)


def _side(taken: Taken) -> SoundSide:
    lines = f"v=0\r\n{aac_lines()}a=control:sound\r\n"
    (track,) = read_description(lines.encode()).sounds
    return SoundSide(Beside("sound", track, 2, 3), taken)


def _send(side: SoundSide, number: int, frames: list[bytes], at_s: float) -> None:
    head = struct.pack(">BBHII", 0x80, 0x80 | 97, number & 0xFFFF, number * 1024, 1)
    data = head + packed(frames)
    assert side.track.read(data, 0, len(data))
    side.payload(data, at_s)
    side.hand_on(at_s)


def test_a_flood_of_tiny_frames_is_not_decoded_for_all_to_wait() -> None:
    taken = Taken()
    side = _side(taken)
    tiny = silent_frame(16000, 1)
    # 600 packets a second of 64 frames each: few bytes, and more than half of a second to decode.
    for number in range(600):
        _send(side, number, [tiny] * 64, 1000 + number / 600)
    assert len(taken.heard) <= 5 * FRAMES_PER_S
    assert side.dropped > 30_000


def test_sound_that_comes_and_goes_begins_no_file_each_time() -> None:
    taken = Taken()
    side = _side(taken)
    good, bad = tone()[1][0], b"\xff" * 200
    for number in range(2000):
        _send(side, number, [good if number // 60 % 2 == 0 else bad], 1000 + number * 0.016)
    assert taken.states == [SoundState.OK, SoundState.GARBLED]
    for number in range(2000, 2100):
        _send(side, number, [good], 1100 + number * 0.016)
    assert taken.states[2:] == [SoundState.OK]
