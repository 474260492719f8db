"""Asking a plain RTSP stream what it carries, with the reader's own ways of opening it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import av
import av.error

from camera_hub.devices.address import CameraAddress
from camera_hub.devices.choice import USABLE, warnings_of
from camera_hub.devices.errors import (
    CameraError,
    CameraTimeoutError,
    CameraUnauthorisedError,
    CameraUnreachableError,
    MalformedAnswerError,
    NotACameraError,
    NoVideoProfileError,
)
from camera_hub.devices.types import ProbeResult, Profile
from camera_hub.streams.address import endpoint, with_credentials
from camera_hub.streams.diagnosis import (
    NOT_VIDEO,
    CameraBusyFailure,
    Failure,
    StreamFailure,
    explain,
    unsupported_codec,
)
from camera_hub.streams.falling_over import Ways
from camera_hub.streams.rtsp.client import LeaveToLibraryError
from camera_hub.streams.rtsp.look import Seen, look
from camera_hub.streams.rtsp.ways import TransportRefusedError
from camera_hub.streams.types import ReasonCode, StreamSource
from core.clock import Clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_OPTIONS = {"rtsp_transport": "tcp", "allowed_media_types": "video"}
_TOKEN = "stream"  # noqa: S105 - the one profile's name
_LONGEST_LOOK_S = 4.0
_BUSY_PAUSE_S = 0.3
_NOBODY = UUID(int=0)
_ERRORS: dict[ReasonCode, type[CameraError]] = {
    ReasonCode.REFUSED: CameraUnreachableError,
    ReasonCode.UNREACHABLE: CameraUnreachableError,
    ReasonCode.TIMEOUT: CameraTimeoutError,
    ReasonCode.NO_DATA: CameraTimeoutError,
    ReasonCode.NO_DATAGRAMS: CameraTimeoutError,
    ReasonCode.TRANSPORT_REFUSED: NoVideoProfileError,
    ReasonCode.WRONG_CREDENTIALS: CameraUnauthorisedError,
    ReasonCode.DIGEST_UNSUPPORTED: CameraUnauthorisedError,
    ReasonCode.NO_SUCH_STREAM: NoVideoProfileError,
    ReasonCode.NOT_VIDEO: NoVideoProfileError,
    ReasonCode.CODEC_UNSUPPORTED: NoVideoProfileError,
    ReasonCode.CLOSED_BY_CAMERA: CameraUnreachableError,
    ReasonCode.ERROR: MalformedAnswerError,
}


def probe_rtsp(camera: CameraAddress, clock: Clock, *, timeout_s: float) -> ProbeResult:
    """Open the stream at `camera` and read what it carries. Blocks; needs its own thread.

    Reads on to the second keyframe, for a few seconds at most, to know how far apart they are.

    Raises:
        CameraError: one subclass for each way in which this fails.
        InvalidInputError: the host's name leads to an address that no camera may have.
    """
    # Opening and asking again why it failed must together keep the limit.
    seconds = timeout_s / 2
    try:
        url = camera.reach.pinned(camera.url, camera.port, seconds)
    except OSError:
        raise CameraUnreachableError(
            f"There is no way to {camera.place}: the name is unknown.",
            remedy="Check the spelling, or enter the camera's IP address.",
        ) from None
    source = StreamSource(_NOBODY, "main", url, camera.username, camera.password)
    profile = _looked(camera, source, clock, seconds)
    if profile is None:
        until = clock.monotonic() + seconds / 4
        try:
            profile = _through_the_library(camera, source, clock, seconds / 2)
        except CameraTimeoutError:
            # At once: the camera may still be ending the conversation that found this out.
            if clock.monotonic() > until:
                raise
            profile = _through_the_library(camera, source, clock, seconds / 2)
    return ProbeResult(
        device=None,
        clock_offset_s=None,
        profiles=(profile,),
        main=_TOKEN,
        sub=_TOKEN,
        warnings=tuple(warnings_of(profile, profile)),
    )


def _looked(
    camera: CameraAddress, source: StreamSource, clock: Clock, seconds: float
) -> Profile | None:
    """Return what our own client sees; None where only the media library can read it.

    Raises:
        CameraError: the stream cannot be had.
    """
    if urlsplit(source.url).scheme != "rtsp":
        return None
    try:
        seen = _seen(source, clock, seconds)
    except StreamFailure as error:
        raise _error(error.failure) from None
    except LeaveToLibraryError:
        return None
    if seen is None:
        raise _no_picture(camera)
    return Profile(
        token=_TOKEN,
        name=urlsplit(camera.url).path.strip("/") or _TOKEN,
        codec=seen.info.codec,
        width=seen.info.width,
        height=seen.info.height,
        fps=round(seen.fps, 2),
        bitrate_kbps=seen.bitrate_kbps,
        gop=seen.gop,
        stream_url=camera.url,
        snapshot_url="",
        metadata=seen.metadata,
    )


def _seen(source: StreamSource, clock: Clock, seconds: float) -> Seen | None:
    """Look in the usual way, and where the camera refuses that in the others.

    One that is busy is asked again: it may be ending the conversation before.

    Raises:
        StreamFailure, LeaveToLibraryError: as `look`.
    """
    ways, longest_s = Ways("tcp"), min(seconds, _LONGEST_LOOK_S)
    busy_until = clock.monotonic() + seconds / 4
    while True:
        try:
            return look(
                source, clock, timeout_s=seconds, longest_s=longest_s, transport=ways.current
            )
        except TransportRefusedError:
            failure = ways.refused("{}:{}".format(*endpoint(source.url)))
            if failure is not None:
                raise StreamFailure(failure) from None
        except CameraBusyFailure:
            if clock.monotonic() >= busy_until:
                raise
            time.sleep(_BUSY_PAUSE_S)
        except StreamFailure as error:
            if error.failure.code is not ReasonCode.NO_DATAGRAMS or ways.current == "multicast":
                raise
            ways.held_up(error.failure)


def _through_the_library(
    camera: CameraAddress, source: StreamSource, clock: Clock, seconds: float
) -> Profile:
    """Return what the media library sees.

    Raises:
        CameraError: the stream cannot be had.
    """
    options = dict(_OPTIONS)
    if urlsplit(source.url).scheme == "rtsp":
        # Our own client has found that the camera packs otherwise.
        options["rtsp_transport"] = "tcp+udp+udp_multicast"
    try:
        with av.open(
            with_credentials(source),
            mode="r",
            options=options,
            timeout=(seconds, seconds / 2),
            # Many cameras say their name in GBK.
            metadata_errors="replace",
        ) as container:
            if not container.streams.video:
                raise _error(NOT_VIDEO)
            profile = _profile(camera, container.streams.video[0])
            until = clock.monotonic() + min(seconds, _LONGEST_LOOK_S)
            return _measured(profile, container, lambda: clock.monotonic() < until)
    except av.error.FFmpegError as error:
        failure = explain(error, source, opening=True, timeout_s=seconds)
        raise _error(failure) from None


def _profile(camera: CameraAddress, stream: VideoStream) -> Profile:
    """Return what the stream carries.

    Raises:
        NoVideoProfileError: it is neither H.264 nor H.265.
        CameraTimeoutError: no picture came in time, so that its size is unknown.
    """
    context = stream.codec_context
    codec = context.name if context else ""
    if codec not in USABLE:
        raise _error(unsupported_codec(codec))
    if not stream.width or not stream.height:
        raise _no_picture(camera)
    rate = stream.average_rate or stream.guessed_rate
    return Profile(
        token=_TOKEN,
        name=urlsplit(camera.url).path.strip("/") or _TOKEN,
        codec=codec,
        width=stream.width,
        height=stream.height,
        fps=round(float(rate), 2) if rate else 0.0,
        bitrate_kbps=None,
        gop=None,
        stream_url=camera.url,
        snapshot_url="",
    )


def _measured(profile: Profile, container: InputContainer, more: Callable[[], bool]) -> Profile:
    """Return `profile` with the distance of the keyframes and the bit rate between two of them.

    A distance longer than there was time for stays unknown, and so does that of a stream that
    breaks off: it was good enough to be added.
    """
    pictures, size = 0, 0
    with suppress(av.error.FFmpegError):
        for packet in container.demux(video=0):
            if not packet.size or not more():
                break
            if packet.is_keyframe and pictures:
                rate = size * 8 * profile.fps / pictures / 1000 if profile.fps else 0.0
                return replace(profile, gop=pictures, bitrate_kbps=round(rate) or None)
            if packet.is_keyframe or pictures:
                pictures += 1
                size += packet.size
    return profile


def _no_picture(camera: CameraAddress) -> CameraError:
    return CameraTimeoutError(
        f"The camera at {camera.place} answers but sent no picture in time.",
        remedy="Check whether it shows a picture on its own web page.",
    )


def _error(failure: Failure) -> CameraError:
    """Return a failure of the reader as the error of a probe, which does not try again."""
    kind = _ERRORS.get(failure.code, NotACameraError)
    if failure.code is ReasonCode.NOT_VIDEO and failure != NOT_VIDEO:
        kind = NotACameraError
    message, _, remedy = failure.reason.replace("; trying again", "").partition(". ")
    return kind(f"{message.rstrip('.')}.", remedy=remedy)
