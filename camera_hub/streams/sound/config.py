"""AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): which AAC is read here, and what silence is."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import av

from camera_hub.streams.types import SoundInfo

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

FRAME_SAMPLES = 1024
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_HIGHEST_RATE = 64000
"""A file's description of sound has 16 bits for the rate; no microphone of a camera needs more."""
_LOW_COMPLEXITY = 2
_MAX_CONFIG = 64


def read_config(config: bytes) -> SoundInfo | None:
    """Return what `config` says; None unless it is AAC-LC, one or two channels, frames of 1024."""
    if not 2 <= len(config) <= _MAX_CONFIG:
        return None
    bits = int.from_bytes(config[:8].ljust(8, b"\0"), "big")
    kind, index = bits >> 59, bits >> 55 & 15
    if kind != _LOW_COMPLEXITY:
        return None
    # 15 would spell the rate out: no decoder here takes that.
    if index >= len(_RATES) or (rate := _RATES[index]) > _HIGHEST_RATE:
        return None
    channels, short_frames = bits >> 51 & 15, bits >> 50 & 1
    if channels not in (1, 2) or short_frames:
        return None
    return SoundInfo(config, rate, channels)


def open_encoder(rate: int, channels: int) -> AudioCodecContext:
    """Return an AAC-LC encoder for float samples, a plane a channel."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate = rate
    encoder.layout = "mono" if channels == 1 else "stereo"
    encoder.format = "fltp"
    encoder.bit_rate = 3 * rate * channels if rate <= 8000 else 2 * rate * channels
    encoder.time_base = Fraction(1, rate)
    # Half the time of the library's usual way of searching, for speech of a camera's microphone.
    encoder.options = {"aac_coder": "fast"}
    encoder.open()
    return encoder


def open_decoder(info: SoundInfo) -> AudioCodecContext:
    """Return a decoder for frames of this sound."""
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = info.config
    return decoder


@lru_cache(maxsize=32)
def silent_frame(rate: int, channels: int) -> bytes:
    """Return one raw AAC-LC frame in which nothing is heard.

    Its first bits say one or two channels; nothing in it depends on other fields of a config.
    """
    # ISO/IEC 14496-3 table 4.4.2: the library encodes zeros so, after the frame of its start.
    import numpy as np
    from av.audio.frame import AudioFrame

    encoder = open_encoder(rate, channels)
    packets = []
    for number in range(4):
        frame = AudioFrame.from_ndarray(
            np.zeros((channels, FRAME_SAMPLES), np.float32),
            format="fltp",
            layout="mono" if channels == 1 else "stereo",
        )
        frame.sample_rate = rate
        frame.pts = number * FRAME_SAMPLES
        frame.time_base = Fraction(1, rate)
        packets += encoder.encode(frame)
    return bytes(packets[-1])
