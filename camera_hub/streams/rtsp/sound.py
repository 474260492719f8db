"""The sound of a connection: from RTP to AAC frames that a decoder takes (see `taking.Side`).

What is wrong with it is counted and left out. Nothing here ends a connection, and what a camera
sends beyond `BYTES_PER_S` or `PACKETS_PER_S` is left out before it costs anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import av
import av.error

from camera_hub.streams.rtsp.aac import AacUnpacker, aac_track
from camera_hub.streams.rtsp.rtp import RtpTrack
from camera_hub.streams.rtsp.sdp import SideTrack
from camera_hub.streams.sound.config import FRAME_SAMPLES, open_decoder
from camera_hub.streams.sound.g711 import LAWS, G711ToAac
from camera_hub.streams.sound.placing import SoundClock
from camera_hub.streams.types import SoundState
from core.metrics import counter

if TYPE_CHECKING:
    from camera_hub.streams.rtsp.client import Beside
    from camera_hub.streams.types import SoundInfo

SOUND_DROPPED = counter(
    "stream_sound_dropped", "Packets and frames of sound left out because something was wrong"
)
BYTES_PER_S = 128 << 10
PACKETS_PER_S = 600
FRAMES_PER_S = 150
"""Frames of AAC that are decoded; the fastest sound that is read has 63 a second."""
_BURST_S = 4.0
_SURE_AFTER = 3
"""Frames that a decoder must have taken before a stream is said to have sound."""
_GIVEN_UP_AFTER = 50
_AGAIN_AFTER_S = 60.0
"""Sound that was given up is not taken again before: each change begins another file."""
_SILENT_AFTER_S = 5.0
_RATES = (8000, 16000)


class Heard(NamedTuple):
    """One AAC frame; `at_s` and `length_s` in seconds of the sound's own time."""

    data: bytes
    at_s: float
    length_s: float
    samples: int


def readable(tracks: Sequence[SideTrack]) -> SideTrack | None:
    """Return the first track whose sound is read here."""
    return next((track for track in tracks if _reads(track)), None)


def _reads(track: SideTrack) -> bool:
    if track.encoding in LAWS:
        return track.clock_rate in _RATES and track.channels in (1, 2)
    if track.encoding == "MPEG4-GENERIC":
        return aac_track(track) is not None
    return False


class _Source(Protocol):
    """How the payloads of one kind of track become frames."""

    info: SoundInfo
    dropped: int

    def take(self, payload: bytes, ticks: int, arrived: float, *, lost: bool) -> list[Heard]: ...


class _Bucket:
    """So much a second, with a burst of some seconds."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = _BURST_S * per_s
        self._at: float | None = None

    def has(self, wanted: float, now: float) -> bool:
        """Say whether `wanted` is there at `now` (monotonic)."""
        if self._at is not None:
            more = max(0.0, now - self._at) * self._per_s
            self._left = min(_BURST_S * self._per_s, self._left + more)
        self._at = now
        return self._left >= wanted

    def take(self, amount: float) -> None:
        """Take what is there."""
        self._left -= amount


class _Aac:
    """AAC as it came; each frame is decoded to see that it can be, 0.02 ms each."""

    def __init__(self, track: SideTrack, clock: SoundClock) -> None:
        packing = aac_track(track)
        assert packing is not None
        self.info = packing.info
        self.dropped = 0
        self._unpacker = AacUnpacker(packing)
        self._decoder = open_decoder(self.info)
        self._clock = clock
        self._length_s = FRAME_SAMPLES / self.info.rate
        self._lost = False
        self._frames = _Bucket(FRAMES_PER_S)

    def take(self, payload: bytes, ticks: int, arrived: float, *, lost: bool) -> list[Heard]:
        frames = self._unpacker.take(payload, ticks, lost=lost)
        self.dropped += self._unpacker.dropped
        self._unpacker.dropped = 0
        self._lost = self._lost or lost
        if not frames:
            return []
        if not self._frames.has(len(frames), arrived):
            self.dropped += len(frames)
            self._lost = True
            return []
        self._frames.take(len(frames))
        length_s = self._length_s * len(frames)
        at_s = self._clock.heard(frames[0].ticks, length_s, arrived, lost=self._lost)
        self._lost = False
        return [
            Heard(frame.data, at_s + number * self._length_s, self._length_s, FRAME_SAMPLES)
            for number, frame in enumerate(frames)
            if self._decodes(frame.data)
        ]

    def _decodes(self, data: bytes) -> bool:
        try:
            pictures = self._decoder.decode(av.Packet(data))
        except (av.error.FFmpegError, ValueError):
            self.dropped += 1
            return False
        # A frame that says other channels than the description would break players.
        if all(
            frame.samples == FRAME_SAMPLES
            and frame.layout.nb_channels == self.info.channels
            and frame.sample_rate == self.info.rate
            for frame in pictures
        ):
            return True
        self.dropped += 1
        return False


class _G711:
    def __init__(self, track: SideTrack, clock: SoundClock) -> None:
        self._encoder = G711ToAac(LAWS[track.encoding], track.clock_rate, track.channels)
        self.info = self._encoder.info
        self.dropped = 0
        self._clock = clock
        self._bytes_per_s = track.clock_rate * track.channels
        self._length_s = FRAME_SAMPLES / track.clock_rate

    def take(self, payload: bytes, ticks: int, arrived: float, *, lost: bool) -> list[Heard]:
        if not payload:
            return []
        at_s = self._clock.heard(ticks, len(payload) / self._bytes_per_s, arrived, lost=lost)
        try:
            encoded = self._encoder.put(payload, at_s)
        except av.error.FFmpegError:
            self.dropped += 1
            return []
        return [Heard(frame.data, frame.at_s, self._length_s, FRAME_SAMPLES) for frame in encoded]


class Allowance:
    """What a sound may cost: packets and bytes a second, with a burst of some seconds."""

    def __init__(self) -> None:
        self._packets, self._bytes = _Bucket(PACKETS_PER_S), _Bucket(BYTES_PER_S)

    def allows(self, size: int, now: float) -> bool:
        """Say whether a packet of `size` bytes may be taken at `now` (monotonic)."""
        allowed = self._packets.has(1, now) & self._bytes.has(size, now)
        if allowed:
            self._packets.take(1)
            self._bytes.take(size)
        return allowed


class SoundTaker(Protocol):
    """Who takes the sound of a connection, on the poller's thread; must not block."""

    def sound(self, heard: list[Heard], side: SoundSide) -> None:
        """Take frames that arrived together."""
        ...

    def sound_state(self, state: SoundState, side: SoundSide) -> None:
        """The sound has a new state; `ok` when it is sure that there is any."""
        ...


class SoundSide:
    """Takes the sound track of a connection."""

    def __init__(self, beside: Beside, taker: SoundTaker) -> None:
        """Begin; opens codecs, so not on the poller's thread.

        Raises:
            av.error.FFmpegError: the library does not take such a sound.
        """
        self.channel, self.rtcp_channel = beside.channel, beside.rtcp_channel
        self.track = RtpTrack(beside.track.payload_type)
        self.clock = SoundClock(beside.track.clock_rate)
        self.state = SoundState.WAITING
        self.dropped = 0
        self._source: _Source = (
            _G711(beside.track, self.clock)
            if beside.track.encoding in LAWS
            else _Aac(beside.track, self.clock)
        )
        self._taker = taker
        self._allowance = Allowance()
        self._heard: list[Heard] = []
        self._lost = False
        self._good = self._bad = self._told = 0
        self._since: float | None = None
        self._garbled_at = float("-inf")

    @property
    def info(self) -> SoundInfo:
        """What the frames are."""
        return self._source.info

    def payload(self, data: bytes, arrived: float) -> None:
        """Take a packet (see `Side`)."""
        track = self.track
        self._lost = self._lost or track.missing > 0
        size = track.stop - track.start
        if not self._allowance.allows(size, arrived):
            self.dropped += 1
            self._lost = True
            return
        source = self._source
        frames = source.take(data[track.start : track.stop], track.ticks, arrived, lost=self._lost)
        self._lost = False
        if source.dropped:
            self.dropped += source.dropped
            self._bad += source.dropped
            self._good = 0
            source.dropped = 0
        if frames:
            self._good += len(frames)
            if self._good >= _SURE_AFTER:
                self._bad = 0
            self._heard += frames

    def hand_on(self, arrived: float) -> None:
        """Hand on the frames (see `Side`)."""
        if self.dropped > self._told:
            SOUND_DROPPED.inc(self.dropped - self._told)
            self._told = self.dropped
        heard, self._heard = self._heard, []
        if self._since is None or heard:
            self._since = arrived
        if arrived - self._garbled_at < _AGAIN_AFTER_S:
            return
        if heard and (self._good >= _SURE_AFTER or self.state is SoundState.OK):
            self._become(SoundState.OK)
            self._taker.sound(heard, self)
        elif self._bad >= _GIVEN_UP_AFTER:
            self._garbled_at, self._bad = arrived, 0
            self._become(SoundState.GARBLED)
        elif arrived - self._since > _SILENT_AFTER_S:
            self._become(SoundState.SILENT)

    def _become(self, state: SoundState) -> None:
        if state is not self.state:
            self.state = state
            self._taker.sound_state(state, self)
