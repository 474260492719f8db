"""Footage of any kind made into what a camera sends: H.264, GOP of 1 s, no B-frames.

Done once per file and kept: the result is named after the source's content, so that the
second demo starts at once. Without B-frames decoding order is display order, and every
GOP starts with an IDR picture, so that the clip can be played in a loop without a seam.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from core.errors import InvalidInputError, UnavailableError

MAIN_WIDTH = 1280
SUB_WIDTH = 640
MAX_FPS = 25.0
MAX_SECONDS = 150.0
MAX_PIXELS = 1920 * 1080 * 25 * 40
"""Pixels that are decoded at most: 40 s of full HD, 10 s of 4K; bounds the wait."""
_RECIPE = b"5"  # change it whenever the encoder's settings below change
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

    Blocks for some seconds; run it in a thread. Only the first `max_seconds` are used, and of
    large pictures less (`MAX_PIXELS`). What `progress` raises stops the work and is passed on.

    Raises:
        InvalidInputError: `source` cannot be read or holds no video.
        UnavailableError: `work_dir` cannot be written to, or is full.
    """
    name = _fingerprint(source, max_seconds)
    clip = Clip(work_dir / f"{name}-main.mp4", work_dir / f"{name}-sub.mp4")
    if clip.main.is_file() and clip.sub.is_file():
        return clip
    with _writing(work_dir):
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


@contextlib.contextmanager
def _writing(work_dir: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        raise UnavailableError(
            f"Cannot write prepared footage to {work_dir}: {error.strerror}.",
            remedy="Make room there or make it writable, or name another work directory.",
            code="footage",
        ) from error


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
        native = float(stream.average_rate or stream.guessed_rate or MAX_FPS)
        rate = min(native, MAX_FPS) if native > 0 else MAX_FPS
        second = max(1, stream.width * stream.height) * max(native, rate)
        seconds = min(max_seconds, MAX_PIXELS / second)
        total = min(seconds, (container.duration or 0) / av.time_base or seconds)
        main = _Encoder(into.main, MAIN_WIDTH, rate)
        sub = _Encoder(into.sub, SUB_WIDTH, rate)
        try:
            frames = 0
            for at, frame in _steady(_decode(container, stream), rate, seconds):
                frames += 1
                main.encode(frame, at)
                sub.encode(frame, at)
                if progress is not None:
                    progress(min(1.0, at / total))
        finally:
            main.close()
            sub.close()
        if frames < 2:
            raise _no_video(source)


def _decode(container: InputContainer, stream: av.VideoStream) -> Iterator[VideoFrame]:
    """Yield the pictures that can be decoded; damaged ones, and a damaged end, are left out."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.InvalidDataError, av.EOFError):
            return
        with contextlib.suppress(av.InvalidDataError):
            yield from stream.decode(packet)


def _steady(
    frames: Iterator[VideoFrame], rate: float, max_seconds: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield (seconds from the start, frame), strictly forward and at most `rate` a second."""
    origin: float | None = None
    slot = -1
    for index, frame in enumerate(frames):
        # A damaged file may lack timestamps: then the frames are taken as evenly spaced.
        time = frame.time if frame.time is not None else (origin or 0.0) + index / rate
        origin = time if origin is None else origin
        at = time - origin
        if at > max_seconds:
            return
        if round(at * rate) > slot:
            slot = round(at * rate)
            yield at, frame


class _Encoder:
    """Writes one stream; opened with the first frame, when the size is known."""

    def __init__(self, path: Path, max_width: int, rate: float) -> None:
        self._folder = path.parent
        with _writing(self._folder):
            self._container = av.open(str(path), "w", format="mp4")
        self._max_width = max_width
        self._rate = Fraction(rate).limit_denominator(1001)
        self._stream: av.VideoStream | None = None
        self._turn: Graph | None = None
        self._size = (0, 0)

    def encode(self, frame: VideoFrame, at: float) -> None:
        stream = self._stream or self._open(frame)
        picture = frame.reformat(*self._size, "yuv420p")
        if self._turn is not None:
            self._turn.vpush(picture)
            picture = self._turn.vpull()
        picture.pts = round(at * _CLOCK)
        picture.time_base = Fraction(1, _CLOCK)
        picture.pict_type = PictureType.NONE
        packets = stream.encode(picture)
        with _writing(self._folder):
            self._container.mux(packets)

    def close(self) -> None:
        with _writing(self._folder):
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def _open(self, frame: VideoFrame) -> av.VideoStream:
        quarters = round(frame.rotation / 90) % 4
        upright = (frame.width, frame.height) if quarters % 2 == 0 else (frame.height, frame.width)
        width = max(2, min(self._max_width, upright[0]) // 2 * 2)
        height = max(2, round(upright[1] * width / upright[0] / 2) * 2)
        self._size = (width, height) if quarters % 2 == 0 else (height, width)
        self._turn = _turn(quarters, *self._size) if quarters else None
        gop = max(1, round(float(self._rate)))
        stream = self._container.add_stream("libx264", rate=self._rate)
        assert isinstance(stream, av.VideoStream)
        context: VideoCodecContext = stream.codec_context
        context.width, context.height = width, height
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


def _turn(quarters: int, width: int, height: int) -> Graph:
    """Return a filter that turns pictures by `quarters` of a circle, counter-clockwise.

    Phones store pictures as the sensor sees them and note how to turn them.
    """
    graph = Graph()
    pixels = av.VideoFormat("yuv420p", width, height)
    base = Fraction(1, _CLOCK)
    nodes = [graph.add_buffer(width=width, height=height, format=pixels, time_base=base)]
    nodes += [graph.add("transpose", "cclock") for _ in range(quarters)]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    return graph
