"""Recordings with sound as a browser plays them: where nothing was heard there is silence.

Browsers show no picture where a track of sound that was announced has nothing. Files hold what was
heard and nothing else, so what is missing is put in on the way out, part by part: the same part
gives the same bytes, whatever else was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from camera_hub.recording.format import TIMESCALE
from camera_hub.recording.reading import damaged
from camera_hub.recording.sound import channels_of, sound_boxes, sound_of
from camera_hub.streams.sound.config import FRAME_SAMPLES, silent_frame
from camera_hub.streams.types import SoundPacket

if TYPE_CHECKING:
    from camera_hub.recording.format import Part
    from camera_hub.recording.reading import SegmentFile

_LONGEST_SILENCE_S = 600
"""Of one part: what is longer is no silence but a damaged time."""


def filled(file: SegmentFile, parts: Sequence[Part]) -> Iterator[bytes]:
    """Yield neighbouring parts of a file with a track of sound, silence where it has none.

    Raises:
        SegmentUnreadableError: the disk does not give them, or they are not as they were written.
    """
    described = sound_of(file.init)
    assert described is not None
    stsd, rate = described
    silence = silent_frame(rate, channels_of(stsd))
    begin = _begin(file, file.parts.index(parts[0]), rate)
    for number, part in enumerate(parts, file.parts.index(parts[0])):
        end = _begin(file, number + 1, rate)
        placed: list[tuple[int, SoundPacket]] = []
        heard = file.heard(part)
        if max([end, *(one.time for one in heard)]) - begin > _LONGEST_SILENCE_S * rate:
            raise damaged("The sound of the recorded file is not as it was written.")
        for one in heard:
            placed += _silent(begin, one.time, silence)
            data = file.read(one.position, one.size)
            placed.append((one.time, SoundPacket(data, 0, FRAME_SAMPLES)))
            begin = one.time + FRAME_SAMPLES
        placed += _silent(begin, end, silence)
        yield file.read(part.offset, part.silent) + sound_boxes(placed, number + 1)
        begin = end


def _begin(file: SegmentFile, number: int, rate: int) -> int:
    """Return where the sound of a part begins, silence included, in samples."""
    if number == 0:
        return 0
    if number == len(file.parts):
        last = file.parts[-1]
        return (last.decode_time + last.duration) * rate // TIMESCALE
    heard = file.heard(file.parts[number])
    if heard:
        return heard[0].time
    start = file.parts[number].decode_time * rate // TIMESCALE
    # The last frame of the part before may reach into this one.
    return start + FRAME_SAMPLES if file.parts[number - 1].sound else start


def _silent(begin: int, end: int, silence: bytes) -> Iterator[tuple[int, SoundPacket]]:
    """Yield whole frames of silence within [begin, end)."""
    for time in range(begin, end - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        yield time, SoundPacket(silence, 0, FRAME_SAMPLES)
