"""G.711 (ITU-T): decoded and encoded anew as AAC-LC, frame by frame.

Measured (`bench`'s machine, one channel of 8 kHz): 0.13 ms for each 128 ms of sound, 0.1 % of a
core; 16 kHz 0.17 %, two channels of it 0.28 %.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import av

from camera_hub.streams.sound.config import FRAME_SAMPLES, open_encoder
from camera_hub.streams.types import SoundInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Law = Literal["pcm_mulaw", "pcm_alaw"]
LAWS: dict[str, Law] = {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
_CONTIGUOUS_S = 0.002
_MAX_WAITING = 8


class Encoded(NamedTuple):
    """One AAC frame and when its first sample was heard, in seconds of the sound's own time."""

    data: bytes
    at_s: float


@cache
def levels(law: Law) -> NDArray[np.float32]:
    """Return what each of the 256 bytes means, from -1 to 1, as the media library decodes it."""
    import numpy as np

    decoder = av.CodecContext.create(law, "r")
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    frames = decoder.decode(av.Packet(bytes(range(256))))
    found: NDArray[np.float32] = frames[0].to_ndarray()[0].astype(np.float32) / np.float32(32768)
    return found


class G711ToAac:
    """Encodes one track. Raises `av.error.FFmpegError` where the library fails."""

    def __init__(self, law: Law, rate: int, channels: int) -> None:
        self._levels = levels(law)
        # Not every law has an exact zero.
        self._quiet = bytes((min(range(256), key=lambda b: abs(float(self._levels[b]))),))
        self._rate, self._channels = rate, channels
        self._encoder = open_encoder(rate, channels)
        self.info = SoundInfo(bytes(self._encoder.extradata or b""), rate, channels)
        self._rest = b""
        self._rest_at = 0.0
        self._count = 0
        # When each frame began that the encoder still holds.
        self._begun: list[float] = []

    def put(self, data: bytes, at_s: float) -> list[Encoded]:
        """Take samples, the first heard at `at_s`; return the frames that are whole now.

        A gap ends the frame before it: the rest of that is silence.
        """
        data = data[: len(data) - len(data) % self._channels]
        size = FRAME_SAMPLES * self._channels
        found = []
        if self._rest:
            expected = self._rest_at + len(self._rest) / self._channels / self._rate
            if abs(at_s - expected) > _CONTIGUOUS_S:
                found += self._frame(self._rest.ljust(size, self._quiet), self._rest_at)
                self._rest = b""
        if not self._rest:
            self._rest_at = at_s
        data = self._rest + data
        while len(data) >= size:
            found += self._frame(data[:size], self._rest_at)
            data = data[size:]
            self._rest_at += FRAME_SAMPLES / self._rate
        self._rest = data
        return found

    def _frame(self, data: bytes, at_s: float) -> list[Encoded]:
        import numpy as np
        from av.audio.frame import AudioFrame

        samples = self._levels[np.frombuffer(data, np.uint8)].reshape(-1, self._channels)
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T),
            format="fltp",
            layout="mono" if self._channels == 1 else "stereo",
        )
        frame.sample_rate = self._rate
        frame.pts = self._count * FRAME_SAMPLES
        frame.time_base = Fraction(1, self._rate)
        self._count += 1
        self._begun.append(at_s)
        found = []
        for packet in self._encoder.encode(frame):
            # The first is the encoder's start and holds nothing that was heard.
            if packet.pts is not None and packet.pts >= 0 and self._begun:
                found.append(Encoded(bytes(packet), self._begun.pop(0)))
        del self._begun[:-_MAX_WAITING]
        return found
