"""Footage that a test makes itself: a moving square on grey, so that no file is needed."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def make_units(
    *, codec: str = "h264", width: int = 320, height: int = 240, frames: int = 50, gop: int = 10
) -> list[bytes]:
    """Return `frames` Annex B access units with parameter sets before each keyframe."""
    encoder = av.CodecContext.create("libx264" if codec == "h264" else "libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate = 25
    encoder.time_base = 1 / encoder.framerate
    encoder.gop_size, encoder.max_b_frames = gop, 0
    fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1:bframes=0:slices=1"
    if codec == "h264":
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": fixed + ":sliced-threads=0",
        }
    else:
        encoder.options = {"preset": "ultrafast", "x265-params": fixed + ":log-level=none"}
    packets = []
    for number in range(frames):
        picture = np.full((height, width, 3), 96, np.uint8)
        left = int((width - 40) * number / frames)
        picture[height // 3 : height // 3 + 40, left : left + 40] = (250, 30, 30)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [bytes(packet) for packet in packets]


def write_units(path: Path, units: list[bytes]) -> Path:
    """Write access units as the test server reads them."""
    path.write_bytes(b"".join(struct.pack(">I", len(unit)) + unit for unit in units))
    return path


def write_mp4(path: Path, *, seconds: float = 2.0, width: int = 320, height: int = 240) -> Path:
    """Write an H.264 MP4 of the moving square at 25 fps."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        total = int(seconds * 25)
        for number in range(total):
            picture = np.full((height, width, 3), 96, np.uint8)
            left = int((width - 40) * number / total)
            picture[height // 3 : height // 3 + 40, left : left + 40] = (250, 30, 30)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def nal_units(data: bytes) -> list[bytes]:
    """Split an Annex B access unit into its NAL units, without start codes."""
    parts = data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [part for part in parts if part]


def packets_of(units: list[bytes], start: int = 0) -> "list[av.Packet[Any]]":
    """Return access units as packets at 25 a second (time base 1/90000) from number `start`."""
    packets = []
    for number, unit in enumerate(units, start):
        packet: av.Packet[Any] = av.Packet(unit)
        packet.time_base = Fraction(1, 90000)
        packet.pts = packet.dts = number * 3600
        packet.is_keyframe = any(nal[0] & 31 == 5 for nal in nal_units(unit))
        packets.append(packet)
    return packets
