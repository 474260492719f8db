"""One stream for its viewers: the newest group of pictures, and a muxer while somebody looks.

Packets are kept as they came, by reference. Muxing begins with the first listener, from the
keyframe that is kept, so a stream nobody looks at costs no muxing and the first picture is
there at once all the same.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import av.error

from camera_hub.live.audience import Audience, Group, Listener
from camera_hub.live.muxer import LiveItem, StateChange
from camera_hub.streams.feed import Hears
from camera_hub.streams.frames import open_decoder
from camera_hub.streams.types import Frame, ReasonCode, StreamInfo, StreamState, StreamStatus

if TYPE_CHECKING:
    from camera_hub.streams.types import Packet, Sink, SoundPacket

GROUP_BYTES = 6 * 1024 * 1024
GROUP_PACKETS = 900

__all__ = ["Listener", "LiveChannel", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A picture as JPEG. `at` is when its frame arrived (aware, UTC)."""

    at: datetime
    width: int
    height: int
    jpeg: bytes


class LiveChannel:
    """A sink of one stream with any number of listeners.

    The kept group is bounded: beyond `GROUP_BYTES` only its keyframe stays, and a new viewer's
    first picture waits for the next keyframe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._audiences = (Audience(hears=False), Audience(hears=True))
        self._state = StateChange(
            StreamState.CONNECTING, ReasonCode.STARTING, "Connecting to the camera."
        )
        self._info: StreamInfo | None = None
        self._sinks: tuple[Sink, ...] = ()
        self._group = Group(GROUP_BYTES, GROUP_PACKETS)
        self._arrived_at: datetime | None = None
        self._arrived = threading.Condition(self._lock)

    @property
    def watched(self) -> bool:
        """Whether anybody listens."""
        return any(audience.listeners for audience in self._audiences)

    def listen(self, listener: Listener, *, sound: bool = False) -> list[LiveItem]:
        """Add a listener; return what it has missed: state, init, fragments since the keyframe.

        With `sound` it is given that too, where the stream has any. Nothing is lost or doubled
        between what is returned and what `listener` is given.
        """
        with self._lock:
            audience = self._audiences[sound]
            return [self._state, *audience.join(listener, self._info, self._group)]

    def leave(self, listener: Listener) -> None:
        """Remove a listener; the last one takes the muxer with it."""
        with self._lock:
            for audience in self._audiences:
                audience.leave(listener)

    def end(self) -> None:
        """Tell the listeners that nothing will come any more."""
        with self._lock:
            self._forget()
            for audience in self._audiences:
                audience.end()

    def dismiss(self) -> None:
        """Tell the listeners that nothing will come any more; what is kept stays."""
        with self._lock:
            for audience in self._audiences:
                audience.end()

    def attach(self, sink: Sink) -> None:
        """Hand packets to `sink` too, beginning with those that are kept."""
        with self._lock:
            self._sinks = (*self._sinks, sink)
            if self._info is None:
                return
            sink.opened(self._info)
            for item in self._group.in_order():
                if isinstance(item, tuple):
                    sink.packet(*item)
                elif isinstance(sink, Hears):
                    sink.sound(item)

    def detach(self, sink: Sink) -> None:
        """Hand `sink` nothing any more; it is closed before this returns."""
        with self._lock:
            if sink in self._sinks:
                self._sinks = tuple(s for s in self._sinks if s is not sink)
                sink.closed()

    def announce(self, status: StreamStatus) -> None:
        """Tell the listeners about a new state."""
        self.say(status.state, status.reason_code, status.reason)

    def say(self, state: StreamState, code: ReasonCode, reason: str) -> None:
        """Tell the listeners about a new state, in its parts."""
        with self._lock:
            self._state = StateChange(state, code, reason)
            self._tell(self._state)

    def snapshot(self, timeout: float) -> Snapshot | None:
        """Decode the newest picture, waiting up to `timeout` seconds for one; blocks."""
        newest = self.picture(timeout)
        if newest is None:
            return None
        return Snapshot(newest.arrived_at, newest.width, newest.height, newest.jpeg())

    def picture(self, timeout: float) -> Frame | None:
        """Decode the newest picture as `snapshot` does, and return it as it is."""
        with self._lock:
            self._arrived.wait_for(lambda: bool(self._group.packets), timeout)
            info, group = self._info, list(self._group.packets)
        if info is None or not group:
            return None
        decoder = open_decoder(info)
        newest: Frame | None = None
        for packet, at in [*((kept[0], kept[2]) for kept in group), (None, group[-1][2])]:
            try:
                pictures = decoder.decode(packet)
            except av.error.FFmpegError:
                continue
            if pictures:
                newest = Frame(pictures[-1], arrived_at=at, arrived_monotonic=0.0)
        return newest

    def keyframe(self, since_s: float) -> Frame | None:
        """Decode the newest keyframe if it arrived at `since_s` (monotonic) or later, else None."""
        with self._lock:
            info, kept = self._info, next(iter(self._group.packets), None)
        if info is None or kept is None or kept[1] < since_s:
            return None
        packet, arrived, arrived_at = kept
        decoder = open_decoder(info)
        try:
            pictures = [*decoder.decode(packet), *decoder.decode(None)]
        except av.error.FFmpegError:
            return None
        if not pictures:
            return None
        return Frame(pictures[0], arrived_at=arrived_at, arrived_monotonic=arrived)

    def opened(self, info: StreamInfo) -> None:
        """Begin a stream (see `Sink`)."""
        with self._lock:
            self._forget()
            self._info = info
            for sink in self._sinks:
                sink.opened(info)

    def packet(self, packet: Packet, arrived_monotonic: float, arrived_at: datetime) -> None:
        """Keep a packet and hand it to the listeners (see `Sink`)."""
        with self._lock:
            self._group.keep(packet, arrived_monotonic, arrived_at)
            self._arrived_at = arrived_at
            self._arrived.notify_all()
            for sink in self._sinks:
                sink.packet(packet, arrived_monotonic, arrived_at)
            for audience in self._audiences:
                kept = (packet, arrived_monotonic, arrived_at)
                audience.packet(kept, self._info, self._group)

    def sound(self, packet: SoundPacket) -> None:
        """Keep sound and hand it to those listeners who hear (see `SoundSink`)."""
        with self._lock:
            self._group.keep_sound(packet)
            for sink in self._sinks:
                if isinstance(sink, Hears):
                    sink.sound(packet)
            if self._arrived_at is not None:
                for audience in self._audiences:
                    audience.sound(packet, self._arrived_at, self._group)

    def closed(self) -> None:
        """Forget the stream (see `Sink`)."""
        with self._lock:
            self._forget()
            for sink in self._sinks:
                sink.closed()

    def _forget(self) -> None:
        self._info = None
        self._group.clear()
        for audience in self._audiences:
            audience.forget()

    def _tell(self, item: LiveItem) -> None:
        for audience in self._audiences:
            audience.tell(item)
