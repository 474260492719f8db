"""The video encoders of a simulated device: what they offer, and what becomes of a wish.

Settings are kept and told; the footage that is played stays as it was prepared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from camera_hub.simulator.onvif_xml import StreamProfile

PREFIX = "encoder_"
"""A profile's encoder has the profile's token behind this."""


@dataclass(frozen=True)
class EncoderOptions:
    """What each encoder can be set to; rates in frames and kbit a second, GOP in frames."""

    resolutions: Sequence[tuple[int, int]] = ((1920, 1080), (1280, 720), (640, 360), (320, 180))
    encodings: Sequence[str] = ("H264", "H265")
    fps: tuple[int, int] = (1, 25)
    bitrate_kbps: tuple[int, int] = (64, 8192)
    gop: tuple[int, int] = (1, 100)

    def clamp(self, wish: StreamProfile) -> StreamProfile:
        """Return the nearest that an encoder can do, as most cameras do without a word."""
        width, height = min(
            self.resolutions,
            key=lambda size: abs(size[0] * size[1] - wish.width * wish.height),
        )
        return replace(
            wish,
            width=width,
            height=height,
            fps=float(_between(self.fps, round(wish.fps))),
            bitrate_kbps=_between(self.bitrate_kbps, wish.bitrate_kbps),
            gop=_between(self.gop, wish.gop),
            encoding=wish.encoding if wish.encoding in self.encodings else self.encodings[0],
        )


def _between(limits: tuple[int, int], value: int) -> int:
    return max(limits[0], min(limits[1], value))
