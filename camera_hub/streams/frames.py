"""Decoding: one thread a camera, always the newest picture, never a queue of old ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from camera_hub.streams.types import Frame, StreamInfo
from core.clock import Clock, SystemClock
from core.errors import InvalidInputError
from core.logging import get_logger
from core.metrics import counter

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext

    from camera_hub.streams.types import Packet

log = get_logger(__name__)
CRASHES = counter("decoder_errors", "Errors inside a decoder that nobody expected")

QUEUE_LIMIT = 100
"""Packets that may wait for the decoder: some seconds, so that a busy moment loses nothing."""
KEPT_LIMIT = 600
"""Packets kept in patrol since the last keyframe, to be decoded on waking."""
_REORDER_LIMIT = 64

_Arrival = tuple[float, datetime]
_Item = tuple["Packet", float, datetime]


class FrameDecoder:
    """A sink that decodes on a thread of its own and keeps only the newest picture.

    When decoding does not keep up, the waiting packets are thrown away up to the next keyframe
    and counted in `dropped`. With `keyframes_only` (patrol) only keyframes are decoded; setting
    it to False decodes what came since the last keyframe and then everything.
    """

    def __init__(self, *, keyframes_only: bool = False, queue_limit: int = QUEUE_LIMIT) -> None:
        self._queue_limit = queue_limit
        self._keyframes_only = keyframes_only
        self._changed = threading.Condition()
        self._queue: deque[_Item | StreamInfo] = deque()
        self._need_keyframe = True
        self._stopped = False
        self._latest: Frame | None = None
        self._taken = True
        self._decoded = self._dropped = self._errors = 0
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    @property
    def decoded(self) -> int:
        """Pictures decoded so far."""
        return self._decoded

    @property
    def dropped(self) -> int:
        """Packets thrown away undecoded because decoding did not keep up."""
        return self._dropped

    @property
    def errors(self) -> int:
        """Packets that could not be decoded, as after loss on the network."""
        return self._errors

    @property
    def keyframes_only(self) -> bool:
        """Whether only keyframes are decoded."""
        return self._keyframes_only

    @keyframes_only.setter
    def keyframes_only(self, value: bool) -> None:
        self._keyframes_only = value

    def get(self, timeout: float) -> Frame | None:
        """Wait up to `timeout` seconds for a picture newer than the last one given."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._stopped, timeout)
            if self._taken:
                return None
            self._taken = True
            return self._latest

    def latest(self) -> Frame | None:
        """Return the newest picture, given before or not; None when the stream is closed."""
        return self._latest

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and wake whoever waits in `get`; wait up to `timeout` seconds."""
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join(timeout)

    def opened(self, info: StreamInfo) -> None:
        """Prepare for a stream (see `Sink`)."""
        with self._changed:
            self._queue.clear()
            self._queue.append(info)
            self._need_keyframe = True
            self._changed.notify_all()

    def packet(self, packet: Packet, arrived_monotonic: float, arrived_at: datetime) -> None:
        """Take a packet (see `Sink`)."""
        with self._changed:
            if len(self._queue) >= self._queue_limit:
                waiting = [item for item in self._queue if isinstance(item, StreamInfo)]
                self._dropped += len(self._queue) - len(waiting)
                self._queue = deque(waiting)
                self._need_keyframe = True
            if self._need_keyframe and not packet.is_keyframe:
                self._dropped += 1
                return
            self._need_keyframe = False
            self._queue.append((packet, arrived_monotonic, arrived_at))
            self._changed.notify_all()

    def closed(self) -> None:
        """Forget the picture: it shows what is no longer (see `Sink`)."""
        with self._changed:
            self._latest, self._taken = None, True

    def _run(self) -> None:
        decoding: _Decoding | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopped)
                if self._stopped:
                    return
                item = self._queue.popleft()
            try:
                if isinstance(item, StreamInfo):
                    decoding = _Decoding(item, self._publish)
                elif decoding is not None:
                    decoding.take(item, keyframes_only=self._keyframes_only)
            except av.error.FFmpegError:
                self._errors += 1
            except Exception as error:  # noqa: BLE001 - top of the decoder's loop: counted, logged
                CRASHES.inc()
                self._errors += 1
                log.error("decoder failed", error=type(error).__name__)

    def _publish(self, frame: Frame) -> None:
        with self._changed:
            self._decoded += 1
            self._latest, self._taken = frame, False
            self._changed.notify_all()


class _Decoding:
    """The decoder of one stream with unchanging parameters; used by one thread."""

    def __init__(self, info: StreamInfo, publish: Callable[[Frame], None]) -> None:
        self._context = open_decoder(info)
        self._publish = publish
        self._arrivals: dict[int, _Arrival] = {}
        self._kept: list[_Item] = []
        self._patrolling = False

    def take(self, item: _Item, *, keyframes_only: bool) -> None:
        packet = item[0]
        if not keyframes_only:
            if self._patrolling:
                self._patrolling = False
                self._context.flush_buffers()
                kept, self._kept = self._kept, []
                for old in kept:
                    self._decode(old)
            self._decode(item)
            return
        if packet.is_keyframe:
            self._kept.clear()
            self._context.flush_buffers()
            self._decode(item)
            # The decoder may hold a picture back to put later ones before it; none will come.
            self._decode(None)
            self._context.flush_buffers()
            self._patrolling = True
        if len(self._kept) < KEPT_LIMIT:
            self._kept.append(item)

    def _decode(self, item: _Item | None) -> None:
        if item is not None:
            packet, arrived, arrived_at = item
            self._arrivals[packet.pts or 0] = (arrived, arrived_at)
            if len(self._arrivals) > _REORDER_LIMIT:
                del self._arrivals[next(iter(self._arrivals))]
        for picture in self._context.decode(item[0] if item else None):
            known = self._arrivals.pop(picture.pts or 0, None)
            if known is not None:
                self._publish(Frame(picture, arrived_at=known[1], arrived_monotonic=known[0]))


def open_decoder(info: StreamInfo) -> VideoCodecContext:
    """Return a decoder for `info`. One thread: with many cameras more cost and gain nothing."""
    context = av.CodecContext.create(info.codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = info.extradata
    context.thread_count = 1
    return context


# Only containers of video: the library would also "play" plain text and single pictures, and
# open what a playlist names.
_FILE_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,mxf,h264,hevc,m4v,mpegvideo,ivf,gxf,wtv,rm,3g2"
)


def open_file(path: Path, *, clock: Clock | None = None) -> Iterator[Frame]:
    """Open a video file and return its pictures, as fast as they can be decoded.

    `arrived_at` begins now and follows the file's own time, as if a camera sent it.

    Raises:
        InvalidInputError: there is no such file or it holds no video (`code` is `not-a-video`);
            raised before the first picture where possible, later if the file breaks off at once.
    """
    clock = clock or SystemClock()
    name = path.name
    remedy = "Give a file that a video player plays, such as an MP4 or MKV."
    if not path.is_file():
        raise InvalidInputError(
            f"There is no file {path}.", remedy="Check its path.", code="not-a-video"
        )
    try:
        container = av.open(
            str(path.absolute()),
            mode="r",
            options={"format_whitelist": _FILE_FORMATS, "protocol_whitelist": "file"},
            # Many recorders write titles in GBK.
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError) as error:
        raise InvalidInputError(
            f"'{name}' is not a video file.", remedy=remedy, code="not-a-video"
        ) from error
    if not container.streams.video:
        container.close()
        raise InvalidInputError(f"'{name}' holds no video.", remedy=remedy, code="not-a-video")
    return _file_frames(container, name, clock)


def _file_frames(container: InputContainer, name: str, clock: Clock) -> Iterator[Frame]:
    stream = container.streams.video[0]
    # One file at a time may use all cores, unlike a camera among many.
    stream.thread_type = "AUTO"
    begun, begun_monotonic, first_s = clock.now(), clock.monotonic(), None
    count = 0
    with container:
        for packet in container.demux(stream):
            try:
                pictures = packet.decode()
            except av.error.FFmpegError:
                continue
            for picture in pictures:
                seconds = float(picture.time or 0.0)
                first_s = seconds if first_s is None else first_s
                passed = seconds - first_s
                count += 1
                yield Frame(
                    picture,
                    arrived_at=begun + timedelta(seconds=passed),
                    arrived_monotonic=begun_monotonic + passed,
                )
    if count == 0:
        raise InvalidInputError(
            f"No picture in '{name}' can be decoded.",
            remedy="Give a file that a video player plays, such as an MP4 or MKV.",
            code="not-a-video",
        )
