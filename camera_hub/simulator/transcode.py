"""Footage of any kind made into what a camera sends: H.264, GOP of 1 s, no B-frames.

Done once per file and kept: the result is named after the source's content, so that the
second demo starts at once. Without B-frames decoding order is display order, and every
GOP starts with an IDR picture, so that the clip can be played in a loop without a seam.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from core.errors import InvalidInputError

MAIN_WIDTH = 1280
SUB_WIDTH = 640
MAX_FPS = 25.0
MAX_SECONDS = 150.0
_RECIPE = b"4"  # change it whenever the encoder's settings below change
_CLOCK = 90_000

Progress = Callable[[float], None]
"""Called with the share done, 0..1."""


@dataclass(frozen=True)
class Clip:
    """The two streams of a virtual camera."""

    main: Path
    sub: Path


def prepare(
    source: Path,
    work_dir: Path,
    *,
    max_seconds: float = MAX_SECONDS,
    progress: Progress | None = None,
) -> Clip:
    """Convert `source` into `work_dir`, or find it there from an earlier time.

    Blocks for some seconds; run it in a thread. Only the first `max_seconds` are used.

    Raises:
        InvalidInputError: `source` cannot be read or holds no video.
    """
    name = _fingerprint(source, max_seconds)
    clip = Clip(work_dir / f"{name}-main.mp4", work_dir / f"{name}-sub.mp4")
    if clip.main.is_file() and clip.sub.is_file():
        return clip
    work_dir.mkdir(parents=True, exist_ok=True)
    partial = Clip(
        work_dir / f"{name}.{os.getpid()}-main.part", work_dir / f"{name}.{os.getpid()}-sub.part"
    )
    try:
        _convert(source, partial, max_seconds, progress)
        partial.main.replace(clip.main)
        partial.sub.replace(clip.sub)
    except (av.FFmpegError, ValueError) as error:
        raise _no_video(source) from error
    finally:
        partial.main.unlink(missing_ok=True)
        partial.sub.unlink(missing_ok=True)
    return clip


def _no_video(source: Path) -> InvalidInputError:
    return InvalidInputError(
        f"{source.name} is not a video that can be read.",
        remedy="Give a file with a video track, such as MP4, MKV, AVI or MOV; "
        "check that it plays in a video player.",
        code="footage",
    )


def _fingerprint(source: Path, max_seconds: float) -> str:
    digest = hashlib.sha256(_RECIPE + str(max_seconds).encode())
    try:
        with source.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InvalidInputError(
            f"Cannot read {source}: {error.strerror}.",
            remedy="Check the path and its permissions.",
            code="footage",
        ) from error
    return digest.hexdigest()[:24]


def _convert(source: Path, into: Clip, max_seconds: float, progress: Progress | None) -> None:
    with av.open(str(source)) as container:
        if not container.streams.video:
            raise _no_video(source)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        rate = min(rate, MAX_FPS) if rate > 0 else 25.0
        seconds = min(max_seconds, (container.duration or 0) / av.time_base or max_seconds)
        main = _Encoder(into.main, MAIN_WIDTH, rate)
        sub = _Encoder(into.sub, SUB_WIDTH, rate)
        try:
            frames = 0
            for at, frame in _steady(container.decode(stream), rate, max_seconds):
                frames += 1
                main.encode(frame, at)
                sub.encode(frame, at)
                if progress is not None:
                    progress(min(1.0, at / seconds))
        finally:
            main.close()
            sub.close()
        if frames < 2:
            raise _no_video(source)


def _steady(
    frames: Iterator[VideoFrame], rate: float, max_seconds: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield (seconds from the start, frame), strictly forward and never faster than `rate`."""
    origin: float | None = None
    last = -1.0
    index = 0
    for frame in frames:
        # A damaged file may lack timestamps: then the frames are taken as evenly spaced.
        time = frame.time if frame.time is not None else (origin or 0.0) + index / rate
        origin = time if origin is None else origin
        at = time - origin
        index += 1
        if at > max_seconds:
            return
        if at - last < 0.5 / rate:
            continue
        last = at
        yield at, frame


class _Encoder:
    """Writes one stream; opened with the first frame, when the size is known."""

    def __init__(self, path: Path, max_width: int, rate: float) -> None:
        self._container = av.open(str(path), "w", format="mp4")
        self._max_width = max_width
        self._rate = Fraction(rate).limit_denominator(1001)
        self._stream: av.VideoStream | None = None

    def encode(self, frame: VideoFrame, at: float) -> None:
        stream = self._stream or self._open(frame)
        picture = frame.reformat(stream.width, stream.height, "yuv420p")
        picture.pts = round(at * _CLOCK)
        picture.time_base = Fraction(1, _CLOCK)
        picture.pict_type = av.video.frame.PictureType.NONE
        self._container.mux(stream.encode(picture))

    def close(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _open(self, frame: VideoFrame) -> av.VideoStream:
        width = min(self._max_width, frame.width) // 2 * 2
        height = max(2, round(frame.height * width / frame.width / 2) * 2)
        gop = max(1, round(float(self._rate)))
        stream = self._container.add_stream("libx264", rate=self._rate)
        assert isinstance(stream, av.VideoStream)
        context: VideoCodecContext = stream.codec_context
        context.width, context.height = max(2, width), height
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, _CLOCK)
        context.gop_size = gop
        context.max_b_frames = 0
        context.options = {
            "preset": "ultrafast",
            "profile": "baseline",
            "crf": "25",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:open-gop=0",
        }
        self._stream = stream
        return stream
