"""Who takes what a connection gives: called on the poller's thread, must never block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from camera_hub.streams.diagnosis import Failure
    from camera_hub.streams.rtsp.depacketizer import AccessUnit
    from camera_hub.streams.rtsp.rtp import RtpTrack

Read = Callable[[memoryview, float], None]
"""Reads what is there into a buffer, at a monotonic time."""


class Receiver(Protocol):
    """Who takes the pictures of a connection, on the poller's thread; must not block."""

    def units(self, units: list[AccessUnit], arrived_monotonic: float) -> None:
        """Take the pictures that arrived together."""
        ...

    def ended(self, failure: Failure) -> None:
        """The connection has ended; called once, and not after `Connection.leave`."""
        ...


class Side(Protocol):
    """A track beside the video, on channels of its own; whatever it sends, the video goes on."""

    channel: int
    rtcp_channel: int
    track: RtpTrack

    def payload(self, data: bytes, arrived: float) -> None:
        """Take the packet that `track` has just read from `data`."""
        ...

    def hand_on(self, arrived: float) -> None:
        """Hand on what has become whole; called after each reading, behind the pictures."""
        ...
