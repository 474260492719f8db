"""Footage in which a white picture and a beep come together once every two seconds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.types import SoundInfo, SoundPacket, StreamInfo
from tests.camera_hub.recording.footage_feed import TICKS, Rig

RATE = 16_000
SECONDS = 12
EVENTS = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]
"""When flash and beep are, in seconds of the footage."""
_ON = "between(mod(t,2),0.999,1.119)"


@dataclass(frozen=True)
class Footage:
    """Access units at 25 a second, and AAC frames on a timeline of 90 kHz."""

    units: tuple[bytes, ...]
    info: StreamInfo
    sound: tuple[SoundPacket, ...]


@lru_cache
def footage() -> Footage:
    """Make the footage once."""
    with TemporaryDirectory() as folder:
        seen, heard = Path(folder) / "seen.h264", Path(folder) / "heard.mp4"
        picture = f"color=black:s=320x240:r=25:d={SECONDS},drawbox=c=white:t=fill:enable='{_ON}'"
        beep = f"aevalsrc='if({_ON},0.8*sin(2*PI*1000*t),0)':s={RATE}:d={SECONDS}"
        x264 = "keyint=25:min-keyint=25:scenecut=0:repeat-headers=1:bframes=0"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", beep]
        video = ["-map", "0", "-c:v", "libx264", "-x264-params", x264, str(seen)]
        audio = ["-map", "1", "-c:a", "aac", "-b:a", "48k", str(heard)]
        subprocess.run([*command, *video, *audio], check=True)
        with av.open(str(seen)) as container:
            units = tuple(bytes(p) for p in container.demux(video=0) if p.size)
        with av.open(str(heard)) as container:
            stream = container.streams.audio[0]
            config = bytes(stream.codec_context.extradata or b"")
            sound = tuple(
                SoundPacket(bytes(p), round((p.pts or 0) * (p.time_base or 1) * 90_000), 1024)
                for p in container.demux(audio=0)
                if p.size
            )
    info = read_info("h264", parameter_sets("h264", units[0]), units[0], Fraction(1, 90_000))
    return Footage(units, replace(info, sound=SoundInfo(config, RATE, 1)), sound)


def picture(number: int) -> av.Packet[Any]:
    """Return picture `number` of the footage, which goes on for ever."""
    units = footage().units
    made: av.Packet[Any] = av.Packet(units[number % len(units)])
    made.time_base = Fraction(1, 90_000)
    made.dts = made.pts = number * TICKS
    made.is_keyframe = number % 25 == 0
    return made


def sounds_between(start: int, end: int) -> Iterator[SoundPacket]:
    """Yield the frames of sound that begin within [start, end) ticks; it goes on for ever."""
    length = SECONDS * 90_000
    for turn in range(start // length - 1, end // length + 1):
        for one in footage().sound:
            # What the encoder gives before the beginning and after the end is not repeated.
            if 0 <= one.at < length and start <= one.at + turn * length < end:
                yield replace(one, at=one.at + turn * length)


def feed(rig: Rig, pictures: int, *, late_ms: int = 80, settle: bool = True) -> None:
    """Hand over pictures, and with each the sound that was heard `late_ms` before it."""
    late = late_ms * 90
    for _ in range(pictures):
        now = rig.number * TICKS
        for one in sounds_between(now - late, now - late + TICKS):
            rig.recorder.sound(one)
        rig.feed(1, make=picture, settle=settle)


def events_in(content: Path) -> tuple[list[float], list[float]]:
    """Return when flashes and beeps begin in a file, in seconds of its own time."""
    with av.open(str(content)) as container:
        seen = [
            (float(f.time or 0), bool(f.to_ndarray(format="gray").mean() > 128))
            for f in container.decode(video=0)
        ]
    flashes = [at for (_, before), (at, now) in pairwise([(0.0, False), *seen]) if now > before]
    beeps: list[float] = []
    last = float("-inf")
    with av.open(str(content)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray()[0].astype(np.float64)) > 0.2
            for index in np.flatnonzero(loud):
                at = float(frame.time or 0) + float(index) / RATE
                if at - last > 0.5:
                    beeps.append(at)
                last = at
    return flashes, beeps
