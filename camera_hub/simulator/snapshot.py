"""A still picture out of a clip in memory."""

import io

import av
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from camera_hub.simulator.clip import LoopedClip

_START_CODE = b"\x00\x00\x00\x01"


def jpeg(clip: LoopedClip, number: int) -> bytes:
    """Return the last keyframe up to frame `number` as JPEG. Takes some milliseconds."""
    index = number % len(clip.units)
    while not clip.units[index].keyframe:
        index -= 1
    nals = (clip.sps, clip.pps, *clip.units[index].nals)
    decoder = VideoCodecContext.create("h264", "r")
    packet = av.Packet(b"".join(_START_CODE + nal for nal in nals))
    frames = [*decoder.decode(packet), *decoder.decode(None)]
    with io.BytesIO() as file:
        Image.fromarray(frames[0].to_ndarray(format="rgb24")).save(file, "JPEG", quality=85)
        return file.getvalue()
