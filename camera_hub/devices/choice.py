"""Which of a camera's streams to use, and what to tell a person about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from camera_hub.devices.types import ProbeWarning, Profile

USABLE = ("h264", "hevc")
_SUB_PIXELS = 640 * 360
_LONGEST_GOP_S = 1.0


def choose(profiles: Sequence[Profile]) -> tuple[Profile, Profile]:
    """Return main and sub stream of `profiles`, which hold at least one usable.

    Main is the largest picture. Sub is the H.264 profile nearest to 640x360 that is not main;
    without such a one, the nearest H.265 profile; with a single profile, main itself.
    """
    usable = [profile for profile in profiles if profile.codec in USABLE]
    main = max(usable, key=lambda p: (p.width * p.height, p.codec == "h264"))
    others = [profile for profile in usable if profile.token != main.token]
    if not others:
        return main, main
    return main, min(others, key=lambda p: (p.codec != "h264", _distance(p)))


def _distance(profile: Profile) -> float:
    pixels = profile.width * profile.height
    return abs(math.log(pixels / _SUB_PIXELS)) if pixels > 0 else math.inf


def warnings_of(main: Profile, sub: Profile) -> list[ProbeWarning]:
    """Return what a person should know about the streams chosen."""
    warnings = []
    for profile in dict.fromkeys((main, sub)):
        if profile.gop and profile.fps > 0 and profile.gop / profile.fps > _LONGEST_GOP_S:
            seconds = profile.gop / profile.fps
            warnings.append(
                ProbeWarning(
                    "long-gop",
                    f"Stream '{profile.name}' sends a keyframe every {seconds:.1f} s: pictures "
                    "start late and events are noticed late. Set its I-frame interval to "
                    f"{math.floor(profile.fps)} pictures (1 s) in the camera.",
                )
            )
    if "h264" not in (main.codec, sub.codec):
        warnings.append(
            ProbeWarning(
                "no-h264",
                "The camera offers H.265 only, which many browsers cannot show. "
                "Set one stream to H.264 in the camera.",
            )
        )
    return warnings
