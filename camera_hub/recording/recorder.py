"""Records one stream of one camera: packets into parts, parts into files or into the ring.

Everything here runs on the reader's thread and never waits: what touches a disk is handed to the
disk's own thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import av.error

from camera_hub.live.muxer import Init, Muxer
from camera_hub.recording.clock import WallClock
from camera_hub.recording.disks import Disk, Disks
from camera_hub.recording.files import CutPart, SegmentFile, SegmentRecord
from camera_hub.recording.format import SegmentHeader, from_microseconds
from camera_hub.recording.marks import Marks
from camera_hub.recording.ring import Ring
from camera_hub.recording.sound import with_codec, with_sound
from core.clock import Clock
from core.ids import new_id
from core.metrics import counter

if TYPE_CHECKING:
    from camera_hub.recording.plans import Cause
    from camera_hub.streams.types import Packet, SoundPacket, StreamInfo, StreamRole

LONGEST_S = 780.0
"""A file is ended then even without a keyframe; the index takes none of 15 minutes."""
SOUND_LATE_S = 2.0
"""Sound that comes later than this after its pictures, or earlier before them, is left out."""
SOUND_BYTES = 1 << 20
"""Of sound that waits for the end of its part."""

UNRECORDED = counter(
    "recording_parts_unrecorded", "Parts that should have been recorded, and are not"
)
UNHEARD = counter("recording_sound_dropped", "Frames of sound that came too late or too early")


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """Lengths in seconds: of a file, of a part, and of what is kept in memory before an event.

    `late_s`: how long a file that has ended waits to be closed, for motion that is learnt late.
    """

    segment_s: float = 60.0
    part_s: float = 1.0
    pre_s: float = 5.0
    late_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How a recorder is doing. Instants of the host's monotonic clock in seconds, None for never.

    `flowing_since`: of the first packet since the stream was opened, None while it is closed;
    `packet_at`, `written_at`: of the last packet taken and the last part written.
    """

    flowing_since: float | None
    packet_at: float | None
    written_at: float | None
    disk: str
    bytes: int
    lost: int
    last_segment_at: datetime | None


class Recorder:
    """A sink that records what it is told to (`wish`, `trigger`), from a keyframe on.

    A file begins with a keyframe; it ends at the first keyframe after `segment_s`, when the stream
    ends or changes, when the wall clock jumps, when its disk fails, or when nothing is wanted any
    more; it is closed `late_s` after that, so that motion learnt late is in it. `wish`, `trigger`,
    `motion`, `settle` and `progress` may be called from any thread.
    """

    def __init__(
        self,
        camera_id: UUID,
        role: StreamRole,
        disks: Disks,
        *,
        clock: Clock,
        site: str,
        options: RecorderOptions,
        first_sequence: int = 1,
        on_closed: Callable[[SegmentRecord], None],
    ) -> None:
        """Make a recorder that records nothing yet.

        Args:
            camera_id: the camera.
            role: which of its streams.
            disks: where to.
            clock: the one that dates the packets.
            site: name of the site, for the files' headers.
            options: lengths.
            first_sequence: number of the first file.
            on_closed: told, on a disk's thread, of each file that is whole.
        """
        self.camera_id = camera_id
        self.role = role
        self._disks = disks
        self._clock = clock
        self._site = site
        self._options = options
        self._sequence = first_sequence - 1
        self._tell_closed = on_closed
        self._cause: Cause | None = None
        self._event_until = float("-inf")
        self._pre_s = options.pre_s
        self._flowing_since: float | None = None
        self._packet_at: float | None = None
        self._written_at: float | None = None
        self._last_segment_at: datetime | None = None
        self._closed_bytes = 0
        self._lost = 0
        self._wall = WallClock()
        self._ring = Ring()
        self._file: SegmentFile | None = None
        self._file_dts = 0
        self._ended: deque[tuple[float, SegmentFile]] = deque()
        self._info: StreamInfo | None = None
        self._init: Init | None = None
        self._start_dts = self._last_dts = 0
        self._ended_lock = threading.Lock()
        self._marks = Marks()
        self._begin_stream(90_000)

    @property
    def sequence(self) -> int:
        """Number of the newest file."""
        return self._sequence

    @property
    def wanted(self) -> bool:
        """Whether it is to record just now."""
        return self._cause is not None or self._clock.monotonic() < self._event_until

    def wish(self, cause: Cause | None, pre_s: float) -> None:
        """Record for `cause` from now on; with None only while an event lasts."""
        self._cause = cause
        self._pre_s = pre_s

    def trigger(self, seconds: float) -> None:
        """Something happens: record for so long at least, beginning with what is in memory."""
        self._event_until = max(self._event_until, self._clock.monotonic() + seconds)

    def motion(self, at: datetime) -> None:
        """Mark a second (aware) in which something moved."""
        self._marks.mark(at)

    def settle(self, *, at_once: bool = False) -> None:
        """Close the files that have ended and waited long enough, or all of them."""
        now = self._clock.monotonic()
        with self._ended_lock:
            while self._ended and (at_once or self._ended[0][0] <= now):
                self._ended.popleft()[1].close()

    def progress(self) -> Progress:
        """Return how it is doing."""
        file = self._file
        return Progress(
            self._flowing_since,
            self._packet_at,
            self._written_at,
            file.disk.name if file else "",
            self._closed_bytes + (file.bytes if file else 0),
            self._lost,
            self._last_segment_at,
        )

    def opened(self, info: StreamInfo) -> None:
        """Begin a stream (see `Sink`)."""
        self._info, self._init = info, None
        self._ring.clear()
        self._wall.restart()
        self._begin_stream(float(1 / info.time_base))

    def packet(self, packet: Packet, arrived_monotonic: float, arrived_at: datetime) -> None:
        """Take one packet (see `Sink`)."""
        dts: int = packet.dts  # type: ignore[assignment]
        keyframe = packet.is_keyframe
        if self._packets and (
            dts - self._key_dts >= self._least if keyframe else dts - self._start_dts >= self._limit
        ):
            self._cut(dts)
        if not self._packets:
            self._begin_part(dts, keyframe)
        self._packets.append(packet)
        self._bytes += packet.size
        self._last_dts = dts
        self._packet_at = arrived_monotonic
        if self._flowing_since is None:
            self._flowing_since = arrived_monotonic
        self._wall.observe(dts * self._tick_s, arrived_at.timestamp(), arrived_monotonic)

    def sound(self, packet: SoundPacket) -> None:
        """Take one frame of sound (see `SoundSink`); it never holds the video up."""
        if self._info is None or self._info.sound is None or not self._packets:
            return
        early, late = packet.at - self._last_dts, self._start_dts - packet.at
        if max(early, late) > self._far or self._sound_bytes > SOUND_BYTES:
            UNHEARD.inc()
            return
        self._sound.append(packet)
        self._sound_bytes += len(packet.data)

    def closed(self) -> None:
        """End the stream (see `Sink`): what is there is written, the file has ended."""
        if self._packets:
            self._cut(self._last_dts + self._step)
        self._end_file()
        self._ring.clear()
        self._flowing_since = None

    def _begin_stream(self, per_second: float) -> None:
        self._tick_s = 1 / per_second
        self._part_ticks = round(self._options.part_s * per_second)
        self._segment_ticks = round(self._options.segment_s * per_second)
        self._longest_ticks = round(LONGEST_S * per_second)
        # A stream of keyframes only is not to become as many parts.
        self._least = self._part_ticks // 2
        self._limit = self._part_ticks
        self._packets: list[Packet] = []
        self._bytes = 0
        self._sound: list[SoundPacket] = []
        self._sound_bytes = 0
        self._far = round(SOUND_LATE_S * per_second)
        self._start_dts = self._last_dts = 0
        self._key_dts: float = float("-inf")
        self._group: float = 0
        self._step = round(per_second / 25)
        self._keyframe = self._new_run = False

    def _begin_part(self, dts: int, keyframe: bool) -> None:
        self._start_dts = dts
        self._keyframe = keyframe
        self._new_run = False
        if keyframe:
            self._group = dts - self._key_dts
            self._key_dts = dts
            if self._wall.jumped:
                self._wall.restart()
                self._new_run = True
        # A keyframe that is due soon is waited for, so that parts begin with one.
        left = self._key_dts + self._group - dts
        soon = self._part_ticks < left <= self._part_ticks * 1.5
        self._limit = round(self._part_ticks * 1.5) if soon else self._part_ticks

    def _cut(self, end_dts: int) -> None:
        """End the part in hand: `end_dts` is that of the packet that comes after it."""
        packets, self._packets = self._packets, []
        size, self._bytes = self._bytes, 0
        heard = [one for one in self._sound if one.at < end_dts]
        self._sound = [one for one in self._sound if one.at >= end_dts]
        self._sound_bytes = sum(len(one.data) for one in self._sound)
        size += sum(len(one.data) for one in heard)
        if len(packets) > 1:
            self._step = max(1, (self._last_dts - self._start_dts) // (len(packets) - 1))
        wall = self._wall.place(self._start_dts * self._tick_s)
        part = CutPart(
            packets,
            self._start_dts,
            end_dts,
            int(wall * 1_000_000),
            size,
            self._keyframe,
            self._new_run,
            heard,
        )
        self._deliver(part)

    def _deliver(self, part: CutPart) -> None:
        cause = self._cause
        if cause is None and self._clock.monotonic() < self._event_until:
            cause = "event"
        if part.new_run:
            self._ring.clear()
        keep_s = 0.0 if self._file is not None and cause != "event" else self._pre_s
        self._ring.add(part, round(keep_s / self._tick_s))
        if self._file is not None and self._is_over(self._file, part, cause):
            self._end_file([one for one in part.sound if one.at < part.start_dts])
        if cause is None:
            return
        if self._file is not None:
            if not self._file.put(part):
                self._lost += 1
        elif not self._begin_file(cause):
            UNRECORDED.inc()

    def _is_over(self, file: SegmentFile, part: CutPart, cause: Cause | None) -> bool:
        if cause is None or file.failed or not file.disk.usable:
            return True
        length = part.start_dts - self._file_dts
        if part.keyframe:
            due = length >= self._segment_ticks - self._part_ticks // 2
            return due or part.new_run or cause != file.header.cause
        if length >= self._longest_ticks:
            self._ring.clear()
            return True
        return False

    def _begin_file(self, cause: Cause) -> bool:
        """Begin a file with what is not written yet; False where that cannot be."""
        disk = self._disks.choose()
        parts = self._ring.unwritten()
        if disk is None or not parts or self._info is None:
            return False
        init = self._init_segment(parts[0].packets[0])
        if init is None:
            return False
        self._file = self._open(disk, init, parts[0], cause)
        self._file_dts = parts[0].start_dts
        for part in parts:
            if not self._file.put(part):
                self._lost += 1
        return True

    def _open(self, disk: Disk, init: Init, first: CutPart, cause: Cause) -> SegmentFile:
        assert self._info is not None
        self._sequence += 1
        header = SegmentHeader(
            self._site,
            self.camera_id,
            self.role,
            new_id(),
            self._sequence,
            from_microseconds(first.wall_us),
            init.codec,
            init.width,
            init.height,
            cause,
            "jumped" if first.new_run else "steady",
        )
        return SegmentFile(
            disk,
            header,
            init.data,
            self._info.time_base,
            first.start_dts,
            sound=self._info.sound,
            motion=lambda: self._marks.since(header.started_at),
            on_closed=self._on_closed,
            on_written=self._on_written,
        )

    def _init_segment(self, keyframe: Packet) -> Init | None:
        if self._init is None and self._info is not None:
            try:
                self._init = _init_of(self._info, keyframe)
            except av.error.FFmpegError:
                return None  # a damaged keyframe: the next one will do
        return self._init

    def _end_file(self, late: Sequence[SoundPacket] = ()) -> None:
        file, self._file = self._file, None
        if file is not None:
            self._closed_bytes += file.bytes
            file.end(late)
            with self._ended_lock:
                self._ended.append((self._clock.monotonic() + self._options.late_s, file))
            self.settle()

    def _on_written(self) -> None:
        self._written_at = self._clock.monotonic()

    def _on_closed(self, record: SegmentRecord) -> None:
        self._last_segment_at = record.ends_at
        self._marks.closed(record.ends_at)
        self._tell_closed(record)


def _init_of(info: StreamInfo, keyframe: Packet) -> Init:
    """Return the init segment of a file, with a track of sound where there is sound."""
    init = Muxer(replace(info, sound=None), bytes(keyframe)).init
    if info.sound is None:
        return init
    data = with_sound(init.data, info.sound)
    return replace(init, data=data, codec=with_codec(init.codec, sound=True))
