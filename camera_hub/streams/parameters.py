"""Parameter sets of H.264 and H.265: finding them in a keyframe and reading what they say.

NAL unit types are from ITU-T H.264 table 7-1 and ITU-T H.265 table 7-1.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

import av

from camera_hub.streams.types import StreamInfo

if TYPE_CHECKING:
    from av.container import InputContainer

Codec = Literal["h264", "hevc"]
START_CODE = b"\x00\x00\x00\x01"
_SHORT_START = b"\x00\x00\x01"


def nal_units(data: bytes) -> Iterator[bytes]:
    """Split Annex B `data` into NAL units without start codes and without trailing zeros."""
    start = data.find(_SHORT_START)
    while start >= 0:
        start += 3
        end = data.find(_SHORT_START, start)
        unit = data[start:] if end < 0 else data[start:end]
        # A NAL unit never ends in zero: what is there belongs to the next start code.
        unit = unit.rstrip(b"\x00")
        if unit:
            yield unit
        start = end


def nal_type(codec: Codec, unit: bytes) -> int:
    """Return the type of a NAL unit."""
    return unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F


def is_parameter_set(codec: Codec, unit: bytes) -> bool:
    """Say whether `unit` is a VPS, SPS or PPS."""
    kind = nal_type(codec, unit)
    return kind in (7, 8) if codec == "h264" else kind in (32, 33, 34)


def parameter_sets(codec: Codec, data: bytes) -> tuple[bytes, ...]:
    """Return the distinct parameter sets in `data`, in order."""
    return tuple(dict.fromkeys(u for u in nal_units(data) if is_parameter_set(codec, u)))


def join(units: tuple[bytes, ...]) -> bytes:
    """Return `units` in Annex B form."""
    return b"".join(START_CODE + unit for unit in units)


def open_elementary(codec: Codec, data: bytes) -> AbstractContextManager[InputContainer]:
    """Open Annex B `data` (parameter sets and a keyframe) as a container of one video stream.

    Raises:
        av.error.FFmpegError: there is no picture in it.
    """
    return cast(
        "AbstractContextManager[InputContainer]",
        av.open(io.BytesIO(data), format=codec, mode="r"),
    )


def read_info(
    codec: Codec, sets: tuple[bytes, ...], keyframe: bytes, time_base: Fraction
) -> StreamInfo:
    """Return the parameters of the stream that `keyframe` begins.

    Raises:
        av.error.FFmpegError: the keyframe cannot be understood.
    """
    extradata = join(sets)
    with open_elementary(codec, extradata + keyframe) as container:
        stream = container.streams.video[0]
        return StreamInfo(
            codec=codec,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            time_base=time_base,
            extradata=extradata,
            fps=float(stream.codec_context.framerate or 0),
            reorder=stream.codec_context.reorder_depth,
        )
