"""What a video encoder offers, as Media1 and Media2 tell it."""

from __future__ import annotations

from dataclasses import dataclass

from camera_hub.devices.elements import (
    Element,
    as_number,
    attribute,
    count,
    every,
    first,
    text,
)
from camera_hub.devices.media import Version, codec_of

_MOST = 32
_MOST_SIZES = 64

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """What an encoder offers with one codec; None where the camera does not say.

    `sizes` are width and height, largest first; `fps` the rates offered, or the two ends of a
    range if `fps_is_range`; `gop` in pictures, `bitrate_kbps` in kbit/s, each from and to.
    """

    codec: str
    sizes: tuple[tuple[int, int], ...]
    fps: tuple[float, ...]
    fps_is_range: bool
    gop: Range | None
    bitrate_kbps: Range | None

    def nearest_fps(self, wanted: float) -> float:
        """Return the rate offered that is nearest to `wanted`."""
        if not self.fps:
            return wanted
        if self.fps_is_range:
            return min(max(wanted, self.fps[0]), self.fps[-1])
        return min(self.fps, key=lambda fps: (abs(fps - wanted), fps))


def read_options(answer: Element, version: Version) -> tuple[EncoderOptions, ...]:
    """Return what an answer to GetVideoEncoderConfigurationOptions says, each codec once."""
    if version == 2:
        found = [_options_2(one) for one in list(every(answer, "Options"))[:_MOST]]
    else:
        found = _options_1(first(answer, "Options"))
    return tuple({one.codec: one for one in found if one.codec}.values())


def _options_1(said: Element | None) -> list[EncoderOptions]:
    found = []
    for name in ("H264", "H265", "JPEG", "MPEG4"):
        one = first(said, name)
        # Only the extension, which repeats everything else, has the bit rate.
        more = first(said, f"Extension/{name}")
        one = more if one is None else one
        if one is None:
            continue
        rates = _range(first(one, "FrameRateRange"))
        found.append(
            EncoderOptions(
                codec=codec_of(name),
                sizes=_sizes(one),
                fps=rates or (),
                fps_is_range=True,
                gop=_range(first(one, "GovLengthRange")),
                bitrate_kbps=_range(first(more, "BitrateRange")),
            )
        )
    return found


def _options_2(said: Element) -> EncoderOptions:
    gop = _numbers(attribute(said, "GovLengthRange"))
    return EncoderOptions(
        codec=codec_of(text(said, "Encoding")),
        sizes=_sizes(said),
        fps=tuple(sorted(set(_numbers(_whole(said, "FrameRatesSupported"))))),
        fps_is_range=False,
        gop=(min(gop), max(gop)) if gop else None,
        bitrate_kbps=_range(first(said, "BitrateRange")),
    )


def _whole(element: Element, name: str) -> str:
    """Return an attribute in full: a list of a hundred rates is longer than other texts."""
    return next((str(v)[:2000] for k, v in element.attrib.items() if k.endswith(name)), "")


def _numbers(value: str) -> list[float]:
    found = (as_number(part) for part in value.split()[:256])
    return [number for number in found if number is not None and number > 0]


def _sizes(said: Element) -> tuple[tuple[int, int], ...]:
    found = {
        (count(one, "Width") or 0, count(one, "Height") or 0)
        for one in list(every(said, "ResolutionsAvailable"))[:_MOST_SIZES]
    }
    usable = [size for size in found if 0 < size[0] <= 32768 and 0 < size[1] <= 32768]
    return tuple(sorted(usable, key=lambda size: size[0] * size[1], reverse=True))


def _range(said: Element | None) -> Range | None:
    low, high = as_number(text(said, "Min")), as_number(text(said, "Max"))
    return None if low is None or high is None or high < low else (low, high)
