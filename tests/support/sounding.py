"""Sound of a camera in tests: a tone as AAC or G.711, packed for RTP."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from av.audio.frame import AudioFrame

from camera_hub.streams.sound.config import FRAME_SAMPLES, open_encoder
from camera_hub.streams.sound.g711 import levels
from tests.support.odd_camera import Extra, Piece

PICTURE_S = 0.04


@lru_cache(maxsize=8)
def tone(rate: int = 16000, channels: int = 1, count: int = 64) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the config and `count` AAC frames of a tone of 440 Hz, no two of them alike."""
    encoder = open_encoder(rate, channels)
    noise = np.random.default_rng(rate)
    found = []
    for number in range(count + 2):
        times = (np.arange(FRAME_SAMPLES) + number * FRAME_SAMPLES) / rate
        wave = 0.4 * np.sin(2 * math.pi * 440 * times) + noise.normal(0, 0.02, FRAME_SAMPLES)
        frame = AudioFrame.from_ndarray(
            np.tile(wave.astype(np.float32), (channels, 1)),
            format="fltp",
            layout="mono" if channels == 1 else "stereo",
        )
        frame.sample_rate = rate
        frame.pts = number * FRAME_SAMPLES
        frame.time_base = Fraction(1, rate)
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return bytes(encoder.extradata or b""), tuple(found[1 : count + 1])


def g711(name: str, seconds: float, rate: int = 8000, channels: int = 1) -> bytes:
    """Return a tone of 440 Hz in `PCMU` or `PCMA`."""
    table = levels("pcm_mulaw" if name == "PCMU" else "pcm_alaw")
    order = np.argsort(table)
    wave = 0.4 * np.sin(2 * math.pi * 440 * np.arange(round(seconds * rate)) / rate)
    nearest = order[np.searchsorted(table[order], wave).clip(0, 255)]
    return bytes(np.repeat(nearest, channels).astype(np.uint8))


def packed(frames: Sequence[bytes]) -> bytes:
    """Return AAC frames with their AU headers (13 bits of size, 3 of index)."""
    headers = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
    return (16 * len(frames)).to_bytes(2, "big") + headers + b"".join(frames)


def aac_lines(rate: int = 16000, channels: int = 1, config: str = "") -> str:
    """Return the lines of a description that offer AAC."""
    config = config or tone(rate, channels)[0].hex()
    return (
        f"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/{rate}/{channels}\r\n"
        "a=fmtp:97 streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; "
        f"indexdeltalength=3; config={config}\r\n"
    )


def frames_beside(number: int, rate: int = 16000) -> range:
    """Return the numbers of the AAC frames that are whole when picture `number` is sent."""
    size = FRAME_SAMPLES / rate / PICTURE_S
    return range(int(number / size), int((number + 1) / size))


def aac(rate: int = 16000, channels: int = 1, *, first: int = 0) -> Extra:
    """Return a track of AAC, one frame a packet, whose RTP times begin at `first`."""
    frames = tone(rate, channels)[1]

    def send(number: int) -> list[Piece]:
        return [
            Piece(packed([frames[n % len(frames)]]), first + n * FRAME_SAMPLES, marker=True)
            for n in frames_beside(number, rate)
        ]

    return Extra(aac_lines(rate, channels), "sound", send)


def pcm(name: str, rate: int = 8000, channels: int = 1) -> Extra:
    """Return a track of G.711, 40 ms a packet; its static payload type where there is one."""
    data = g711(name, PICTURE_S, rate, channels)
    if (rate, channels) == (8000, 1):
        lines = f"m=audio 0 RTP/AVP {0 if name == 'PCMU' else 8}\r\n"
    else:
        lines = f"m=audio 0 RTP/AVP 98\r\na=rtpmap:98 {name}/{rate}/{channels}\r\n"
    return Extra(
        lines, "sound", lambda number: [Piece(data, number * len(data) // channels, marker=False)]
    )


def changed(extra: Extra, change: Callable[[int, list[Piece]], list[Piece]]) -> Extra:
    """Return the track with what it sends beside each picture changed."""
    send = extra.send
    return Extra(
        extra.lines, extra.control, lambda number: change(number, list(send(number))),
        extra.reports, extra.answer, extra.channels,
    )  # fmt: skip
