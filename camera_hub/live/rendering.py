"""One rendition of one stream: decoded, painted, encoded, on a thread of its own.

Only pictures that came out of the painter reach the encoder, and only the encoder's packets reach
`channel`, which is all that viewers are given. If any step fails, nothing comes out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from camera_hub.live.channel import GROUP_PACKETS, LiveChannel
from camera_hub.live.encoder import Encoder, info_of
from camera_hub.streams.frames import FrameDecoder
from camera_hub.streams.painting import Painter, Polygon, Shot
from camera_hub.streams.types import ReasonCode, StreamState
from core.logging import get_logger
from core.metrics import counter

if TYPE_CHECKING:
    from datetime import datetime

    from camera_hub.streams.types import Frame, Packet, StreamInfo, StreamStatus
    from core.clock import Clock

FPS = 12.0
_EARLY_S = 0.012
LONGEST_SIDE = 1280
"""Renditions are at most this long in pixels; the small streams they are meant for are not cut."""
_POLL_S = 0.03
_AFTER_FAILURE_S = 1.0

log = get_logger(__name__)
DROPPED = counter("rendition_frames_dropped", "Pictures that rendering did not keep up with")
FAILED = counter("rendition_failures", "Faults in making a rendition; nothing was shown meanwhile")

MakePainter = Callable[[tuple[Polygon, ...]], Painter]


def output_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of a rendition of pictures of this size: even, aspect kept."""
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


class _Input:
    """The sink that feeds the decoder and remembers that the stream broke off."""

    def __init__(self) -> None:
        self.decoder = FrameDecoder(queue_limit=GROUP_PACKETS + 100)
        self.breaks = 0

    def opened(self, info: StreamInfo) -> None:
        self.breaks += 1
        self.decoder.opened(info)

    def packet(self, packet: Packet, arrived_monotonic: float, arrived_at: datetime) -> None:
        self.decoder.packet(packet, arrived_monotonic, arrived_at)

    def closed(self) -> None:
        self.breaks += 1
        self.decoder.closed()


class Rendering:
    """Makes a rendition while it exists; `stop` it."""

    def __init__(
        self, source: LiveChannel, make: MakePainter, masks: tuple[Polygon, ...], clock: Clock
    ) -> None:
        """Begin.

        Args:
            source: the stream's own packets; must outlive this.
            make: makes the painter for a set of masks.
            masks: those of the camera now.
            clock: the one that dates the source's packets.
        """
        self.channel = LiveChannel()
        """What comes out: only this may be shown."""
        self.holders = 0
        """Users besides the channel's listeners; kept by the owner."""
        self.used_s = clock.monotonic()
        self._source = source
        self._make = make
        self._masks = masks
        self._version = 0
        self._gate = threading.Lock()
        self._stop = threading.Event()
        self._taken = self._failures = 0
        self._first_decoded: int | None = None
        self._counted = 0
        self._broken = False
        self._input = _Input()
        source.attach(self._input)
        self._thread = threading.Thread(target=self._run, name="rendition", daemon=True)
        self._thread.start()

    @property
    def failures(self) -> int:
        """Faults so far; nothing was shown while they lasted."""
        return self._failures

    @property
    def dropped(self) -> int:
        """Pictures lost because rendering did not keep up."""
        decoder = self._input.decoder
        if self._first_decoded is None:
            return decoder.dropped
        return decoder.dropped + max(0, decoder.decoded - self._first_decoded - self._taken)

    def set_masks(self, masks: tuple[Polygon, ...]) -> None:
        """Paint with other masks; what was made with those before is forgotten at once."""
        if masks == self._masks:
            return
        with self._gate:
            self._masks = masks
            self._version += 1
            self.channel.closed()

    def announce(self, status: StreamStatus) -> None:
        """Tell viewers the state of the camera, unless the rendition itself is broken."""
        if not (self._broken and status.state is StreamState.ONLINE):
            self.channel.announce(status)

    def stop(self) -> None:
        """End; the thread is gone within a picture's time."""
        self._source.detach(self._input)
        self._stop.set()
        self._input.decoder.stop(timeout=0.0)
        self.channel.end()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._render()
            except Exception as error:  # noqa: BLE001 - top of the loop: counted, told, tried again
                self._failures += 1
                FAILED.inc()
                log.error("a rendition failed", error=type(error).__name__, reason=str(error))
                self._broken = True
                self.channel.say(
                    StreamState.STALLED,
                    ReasonCode.RENDITION_FAILED,
                    "This view cannot be made safe to show just now; trying again.",
                )
                self._stop.wait(_AFTER_FAILURE_S)

    def _render(self) -> None:
        """Render until the masks change, the stream breaks off, or a step fails."""
        with self._gate:
            version, masks = self._version, self._masks
        breaks = self._input.breaks
        painter = self._make(masks)
        encoding = _Encoding(self.channel)
        pace = Pace(FPS)
        try:
            while not self._stop.is_set():
                frame = self._input.decoder.get(_POLL_S)
                if (version, breaks) != (self._version, self._input.breaks):
                    return
                if frame is not None:
                    self._count()
                    if pace.takes(frame.arrived_monotonic):
                        painter.put(_shot(frame))
                for shot in painter.take():
                    with self._gate:
                        if version != self._version:
                            return
                        encoding.send(shot)
                    self._works()
        finally:
            painter.close()
            self.channel.closed()

    def _works(self) -> None:
        if self._broken:
            self._broken = False
            self.channel.say(StreamState.ONLINE, ReasonCode.OK, "")

    def _count(self) -> None:
        if self._first_decoded is None:
            # Those decoded to catch up with the stream were not meant to be shown.
            self._first_decoded = self._input.decoder.decoded - 1
        self._taken += 1
        # One that was decoded just now is not lost yet; it is taken next.
        lost = self.dropped - 1
        if lost > self._counted:
            DROPPED.inc(lost - self._counted)
            self._counted = lost


class Pace:
    """Takes at most `fps` pictures a second of a stream with more, and all of one with less.

    The next is due one step after this one was due, not after it came: of 25 pictures a second 12
    are taken, where waiting a full step after each would take 8.
    """

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps
        self._due_s = float("-inf")

    def takes(self, at_s: float) -> bool:
        """Say whether the picture that came at `at_s` (seconds, monotonic) is to be taken."""
        # A little early is on time: cameras do not keep step with this clock.
        if at_s < self._due_s - _EARLY_S:
            return False
        # After a pause nothing is made up for.
        self._due_s = max(self._due_s, at_s - self._step_s) + self._step_s
        return True


def _shot(frame: Frame) -> Shot:
    size = output_size(frame.width, frame.height)
    return Shot(frame.rgb(*size), frame.arrived_monotonic, frame.arrived_at)


class _Encoding:
    """Encodes into a channel; a change of size begins anew."""

    def __init__(self, channel: LiveChannel) -> None:
        self._channel = channel
        self._encoder: Encoder | None = None
        self._open = False

    def send(self, shot: Shot) -> None:
        height, width = shot.picture.shape[:2]
        if self._encoder is None or self._encoder.size != (width, height):
            self._encoder = Encoder(width, height, FPS)
            self._open = False
        for packet in self._encoder.encode(shot):
            if not self._open:
                self._channel.opened(info_of(packet))
                self._open = True
            self._channel.packet(packet, shot.at_s, shot.at)
