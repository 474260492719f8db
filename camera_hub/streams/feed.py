"""From the packets of one connection after another to the sinks, on one clean timeline."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import av
import av.error

from camera_hub.streams.health import Health
from camera_hub.streams.parameters import Codec, parameter_sets, read_info
from camera_hub.streams.rtsp.ordering import DecodingOrder
from camera_hub.streams.timestamps import Timeline
from camera_hub.streams.types import Sink, SoundInfo, SoundPacket, StreamInfo

if TYPE_CHECKING:
    from camera_hub.streams.rtsp.depacketizer import AccessUnit
    from camera_hub.streams.rtsp.rtp import SenderReport
    from camera_hub.streams.rtsp.sound import Heard
    from camera_hub.streams.sound.placing import SoundClock
    from camera_hub.streams.types import Packet


@runtime_checkable
class Hears(Protocol):
    """A sink that takes sound too (see `SoundSink`)."""

    def sound(self, packet: SoundPacket) -> None:
        """Take one frame."""
        ...


class Feed:
    """The sinks of one reader and what they are told.

    Whoever calls `begin`, `packet`, `units` or `close` holds `lock`, and has made sure that the
    connection it speaks for is still the current one.
    """

    def __init__(self, health: Health) -> None:
        self.lock = threading.Lock()
        self._health = health
        self._sinks: tuple[Sink, ...] = ()
        self._open: list[Sink] = []
        self._info: StreamInfo | None = None
        self._codec: Codec = "h264"
        self._time_base = Fraction(1, 90000)
        self._sets: tuple[bytes, ...] = ()
        self.timeline = Timeline(self._time_base)
        self._order = DecodingOrder(90000)
        self._sound_clock: SoundClock | None = None
        self._sound: SoundInfo | None = None

    def add(self, sink: Sink) -> None:
        """Hand packets to `sink` from the next keyframe on."""
        with self.lock:
            self._sinks = (*self._sinks, sink)

    def remove(self, sink: Sink) -> None:
        """Hand `sink` nothing any more; it is closed before this returns."""
        with self.lock:
            self._sinks = tuple(s for s in self._sinks if s is not sink)
            if sink in self._open:
                self._open.remove(sink)
                sink.closed()

    def begin(
        self,
        codec: Codec,
        time_base: Fraction,
        sets: tuple[bytes, ...],
        *,
        sound_clock: SoundClock | None = None,
    ) -> None:
        """Take the packets of a new connection; `sets` are those of its description.

        `sound_clock` is told the pictures' times, if sound is to be placed among them.
        """
        self.close()
        self._sound_clock, self._sound = sound_clock, None
        if sound_clock is not None:
            sound_clock.begin_video(float(1 / time_base))
        self._info = None
        self._codec, self._time_base, self._sets = codec, time_base, sets
        self.timeline = Timeline(time_base)
        self._order = DecodingOrder(int(1 / time_base))

    def packet(self, packet: Packet, arrived: float, arrived_at: datetime) -> None:
        """Take a packet that has its times."""
        self._health.received(packet.size, packet.is_keyframe, arrived, arrived_at)
        if packet.is_keyframe:
            self._keyframe(bytes(packet))
        self.timeline.fix(packet, arrived)
        for sink in self._open:
            sink.packet(packet, arrived, arrived_at)

    def units(self, units: list[AccessUnit], arrived: float, arrived_at: datetime) -> None:
        """Take pictures that arrived together."""
        for data, ticks, keyframe in units:
            self._health.received(len(data), keyframe, arrived, arrived_at)
            if keyframe:
                self._keyframe(data)
            if self._info is None:
                # Nobody can use what comes before the first keyframe.
                continue
            packet = cast("Packet", av.Packet(data))
            packet.time_base = self._time_base
            packet.pts, packet.dts = ticks, self._order.dts(ticks)
            packet.is_keyframe = keyframe
            self.timeline.fix(packet, arrived)
            if self._sound_clock is not None and packet.dts is not None:
                self._sound_clock.video(packet.dts, arrived)
            for sink in self._open:
                sink.packet(packet, arrived, arrived_at)

    def offer_sound(self, info: SoundInfo | None) -> None:
        """Open the sinks anew with this sound, or without any, from the next keyframe on."""
        self._sound = info

    def sound(
        self,
        heard: list[Heard],
        clock: SoundClock,
        sound: SenderReport | None,
        video: SenderReport | None,
    ) -> None:
        """Take sound; `sound` and `video` are the newest reports of both tracks."""
        if self._info is None:
            return
        timeline, at_s = self.timeline, 0.0
        if video is not None and video.arrived_monotonic < timeline.jumped_at:
            video = None
        if video is not None:
            at_s = float(timeline.after(video.ticks) * self._time_base)
        clock.reports(sound, video, at_s)
        hearing = self._info.sound is not None
        for data, own_s, length_s, samples in heard:
            at = clock.place(own_s, length_s)
            if at is None or not hearing:
                continue
            packet = SoundPacket(data, at, samples)
            for sink in self._open:
                if isinstance(sink, Hears):
                    sink.sound(packet)

    def close(self) -> None:
        """Tell the sinks that the stream has ended."""
        sinks, self._open = self._open, []
        for sink in sinks:
            sink.closed()

    def _keyframe(self, data: bytes) -> None:
        """Open the sinks that wait, all of them anew if the parameters changed."""
        inside = parameter_sets(self._codec, data)
        changed = bool(inside) and not set(inside) <= set(self._sets)
        if changed:
            self._sets = inside
        if self._info is None or changed:
            try:
                info = read_info(self._codec, self._sets, data, self._time_base)
                info = replace(info, sound=self._sound)
            except av.error.FFmpegError:
                # A damaged keyframe: the next one will do.
                return
            self.close()
            self._info = info
            self._order.expect(info.reorder)
            self._health.opened(info)
        elif self._info.sound != self._sound:
            self.close()
            self._info = replace(self._info, sound=self._sound)
        for sink in self._sinks:
            if sink not in self._open:
                sink.opened(self._info)
                self._open.append(sink)
