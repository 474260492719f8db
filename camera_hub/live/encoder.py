"""H.264 for renditions: every picture out at once, a keyframe each second."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import av.error
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from camera_hub.streams.parameters import parameter_sets, read_info
from core.errors import UnavailableError

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

    from camera_hub.streams.painting import FilmShot, Shot
    from camera_hub.streams.types import Packet, StreamInfo

TIMESCALE = 90000
TIME_BASE = Fraction(1, TIMESCALE)
KEYFRAME_EVERY_S = 1.0
_CODEC = "libx264"
# One thread and one slice: many small streams on few cores. Baseline plays everywhere.
_OPTIONS = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "profile": "baseline",
    "crf": "25",
    "maxrate": "2M",
    "bufsize": "1M",
    "forced-idr": "1",
    "x264-params": "keyint=600:scenecut=0:repeat-headers=1:slices=1:sliced-threads=0:log-level=-1",
}


class Encoder:
    """Encodes pictures of one size; not thread-safe."""

    def __init__(self, width: int, height: int, fps: float) -> None:
        """Make an encoder for pictures of `width` and `height` (even) at about `fps`.

        Raises:
            UnavailableError: code `no-encoder`: the media library was built without one.
        """
        self.size = (width, height)
        try:
            context = av.CodecContext.create(_CODEC, "w")
        except (av.error.FFmpegError, ValueError) as error:
            raise UnavailableError(
                "The media library of this installation cannot encode H.264.",
                remedy="Install PyAV as a wheel: its wheels bring libx264.",
                code="no-encoder",
            ) from error
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(round(fps))
        context.time_base = TIME_BASE
        context.thread_count = 1
        context.options = dict(_OPTIONS)
        self._context: VideoCodecContext = context
        self._reformatter = VideoReformatter()  # keeps its tables between pictures
        self._origin_s: float | None = None
        self._keyframe_s = float("-inf")
        self._last = -1

    def encode(self, shot: Shot) -> list[Packet]:
        """Return the packets of the next picture, in a time base of 1/90000; usually one.

        Raises:
            av.error.FFmpegError: the library refused the picture.
        """
        picture = av.VideoFrame.from_ndarray(shot.picture, format="rgb24")
        return self._encode(self._reformatter.reformat(picture, format="yuv420p"), shot.at_s)

    def encode_film(self, shot: FilmShot) -> list[Packet]:
        """Return the packets of the next picture of a recording, as `encode` does.

        Raises:
            av.error.FFmpegError: the library refused the picture.
        """
        return self._encode(av.VideoFrame.from_ndarray(shot.data, format="yuv420p"), shot.at_s)

    def _encode(self, frame: av.VideoFrame, at_s: float) -> list[Packet]:
        if self._origin_s is None:
            self._origin_s = at_s
        frame.pts = self._last = max(round((at_s - self._origin_s) * TIMESCALE), self._last + 1)
        frame.time_base = TIME_BASE
        if at_s - self._keyframe_s >= KEYFRAME_EVERY_S:
            self._keyframe_s = at_s
            frame.pict_type = PictureType.I
        return self._context.encode(frame)


def info_of(keyframe: Packet) -> StreamInfo:
    """Return the parameters of the stream that a keyframe of `Encoder` begins.

    Raises:
        av.error.FFmpegError: it is no such keyframe.
    """
    data = bytes(keyframe)
    return read_info("h264", parameter_sets("h264", data), data, TIME_BASE)
