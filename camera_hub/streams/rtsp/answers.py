"""What a camera's answers say: where to go on, on which channels and ports, for how long."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from camera_hub.streams.rtsp.messages import Message, ProtocolError

_SESSION = re.compile(r"\s*([^;\s]+)\s*(?:;.*?timeout\s*=\s*(\d{1,6}))?", re.IGNORECASE)
_CHANNELS = re.compile(r"interleaved\s*=\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?", re.IGNORECASE)
_PORTS = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?")
_TTL = re.compile(r"[0-9]{1,3}")
_SSRC = re.compile(r"[0-9a-fA-F]{1,8}")
DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a Transport header says of datagrams; what it says wrongly or not is empty, 0 or None.

    `destination` and `source` are IP addresses, ports those of RTP and RTCP.
    """

    multicast: bool
    interleaved: bool
    destination: str = ""
    source: str = ""
    ports: tuple[int, int] | None = None
    server_ports: tuple[int, int] | None = None
    ttl: int = 0
    ssrc: int | None = None


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


def agreed(transport: str) -> Agreed:
    """Read the Transport header of an answer to SETUP (RFC 2326 section 12.39)."""
    profile, *parameters = transport.partition(",")[0].lower().split(";")
    pairs = (part.strip().partition("=") for part in parameters)
    said = {name.strip(): value.strip().strip('"') for name, _, value in pairs}
    ttl, ssrc = said.get("ttl", ""), said.get("ssrc", "")
    return Agreed(
        multicast="multicast" in said,
        interleaved="interleaved" in said or profile.strip().endswith("/tcp"),
        destination=address_of(said.get("destination", "")),
        source=address_of(said.get("source", "")),
        # Some cameras name a group's ports as if they were its client's.
        ports=_ports(said.get("port", "")) or _ports(said.get("client_port", "")),
        server_ports=_ports(said.get("server_port", "")),
        ttl=int(ttl) if _TTL.fullmatch(ttl) and int(ttl) < 256 else 0,
        ssrc=int(ssrc, 16) if _SSRC.fullmatch(ssrc) else None,
    )


def address_of(text: str) -> str:
    """Return an IP address as the kernel writes it, empty if `text` is none."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(text))
    return ""


def _ports(text: str) -> tuple[int, int] | None:
    match = _PORTS.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    return (first, second) if 0 < first < 65536 and 0 < second < 65536 else None
