"""What the connection of one attempt gives, to the feed and to whoever reads the metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import av.error

from camera_hub.streams.diagnosis import DATAGRAMS_LOST
from camera_hub.streams.rtsp.connection import Connection
from camera_hub.streams.rtsp.metadata import MetadataSide
from camera_hub.streams.rtsp.sound import SoundSide
from camera_hub.streams.rtsp.taking import Side
from camera_hub.streams.types import ReasonCode, SoundState

if TYPE_CHECKING:
    from camera_hub.streams.diagnosis import Failure, Note
    from camera_hub.streams.feed import Feed
    from camera_hub.streams.health import Health
    from camera_hub.streams.rtsp.client import Playing
    from camera_hub.streams.rtsp.depacketizer import AccessUnit
    from camera_hub.streams.rtsp.sound import Heard
    from core.clock import Clock

_WEIGHED_S = 10.0
_MANY = 0.05
"""The share of pictures left out, or of datagrams lost, in `_WEIGHED_S` from which it is said."""

OnMetadata = Callable[[bytes, float, datetime], None]
"""Takes an XML document and when it arrived: monotonic seconds, and aware in UTC."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to read a stream, as its reader sees it.

    `current` says whether it is still the newest, `ended` is told why its connection ended,
    `fruitless` that with more than the video asked for not one picture came.
    """

    current: Callable[[], bool]
    ended: Callable[[Failure], None]
    fruitless: Callable[[], None]


class Receiving:
    """Takes what a connection gives, on the poller's thread (see `taking.Receiver`)."""

    def __init__(
        self,
        playing: Playing,
        attempt: Attempt,
        *,
        feed: Feed,
        health: Health,
        clock: Clock,
        on_metadata: OnMetadata | None,
        note: Note | None = None,
    ) -> None:
        """`note` is said of the stream where there is nothing else to say."""
        self._note = playing.no_metadata or note
        self._weigh_at: float | None = None
        self._handed_on = self._left_out = self._lost = self._came = 0
        self._playing = playing
        self._attempt = attempt
        self._feed = feed
        self._health = health
        self._clock = clock
        self._on_metadata = on_metadata
        self._barren = bool(playing.beside)
        self._sound: SoundSide | None = None
        self._connection: Connection | None = None
        self._sound_state = playing.sound

    def connect(self, silence_s: float) -> Connection:
        """Return the connection, whose packets come here; opens codecs, so it may take a moment."""
        sides: list[Side] = []
        for beside in self._playing.beside:
            if beside.kind == "metadata":
                sides.append(MetadataSide(beside, self.metadata))
                continue
            try:
                self._sound = SoundSide(beside, self)
            except (av.error.FFmpegError, ValueError):
                self._sound_state = SoundState.CODEC
            else:
                sides.append(self._sound)
        self._connection = Connection(self._playing, self, silence_s=silence_s, sides=sides)
        return self._connection

    def begin(self) -> None:
        """Tell the feed that a connection stands; its lock is held."""
        track = self._playing.track
        assert track.codec is not None
        self._health.connected(self._note)
        self._health.sound(self._sound_state)
        clock = self._sound.clock if self._sound is not None else None
        self._feed.begin(
            track.codec, Fraction(1, track.clock_rate), track.parameter_sets, sound_clock=clock
        )

    def units(self, units: list[AccessUnit], arrived_monotonic: float) -> None:
        """Take pictures."""
        self._barren = False
        with self._feed.lock:
            if self._attempt.current():
                self._feed.units(units, arrived_monotonic, self._clock.now())
        if self._playing.ports and self._attempt.current():
            self._weigh(len(units), arrived_monotonic)

    def _weigh(self, handed_on: int, now: float) -> None:
        """Say so where datagrams are lost in numbers."""
        self._handed_on += handed_on
        if self._weigh_at is None:
            self._weigh_at = now + _WEIGHED_S
        if now < self._weigh_at or self._connection is None:
            return
        left_out = self._connection.dropped - self._left_out
        # A picture of one datagram is lost with it, and nobody knows that there was one.
        lost, came = self._connection.lost - self._lost, self._connection.came - self._came
        losing = left_out > _MANY * (left_out + self._handed_on) or lost > _MANY * (lost + came)
        self._health.note(DATAGRAMS_LOST if losing else self._note)
        self._weigh_at = now + _WEIGHED_S
        self._handed_on, self._left_out = 0, self._connection.dropped
        self._lost, self._came = self._connection.lost, self._connection.came

    def metadata(self, document: bytes, arrived_monotonic: float) -> None:
        """Take what the camera says it sees."""
        if self._on_metadata is not None and self._attempt.current():
            self._on_metadata(document, arrived_monotonic, self._clock.now())

    def sound(self, heard: list[Heard], side: SoundSide) -> None:
        """Take sound."""
        video = self._connection.report if self._connection is not None else None
        with self._feed.lock:
            if self._attempt.current():
                self._feed.sound(heard, side.clock, side.track.report, video)

    def sound_state(self, state: SoundState, side: SoundSide) -> None:
        """Take how the sound is doing; only one that is sure is announced to sinks."""
        if not self._attempt.current():
            return
        self._health.sound(state)
        if state is not SoundState.SILENT:
            # A pause is none of the stream's parameters: its end would begin a new file.
            with self._feed.lock:
                self._feed.offer_sound(side.info if state is SoundState.OK else None)

    def ended(self, failure: Failure) -> None:
        """The connection has ended."""
        # Datagrams that are held up somewhere are not the fault of what else was asked for.
        held_up = failure.code is ReasonCode.NO_DATAGRAMS
        if self._barren and not held_up and self._attempt.current():
            self._attempt.fruitless()
        self._attempt.ended(failure)
