"""AAC in RTP (RFC 3640, mode AAC-hbr): AU headers, several frames a packet, frames in fragments."""

from __future__ import annotations

import binascii
from typing import NamedTuple

from camera_hub.streams.rtsp.sdp import SideTrack
from camera_hub.streams.sound.config import FRAME_SAMPLES, read_config
from camera_hub.streams.types import SoundInfo

MAX_FRAME_BYTES = 8192
"""Above what a frame of two channels may be (6144 bits a channel, ISO/IEC 14496-3, 4.5.3.1)."""
_MAX_FRAMES = 64
_EXTRAS = (
    "ctsdeltalength",
    "dtsdeltalength",
    "randomaccessindication",
    "streamstateindication",
    "auxiliarydatasizelength",
)


class AacFrame(NamedTuple):
    """One raw frame and the RTP time of its first sample."""

    data: bytes
    ticks: int


class AacTrack(NamedTuple):
    """How a track packs its frames: widths of the fields in bits."""

    info: SoundInfo
    size_bits: int
    index_bits: int
    frame_ticks: int


def aac_track(track: SideTrack) -> AacTrack | None:
    """Return how `track` packs its frames; None for one that is not read here."""
    fmtp = track.parameters
    try:
        info = read_config(binascii.unhexlify(fmtp.get("config", "")))
    except (binascii.Error, ValueError):
        return None
    sizes = [fmtp.get(name, "0") for name in ("sizelength", "indexlength", "indexdeltalength")]
    if info is None or not all(s.isascii() and s.isdigit() and len(s) < 3 for s in sizes):
        return None
    size, index, delta = map(int, sizes)
    if not 6 <= size <= 16 or index != delta or index > 16:
        return None
    if any(fmtp.get(name, "0").strip("0") for name in _EXTRAS):
        return None
    return AacTrack(info, size, index, max(1, FRAME_SAMPLES * track.clock_rate // info.rate))


class AacUnpacker:
    """Takes RTP payloads in their order and returns the whole frames; `dropped` counts broken ones.

    What is out of its order (interleaving) is not read: no camera is known to send it.
    """

    def __init__(self, track: AacTrack) -> None:
        self.dropped = 0
        self._track = track
        self._parts: list[bytes] = []
        self._wanted = self._have = 0
        self._ticks = 0

    def take(self, payload: bytes, ticks: int, *, lost: bool) -> list[AacFrame]:
        """Return the frames that `payload` completes; `lost`: packets are missing before it."""
        if lost and self._parts:
            self._broken()
        sizes = self._sizes(payload)
        if not sizes:
            self._broken()
            return []
        at = 2 + ((payload[0] << 8 | payload[1]) + 7) // 8
        if len(sizes) == 1 and len(payload) - at < sizes[0]:
            return self._fragment(payload[at:], sizes[0], ticks)
        if self._parts:
            if sizes == [self._wanted] and ticks == self._ticks:
                # A fragment that is larger than what was missing.
                self._broken()
                return []
            self._broken()
        if at + sum(sizes) > len(payload):
            self._broken()
            return []
        frames = []
        for number, size in enumerate(sizes):
            frames.append(
                AacFrame(payload[at : at + size], ticks + number * self._track.frame_ticks)
            )
            at += size
        return frames

    def _sizes(self, payload: bytes) -> list[int]:
        """Return the sizes of the frames, none if the headers make no sense."""
        track = self._track
        if len(payload) < 4:
            return []
        bits = payload[0] << 8 | payload[1]
        width = track.size_bits + track.index_bits
        count, over = divmod(bits, width)
        size = (bits + 7) // 8
        if over or not 1 <= count <= _MAX_FRAMES or 2 + size >= len(payload):
            return []
        headers = int.from_bytes(payload[2 : 2 + size], "big") >> size * 8 - bits
        sizes = []
        for number in range(count):
            header = headers >> (count - 1 - number) * width & (1 << width) - 1
            index = header & (1 << track.index_bits) - 1
            found = header >> track.index_bits
            # The first index counts packets up with some cameras; the others are distances.
            if not 0 < found <= MAX_FRAME_BYTES or (number and index):
                return []
            sizes.append(found)
        return sizes

    def _fragment(self, part: bytes, wanted: int, ticks: int) -> list[AacFrame]:
        if self._parts and (wanted != self._wanted or ticks != self._ticks):
            self._broken()
        self._wanted, self._ticks = wanted, ticks
        self._parts.append(part)
        self._have += len(part)
        if self._have < wanted:
            return []
        frame, whole = b"".join(self._parts), self._have == wanted
        self._clear()
        if whole:
            return [AacFrame(frame, ticks)]
        self.dropped += 1
        return []

    def _broken(self) -> None:
        self.dropped += 1
        self._clear()

    def _clear(self) -> None:
        self._parts.clear()
        self._have = self._wanted = 0
