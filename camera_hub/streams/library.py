"""Reading through the media library: rtsps, and what our own client leaves to it.

The library cannot be interrupted inside a call. So a changed source or a stop does not wait for
the call: the thread is left behind (it ends by itself within its timeouts).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

import av

from camera_hub.streams.address import with_credentials
from camera_hub.streams.diagnosis import NOT_VIDEO, StreamFailure, unsupported_codec
from camera_hub.streams.parameters import Codec, parameter_sets
from camera_hub.streams.types import StreamSource, Transport

if TYPE_CHECKING:
    from types import TracebackType

    from av.video.stream import VideoStream

    from camera_hub.streams.types import Packet

_OPTIONS = {
    # Without it the library counts frames for two seconds before it gives the first.
    "fpsprobesize": "0",
    # With few pictures a second it would look at five seconds of them, as long as opening may take.
    "analyzeduration": "1500000",
    "allowed_media_types": "video",
}
_TRANSPORTS = {
    "tcp": "tcp",
    "udp": "udp",
    "multicast": "udp_multicast",
    "datagrams": "udp+udp_multicast",
}


class LibraryStream:
    """An open stream; a context manager. Opening raises errors of `av.error`."""

    def __init__(
        self,
        source: StreamSource,
        transport: Transport | Literal["datagrams"],
        *,
        open_s: float,
        read_s: float,
    ) -> None:
        """Open `source`; `datagrams` takes those of either kind that the camera sends.

        Raises:
            av.error.FFmpegError: it cannot be opened.
            AddressError: it is no address of a stream.
            StreamFailure: it has no video that can be used.
        """
        options = {**_OPTIONS, "rtsp_transport": _TRANSPORTS[transport]}
        self._container = av.open(
            with_credentials(source),
            mode="r",
            options=options,
            timeout=(open_s, read_s),
            # Many cameras say their name in GBK.
            metadata_errors="replace",
        )
        try:
            self._stream, self.codec = self._video()
        except StreamFailure:
            self._container.close()
            raise
        self.time_base = self._stream.time_base or Fraction(1, 90000)
        self.sets = parameter_sets(self.codec, self._stream.codec_context.extradata or b"")

    def __enter__(self) -> LibraryStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def packets(self) -> Iterator[Packet]:
        """Yield packets until the camera closes the connection.

        Raises:
            av.error.FFmpegError: nothing came in time.
        """
        for packet in self._container.demux(self._stream):
            if packet.size == 0:
                return
            yield packet

    def _video(self) -> tuple[VideoStream, Codec]:
        if not self._container.streams.video:
            raise StreamFailure(NOT_VIDEO)
        stream = self._container.streams.video[0]
        name = stream.codec_context.name if stream.codec_context else ""
        if name not in ("h264", "hevc"):
            raise StreamFailure(unsupported_codec(name))
        return stream, cast("Codec", name)
