"""One live stream: a looped clip sent at real-time pace to everybody who watches."""

import asyncio
import secrets
from dataclasses import dataclass, field

from camera_hub.simulator import rtp
from camera_hub.simulator.clip import CLOCK_RATE, LoopedClip
from core.clock import Clock

_REPORT_EVERY_TICKS = 5 * CLOCK_RATE
_MAX_BACKLOG = 8 << 20
_MAX_LATE_TICKS = CLOCK_RATE


@dataclass(eq=False)
class Viewer:
    """Where one viewer's packets go, and what was sent so far."""

    writer: asyncio.StreamWriter
    rtp_channel: int
    rtcp_channel: int
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    synchronised: bool = False
    packets: int = 0
    octets: int = 0
    report_due: int = 0


class Broadcast:
    """Plays a clip as a camera does: all viewers see the same moment, each from a keyframe on.

    It works only while somebody watches. `began` is the clock's monotonic time at which the
    first loop started; one in the past lets the footage start in its middle.
    """

    def __init__(self, clip: LoopedClip, *, began: float, clock: Clock) -> None:
        self.clip = clip
        self._began = began
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._stalled = False

    def join(self, viewer: Viewer) -> None:
        """Send to `viewer` from the next keyframe on."""
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

    def current_unit(self) -> int:
        """Return the number of the frame that is due now."""
        return self.clip.first_due(self._ticks())

    async def close(self) -> None:
        """Stop playing and forget every viewer."""
        self._viewers.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _ticks(self) -> int:
        return round((self._clock.monotonic() - self._began) * CLOCK_RATE)

    def _desynchronise(self) -> None:
        for viewer in self._viewers:
            viewer.synchronised = False

    async def _play(self) -> None:
        number = self.clip.first_due(self._ticks())
        while self._viewers:
            early = self.clip.due_ticks(number) - self._ticks()
            if early > 0:
                await self._clock.sleep(early / CLOCK_RATE)
            elif early < -_MAX_LATE_TICKS:
                # The process was held up: go on with what is due, as a camera would.
                number = self.clip.first_due(self._ticks())
                self._desynchronise()
                continue
            if not self._stalled:
                self._send(number)
            number += 1

    def _send(self, number: int) -> None:
        unit, ticks = self.clip.unit(number), self.clip.due_ticks(number)
        payloads = list(rtp.payloads(self.clip, unit))
        for viewer in tuple(self._viewers):
            viewer.synchronised = viewer.synchronised or unit.keyframe
            if viewer.synchronised:
                self._send_to(viewer, payloads, ticks)

    def _send_to(self, viewer: Viewer, payloads: list[tuple[bytes, bool]], ticks: int) -> None:
        if viewer.writer.transport.get_write_buffer_size() > _MAX_BACKLOG:
            viewer.writer.transport.abort()
            self.leave(viewer)
            return
        out = []
        if ticks >= viewer.report_due:
            viewer.report_due = ticks + _REPORT_EVERY_TICKS
            report = rtp.sender_report(
                ssrc=viewer.ssrc,
                now=self._clock.now(),
                ticks=ticks,
                packets=viewer.packets,
                octets=viewer.octets,
            )
            out.append(rtp.interleaved(viewer.rtcp_channel, report))
        for payload, last in payloads:
            packet = rtp.packet(
                payload, marker=last, sequence=viewer.sequence, ticks=ticks, ssrc=viewer.ssrc
            )
            out.append(rtp.interleaved(viewer.rtp_channel, packet))
            viewer.sequence = (viewer.sequence + 1) & 0xFFFF
            viewer.packets += 1
            viewer.octets += len(payload)
        viewer.writer.write(b"".join(out))
