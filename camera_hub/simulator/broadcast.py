"""One live track, sent at real-time pace to everybody who watches: above all a looped clip."""

import asyncio
import base64
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from camera_hub.simulator import rtp
from camera_hub.simulator.clip import CLOCK_RATE, LoopedClip
from camera_hub.simulator.datagrams import Datagrams
from core.clock import Clock

_REPORT_EVERY_S = 5
_MAX_BACKLOG = 8 << 20
_MAX_LATE_S = 1

Payloads = Sequence[tuple[bytes, bool]]
"""RTP payloads, and of each whether it is the last of its moment (the marker)."""


@dataclass(eq=False)
class Viewer:
    """Where one viewer's packets go, and what was sent so far.

    Without a `writer` they go as `datagrams`, to one viewer or to all of a group.
    """

    writer: asyncio.StreamWriter | None
    rtp_channel: int
    rtcp_channel: int
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    synchronised: bool = False
    packets: int = 0
    octets: int = 0
    report_due: int = 0
    datagrams: Datagrams | None = None

    def reads(self) -> bool:
        """Say whether the viewer reads what it is sent; one that does not is hung up on."""
        if self.writer is None or self.writer.transport.get_write_buffer_size() <= _MAX_BACKLOG:
            return True
        self.writer.transport.abort()
        return False

    def send(self, packets: Sequence[tuple[bool, bytes]]) -> None:
        """Send packets, each with whether it is a report."""
        if self.datagrams is not None:
            self.datagrams.send(packets)
        if self.writer is not None:
            channels = (self.rtp_channel, self.rtcp_channel)
            out = [rtp.interleaved(channels[report], data) for report, data in packets]
            self.writer.write(b"".join(out))


class TrackBroadcast(ABC):
    """Plays a track as a camera does: all viewers are given the same moment.

    It works only while somebody watches. `began` is the clock's monotonic time of tick 0; one in
    the past lets the track start in its middle.
    """

    payload_type = rtp.PAYLOAD_TYPE
    clock_rate = CLOCK_RATE

    def __init__(self, *, began: float, clock: Clock) -> None:
        self._began = began
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._stalled = False

    @abstractmethod
    def first_due(self, ticks: int) -> int:
        """Return the number of the first piece that is due at `ticks` or later."""

    @abstractmethod
    def due_ticks(self, number: int) -> int:
        """Return when piece `number` is due."""

    @abstractmethod
    def payloads(self, number: int) -> Payloads:
        """Return what is sent of piece `number`; none: nothing just then."""

    def begins(self, number: int) -> bool:
        """Say whether a viewer may join with piece `number`."""
        del number
        return True

    @abstractmethod
    def describe(self) -> Sequence[str]:
        """Return the lines that describe the track (SDP), but for its control address."""

    def join(self, viewer: Viewer) -> None:
        """Send to `viewer` from the next piece on that may begin."""
        self._viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._play(), name="simulator-broadcast")

    def leave(self, viewer: Viewer) -> None:
        """Send no more to `viewer`."""
        self._viewers.discard(viewer)

    @property
    def stalled(self) -> bool:
        """Whether nothing is sent; viewers go on from a keyframe when this ends."""
        return self._stalled

    @stalled.setter
    def stalled(self, value: bool) -> None:
        self._stalled = value
        self._desynchronise()

    async def close(self) -> None:
        """Stop playing and forget every viewer."""
        self._viewers.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _ticks(self) -> int:
        return round((self._clock.monotonic() - self._began) * self.clock_rate)

    def _desynchronise(self) -> None:
        for viewer in self._viewers:
            viewer.synchronised = False

    async def _play(self) -> None:
        number = self.first_due(self._ticks())
        while self._viewers:
            early = self.due_ticks(number) - self._ticks()
            if early > 0:
                await self._clock.sleep(early / self.clock_rate)
            elif early < -_MAX_LATE_S * self.clock_rate:
                # The process was held up: go on with what is due, as a camera would.
                number = self.first_due(self._ticks())
                self._desynchronise()
                continue
            if not self._stalled:
                self._send(number)
            number += 1

    def _send(self, number: int) -> None:
        ticks, payloads, begins = self.due_ticks(number), self.payloads(number), self.begins(number)
        for viewer in tuple(self._viewers):
            viewer.synchronised = viewer.synchronised or begins
            if viewer.synchronised:
                self._send_to(viewer, payloads, ticks)

    def _send_to(self, viewer: Viewer, payloads: Payloads, ticks: int) -> None:
        if not viewer.reads():
            self.leave(viewer)
            return
        out = []
        if ticks >= viewer.report_due:
            viewer.report_due = ticks + _REPORT_EVERY_S * self.clock_rate
            report = rtp.sender_report(
                ssrc=viewer.ssrc,
                now=self._clock.now(),
                ticks=ticks,
                packets=viewer.packets,
                octets=viewer.octets,
            )
            out.append((True, report))
        for payload, last in payloads:
            packet = rtp.packet(
                payload,
                marker=last,
                sequence=viewer.sequence,
                ticks=ticks,
                ssrc=viewer.ssrc,
                payload_type=self.payload_type,
            )
            out.append((False, packet))
            viewer.sequence = (viewer.sequence + 1) & 0xFFFF
            viewer.packets += 1
            viewer.octets += len(payload)
        viewer.send(out)


class Broadcast(TrackBroadcast):
    """The video of a stream: a looped clip, for each viewer from a keyframe on."""

    def __init__(self, clip: LoopedClip, *, began: float, clock: Clock) -> None:
        super().__init__(began=began, clock=clock)
        self.clip = clip

    def current_unit(self) -> int:
        """Return the number of the frame that is due now."""
        return self.clip.first_due(self._ticks())

    def first_due(self, ticks: int) -> int:
        """Return the first frame that is due (see `TrackBroadcast`)."""
        return self.clip.first_due(ticks)

    def due_ticks(self, number: int) -> int:
        """Return when a frame is due (see `TrackBroadcast`)."""
        return self.clip.due_ticks(number)

    def payloads(self, number: int) -> Payloads:
        """Return the packets of a frame (see `TrackBroadcast`)."""
        return list(rtp.payloads(self.clip, self.clip.unit(number)))

    def begins(self, number: int) -> bool:
        """Say whether it is a keyframe (see `TrackBroadcast`)."""
        return self.clip.unit(number).keyframe

    def describe(self) -> Sequence[str]:
        """Return its lines of a description (see `TrackBroadcast`)."""
        clip = self.clip
        sets = ",".join(base64.b64encode(part).decode() for part in (clip.sps, clip.pps))
        return (
            f"m=video 0 RTP/AVP {self.payload_type}",
            f"a=rtpmap:{self.payload_type} H264/{CLOCK_RATE}",
            f"a=fmtp:{self.payload_type} packetization-mode=1;"
            f"profile-level-id={clip.sps[1:4].hex().upper()};sprop-parameter-sets={sets}",
            f"a=framerate:{clip.fps:.3f}",
        )
