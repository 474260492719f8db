"""What a camera's answers say: where to go on, on which channels, for how long."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import urlsplit

from camera_hub.streams.rtsp.messages import Message, ProtocolError

_SESSION = re.compile(r"\s*([^;\s]+)\s*(?:;.*?timeout\s*=\s*(\d{1,6}))?", re.IGNORECASE)
_CHANNELS = re.compile(r"interleaved\s*=\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?", re.IGNORECASE)
DEFAULT_TIMEOUT_S = 60.0


def base_of(described: Message, uri: str) -> str:
    """Return the address that relative ones are added to, on the host of `uri`."""
    for name in ("content-base", "content-location"):
        given = described.get(name)
        if given.lower().startswith(("rtsp://", "rtsps://")) and " " not in given:
            with suppress(ValueError):
                return urlsplit(given)._replace(netloc=urlsplit(uri).netloc).geturl()
    return uri


def channels_of(transport: str, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Return the channels of RTP and RTCP that the camera chose, `otherwise` if it does not say.

    Raises:
        ProtocolError: there are no such channels.
    """
    match = _CHANNELS.search(transport)
    if match is None:
        return otherwise
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    if first > 255 or second > 255:
        raise ProtocolError("a channel that cannot be")
    return first, second


def session_of(answer: Message) -> tuple[str, float]:
    """Return the session's name and after how many seconds without a word it ends."""
    match = _SESSION.match(answer.get("session"))
    if match is None:
        return "", DEFAULT_TIMEOUT_S
    seconds = float(match[2]) if match[2] else 0.0
    return match[1], seconds if seconds > 0 else DEFAULT_TIMEOUT_S
