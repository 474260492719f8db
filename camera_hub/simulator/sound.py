"""The sound of a virtual camera: a tone that pauses, as G.711 (RFC 3551) or AAC (RFC 3640)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import av
import numpy as np

from camera_hub.simulator.broadcast import Payloads, TrackBroadcast
from core.clock import Clock

SoundKind = Literal["pcmu", "aac"]
_SECONDS = 8
_TONE_HZ = 440.0
_AAC_RATE = 16_000
_AAC_SAMPLES = 1024
_PCMU_RATE = 8_000
_PCMU_SAMPLES = 160
_PCMU_TYPE = 0
_AAC_TYPE = 97


@dataclass(frozen=True)
class _Recording:
    """Frames of equal length that are repeated for ever; `config` is AAC's, in hexadecimal."""

    frames: tuple[bytes, ...]
    samples: int
    config: str = ""


class SoundBroadcast(TrackBroadcast):
    """The sound of a stream: half a second of a tone, half a second of silence, and again."""

    def __init__(self, kind: SoundKind, *, began: float, clock: Clock) -> None:
        super().__init__(began=began, clock=clock)
        self.kind = kind
        self.clock_rate = _PCMU_RATE if kind == "pcmu" else _AAC_RATE
        self.payload_type = _PCMU_TYPE if kind == "pcmu" else _AAC_TYPE
        self._recording = _recorded(kind)

    def first_due(self, ticks: int) -> int:
        """Return the first frame that is due (see `TrackBroadcast`)."""
        return -(-ticks // self._recording.samples)

    def due_ticks(self, number: int) -> int:
        """Return when a frame is due (see `TrackBroadcast`)."""
        return number * self._recording.samples

    def payloads(self, number: int) -> Payloads:
        """Return the packet of a frame (see `TrackBroadcast`)."""
        frame = self._recording.frames[number % len(self._recording.frames)]
        if self.kind == "aac":
            # One AU header of 16 bits: 13 of its size, 3 of its index.
            frame = b"\x00\x10" + (len(frame) << 3).to_bytes(2, "big") + frame
        return ((frame, True),)

    def describe(self) -> Sequence[str]:
        """Return its lines of a description (see `TrackBroadcast`)."""
        kind = self.payload_type
        if self.kind == "pcmu":
            return (f"m=audio 0 RTP/AVP {kind}", f"a=rtpmap:{kind} PCMU/{_PCMU_RATE}")
        return (
            f"m=audio 0 RTP/AVP {kind}",
            f"a=rtpmap:{kind} mpeg4-generic/{_AAC_RATE}/1",
            f"a=fmtp:{kind} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;"
            f"indexlength=3;indexdeltalength=3;config={self._recording.config}",
        )


@cache
def _recorded(kind: SoundKind) -> _Recording:
    rate = _PCMU_RATE if kind == "pcmu" else _AAC_RATE
    samples = _PCMU_SAMPLES if kind == "pcmu" else _AAC_SAMPLES
    # A whole number of frames, so that the tone goes on over the seam.
    count = _SECONDS * rate // samples
    at = np.arange(count * samples) / rate
    tone = np.where(at % 1.0 < 0.5, np.sin(2 * math.pi * _TONE_HZ * at), 0.0)
    heard = (tone * 12_000).astype(np.int16).reshape(1, -1)
    encoder = av.CodecContext.create("pcm_mulaw" if kind == "pcmu" else "aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout = rate, "mono"
    encoder.format = "s16" if kind == "pcmu" else "fltp"
    if kind == "pcmu":
        frame = av.AudioFrame.from_ndarray(heard, format="s16", layout="mono")
        frame.sample_rate = rate
        coded = b"".join(bytes(packet) for packet in encoder.encode(frame))
        parts = [coded[i : i + samples] for i in range(0, len(coded), samples)]
        return _Recording(tuple(parts), samples)
    encoder.bit_rate = 32_000
    frames: list[bytes] = []
    for start in range(0, heard.shape[1], samples):
        part = heard[:, start : start + samples].astype(np.float32) / 32_768
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    return _Recording(tuple(frames), samples, bytes(encoder.extradata or b"").hex())
