"""One stream for its viewers: the newest group of pictures, and a muxer while somebody looks.

Packets are kept as they came, by reference. Muxing begins with the first listener, from the
keyframe that is kept, so a stream nobody looks at costs no muxing and the first picture is
there at once all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import av.error

from camera_hub.live.muxer import Fragment, LiveItem, Muxer, StateChange
from camera_hub.streams.frames import open_decoder
from camera_hub.streams.types import Frame, ReasonCode, StreamInfo, StreamState, StreamStatus

if TYPE_CHECKING:
    from camera_hub.streams.types import Packet, Sink

GROUP_BYTES = 6 * 1024 * 1024
GROUP_PACKETS = 900

Listener = Callable[[LiveItem | None], None]
"""Takes items on the reader's thread, None when the stream is gone for good; must not block."""


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
        self._listeners: list[Listener] = []
        self._state = StateChange(
            StreamState.CONNECTING, ReasonCode.STARTING, "Connecting to the camera."
        )
        self._info: StreamInfo | None = None
        self._sinks: tuple[Sink, ...] = ()
        self._group: list[tuple[Packet, float, datetime]] = []
        self._group_bytes = 0
        self._group_whole = True
        self._muxer: Muxer | None = None
        self._fragments: list[Fragment] = []
        self._arrived = threading.Condition(self._lock)

    @property
    def watched(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def listen(self, listener: Listener) -> list[LiveItem]:
        """Add a listener; return what it has missed: state, init, fragments since the keyframe.

        Nothing is lost or doubled between what is returned and what `listener` is given.
        """
        with self._lock:
            if self._muxer is None:
                self._begin_muxing()
            self._listeners.append(listener)
            return [self._state, *self._missed()]

    def leave(self, listener: Listener) -> None:
        """Remove a listener; the last one takes the muxer with it."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners:
                self._muxer = None
                self._fragments = []

    def end(self) -> None:
        """Tell the listeners that nothing will come any more."""
        with self._lock:
            listeners, self._listeners = self._listeners, []
            self._forget()
            for listener in listeners:
                listener(None)

    def dismiss(self) -> None:
        """Tell the listeners that nothing will come any more; what is kept stays."""
        with self._lock:
            listeners, self._listeners = self._listeners, []
            self._muxer = None
            self._fragments = []
            for listener in listeners:
                listener(None)

    def attach(self, sink: Sink) -> None:
        """Hand packets to `sink` too, beginning with those that are kept."""
        with self._lock:
            self._sinks = (*self._sinks, sink)
            if self._info is None:
                return
            sink.opened(self._info)
            if self._group_whole:
                for packet, arrived, at in self._group:
                    sink.packet(packet, arrived, at)

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
            self._arrived.wait_for(lambda: bool(self._group), timeout)
            info, group = self._info, list(self._group)
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
            info, kept = self._info, self._group[0] if self._group else None
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
            self._keep(packet, arrived_monotonic, arrived_at)
            for sink in self._sinks:
                sink.packet(packet, arrived_monotonic, arrived_at)
            if not self._listeners:
                return
            if self._muxer is None:
                if not packet.is_keyframe or not self._begin_muxing():
                    return
                for item in self._missed():
                    self._tell(item)
                return
            fragment = self._muxer.fragment(packet, arrived_at)
            if packet.is_keyframe:
                self._fragments = [fragment]
            elif self._group_whole:
                self._fragments.append(fragment)
            else:
                self._fragments = []
            self._tell(fragment)

    def closed(self) -> None:
        """Forget the stream (see `Sink`)."""
        with self._lock:
            self._forget()
            for sink in self._sinks:
                sink.closed()

    def _missed(self) -> list[LiveItem]:
        return [] if self._muxer is None else [self._muxer.init, *self._fragments]

    def _forget(self) -> None:
        self._info = None
        self._group = []
        self._group_bytes = 0
        self._group_whole = True
        self._muxer = None
        self._fragments = []

    def _keep(self, packet: Packet, arrived: float, at: datetime) -> None:
        if packet.is_keyframe:
            self._group = []
            self._group_bytes = 0
            self._group_whole = True
        if self._group_whole:
            self._group.append((packet, arrived, at))
            self._group_bytes += packet.size
            if self._group_bytes > GROUP_BYTES or len(self._group) > GROUP_PACKETS:
                self._group = self._group[:1]
                self._group_whole = False
        self._arrived.notify_all()

    def _begin_muxing(self) -> bool:
        """Mux what is kept; False if there is nothing that can be."""
        if self._info is None or not self._group:
            return False
        try:
            self._muxer = Muxer(self._info, bytes(self._group[0][0]))
        except av.error.FFmpegError:
            # A damaged keyframe: the next one will do.
            return False
        if self._group_whole:
            self._fragments = [self._muxer.fragment(packet, at) for packet, _, at in self._group]
        return True

    def _tell(self, item: LiveItem) -> None:
        for listener in self._listeners:
            listener(item)
