"""Reading of recorded files: only the bytes that are asked for, and only whole parts.

`scanning.scan` says where the parts of a file lie (two short reads of a closed file; of one that
was cut off what is whole). A span is then one read of neighbouring parts.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import av
import av.error

from camera_hub.recording.format import (
    LONGEST,
    TIMESCALE,
    FormatError,
    Keyframe,
    Part,
)
from camera_hub.recording.mp4 import sample_description
from camera_hub.recording.scanning import (
    scan,
)
from camera_hub.recording.sound import (
    SoundSample,
    has_sound,
    read_sound,
    sound_of,
    without_sound,
)
from core.errors import HubError

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.container import InputContainer
    from av.video.frame import VideoFrame

_PRFT_BYTES = 32
_PEEK = 8 * 1024  # the boxes of a part of 500 frames
_NOT_SYNC = 0x00010000
_TRUN_AT = _PRFT_BYTES + 8 + 16 + 8 + 16 + 20
_SAMPLE = struct.Struct(">IIIi")
_REMEDY = "An administrator finds out more with `camera-hub recordings check`."


class SegmentUnreadableError(HubError):
    """A recorded file is missing or damaged (410): asking again does not bring it back."""

    status = 410
    code = "segment-damaged"


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of a part: when it is decoded (ticks of 90 kHz) and where its bytes lie.

    `later` is from decoding to showing, in ticks; `position` is in the file.
    """

    time: int
    duration: int
    later: int
    keyframe: bool
    position: int
    size: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame, and the wall clock at which it was taken (UTC)."""

    frame: VideoFrame
    at: datetime


class SegmentFile:
    """One recorded file, open for reading in one thread; use it in a `with` block.

    `parts` are the whole ones; `closed` is False where the end was cut off. `init` is the init
    segment, `silent_init` the same without a track of sound; `sounds` says whether it has one.

    Raises:
        SegmentUnreadableError: `segment-missing`, or `segment-damaged` where nothing of it is
            whole.
    """

    _file = -1

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise _missing() from error
        try:
            found = scan(path)
            self.header = found.header
            self.parts: tuple[Part, ...] = found.parts
            self.keyframes: tuple[Keyframe, ...] = found.keyframes
            self.closed = found.closed
            self.init = self.read(0, found.init_bytes)
            sample_description(self.init)
            described = sound_of(self.init) if has_sound(self.header.codec) else None
            self.sounds = described is not None
            self.silent_init = without_sound(self.init) if described else self.init
            self._rate = described[1] if described else 0
        except (struct.error, OSError, ValueError, TypeError, OverflowError) as error:
            self.close()
            raise damaged("The recorded file has no beginning that can be read.") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        handle, self._file = self._file, -1
        if handle >= 0:
            os.close(handle)

    def __del__(self) -> None:
        # An answer that nobody waits for any more is dropped before it has begun to be sent.
        self.close()

    def read(self, position: int, size: int) -> bytes:
        """Return these bytes of the file.

        Raises:
            SegmentUnreadableError: the disk does not give them.
        """
        found = []
        while size > 0:
            try:
                piece = os.pread(self._file, size, position)
            except (OSError, OverflowError, ValueError) as error:
                raise damaged("The disk does not give the recorded bytes.") from error
            if not piece:
                raise damaged("The recorded file ends before it says it does.")
            found.append(piece)
            position, size = position + len(piece), size - len(piece)
        return found[0] if len(found) == 1 else b"".join(found)

    def span(self, start: datetime, end: datetime, *, keyframe: bool = True) -> Sequence[Part]:
        """Return the neighbouring whole parts that cover [start, end); none if they lie elsewhere.

        Args:
            start: aware.
            end: aware.
            keyframe: begin early enough that the picture at `start` can be decoded; else with the
                part that holds `start`, for who has the part before.
        """
        first = next((n for n, part in enumerate(self.parts) if part.ends_at > start), None)
        if first is None:
            return ()
        last = first
        while last < len(self.parts) and self.parts[last].starts_at < end:
            last += 1
        if last == first:
            return ()
        if keyframe:
            first = self._decodable(first, start)
        return self.parts[first:last]

    def keyframe(self, at: datetime, *, after: bool = False) -> Picture:
        """Return the keyframe nearest to `at`, decoded; with `after` none before `at`.

        Raises:
            SegmentUnreadableError: there is none, or it cannot be decoded.
        """
        found = [one for one in self.keyframes if not after or one.at >= at]
        if not found:
            raise damaged("The recorded file has no picture there.")
        nearest = min(found, key=lambda one: abs(one.at - at))
        part = next((p for p in self.parts if p.offset <= nearest.offset < p.offset + p.size), None)
        if part is None:
            raise damaged("The recorded picture is not where the file says.")
        content = self.silent_init + self.read(part.offset, part.silent)
        try:
            with _opened(content) as container:
                context = container.streams.video[0].codec_context
                for number, packet in enumerate(container.demux(video=0), 1):
                    if number == nearest.sample:
                        frame = [*context.decode(packet), *context.decode(None)][0]
                        return Picture(frame, nearest.at)
        except (av.error.FFmpegError, IndexError) as error:
            raise damaged("The recorded picture cannot be decoded.") from error
        raise damaged("The recorded picture is not where the file says.")

    def decoded(self, parts: Sequence[Part]) -> Iterator[Picture]:
        """Yield the frames of neighbouring parts, decoded, in the order in which they are shown.

        Raises:
            SegmentUnreadableError: they cannot be decoded.
        """
        if not parts:
            return
        pieces = (self.read(*where) for where in ranges(parts, sound=False))
        content = b"".join((self.silent_init, *pieces))
        following = iter(parts)
        part = next(following)
        until = part.decode_time + part.duration
        try:
            with _opened(content) as container:
                for frame in container.decode(video=0):
                    if frame.pts is None:
                        continue
                    while frame.pts >= until and (after := next(following, None)) is not None:
                        part, until = after, after.decode_time + after.duration
                    yield Picture(frame, wall(part, frame.pts))
        except (av.error.FFmpegError, IndexError, OverflowError) as error:
            raise damaged("The recorded pictures cannot be decoded.") from error

    def samples(self, part: Part) -> list[Sample]:
        """Return the frames of a part, in the order in which they are decoded.

        Raises:
            SegmentUnreadableError: the part is not as it was written.
        """
        head = self.read(part.offset, min(_PEEK, part.size))
        try:
            length, kind, _, count, data_offset = struct.unpack_from(">I4sIII", head, _TRUN_AT)
            if _TRUN_AT + length > len(head):
                head = self.read(part.offset, min(_TRUN_AT + length, part.size))
            if kind != b"trun" or length != 20 + 16 * count:
                raise ValueError(kind)
            found, time = [], part.decode_time
            position, end = part.offset + _PRFT_BYTES + data_offset, part.offset + part.silent
            body = head[_TRUN_AT + 20 : _TRUN_AT + length]
            for duration, size, flags, later in _SAMPLE.iter_unpack(body):
                found.append(Sample(time, duration, later, not flags & _NOT_SYNC, position, size))
                time, position = time + duration, position + size
            if not found or position != end or time != part.decode_time + part.duration:
                raise ValueError("size")
        except (struct.error, ValueError) as error:
            raise damaged("A part of the recorded file is not as it was written.") from error
        return found

    def media(self, parts: Sequence[Part], *, sound: bool, most: int) -> Iterator[bytes]:
        """Yield the bytes of neighbouring parts, `most` at once, without their sound or with it.

        Raises:
            SegmentUnreadableError: the disk does not give them.
        """
        found: list[bytes] = []
        room = most
        for begin, size in ranges(parts, sound=sound):
            done = 0
            while done < size:
                found.append(self.read(begin + done, min(room, size - done)))
                done += len(found[-1])
                room -= len(found[-1])
                if not room:
                    yield b"".join(found)
                    found, room = [], most
        if found:
            yield b"".join(found)

    def heard(self, part: Part) -> list[SoundSample]:
        """Return the frames of sound of a part, by time; none where there is no sound.

        Raises:
            SegmentUnreadableError: they are not as they were written.
        """
        begin, longest = part.offset + part.silent, LONGEST * self._rate // TIMESCALE
        if not self.sounds:
            return []
        try:
            found = list(read_sound(self.read(begin, part.sound), begin))
            if any(one.time + one.duration > longest for one in found):
                raise FormatError("its times cannot be")
            return found
        except FormatError as error:
            raise damaged("The sound of the recorded file is not as it was written.") from error

    def _decodable(self, first: int, start: datetime) -> int:
        """Return the part from which on the picture at `start` can be decoded."""
        before = [one.offset for one in self.keyframes if one.at <= start]
        if not before:
            return first
        while first > 0 and self.parts[first].offset > before[-1]:
            first -= 1
        return first


def ranges(parts: Sequence[Part], *, sound: bool) -> list[tuple[int, int]]:
    """Return where the bytes of neighbouring parts lie, offset and size, without sound or with."""
    if sound or not any(part.sound for part in parts):
        begin = parts[0].offset
        return [(begin, parts[-1].offset + parts[-1].size - begin)]
    return [(part.offset, part.silent) for part in parts]


def wall(part: Part, ticks: int) -> datetime:
    """Return the wall clock at a time in ticks, as `part` has it."""
    return part.starts_at + timedelta(seconds=(ticks - part.decode_time) / TIMESCALE)


def _opened(content: bytes) -> InputContainer:
    # A flipped bit may lie in a name of the file, and a name is nothing anybody needs.
    container = av.open(io.BytesIO(content), mode="r", format="mp4", metadata_errors="replace")
    # The library's types know of no stream without one, its files do.
    context = cast("CodecContext | None", container.streams.video[0].codec_context)
    if context is None:
        container.close()
        raise damaged("The recorded file does not say how its pictures are packed.")
    context.thread_count = 1
    return container


def _missing() -> SegmentUnreadableError:
    return SegmentUnreadableError(
        "The recorded file cannot be opened.", remedy=_REMEDY, code="segment-missing"
    )


def damaged(message: str) -> SegmentUnreadableError:
    """Return the error of a file that is not as it was written."""
    return SegmentUnreadableError(message, remedy=_REMEDY)
