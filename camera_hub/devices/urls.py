"""Addresses that a device names, made into ones that lead to the host the person entered.

A device behind address translation, with two networks or a broken setting names hosts that
do not exist here; a hostile one could name somebody else's. So the host is never taken from it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from camera_hub.devices.address import CameraAddress, bracketed
from camera_hub.streams.address import DEFAULT_PORTS, AddressError, parse

_LONGEST = 500
_SECRET_KEYS = {"password", "passwd", "pass", "pwd", "username", "user", "usr"}


@dataclass(frozen=True, slots=True)
class Named:
    """An address from a device: safe to use and to show; `moved` if its host was another."""

    url: str
    moved: str = ""


def service_url(named: str, camera: CameraAddress) -> str:
    """Return where a service of the device is, on the host the person entered.

    The port stays if the device names the same host; a device that names another is behind
    address translation, where only the port that the person entered is known to lead to it.

    Raises:
        ValueError: it is no http or https address.
    """
    parts = urlsplit(named.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address of a service")
    entered = urlsplit(camera.url)
    if parts.hostname.lower() == camera.host.lower():
        return _at(parts, camera.host, parts.port).geturl()
    return _at(parts, camera.host, entered.port)._replace(scheme=entered.scheme).geturl()


def stream_url(named: str, camera: CameraAddress, addresses: tuple[str, ...]) -> Named:
    """Return a stream's address without credentials, on the host the person entered.

    `addresses` are those that the entered host resolves to: naming one of them is no move.

    Raises:
        ValueError: it is no RTSP address.
    """
    parts = _split(named)
    bare = _without_secrets(parts)
    try:
        parse(bare.geturl())
    except AddressError as error:
        raise ValueError("not an address of a stream") from error
    port = bare.port if bare.port != DEFAULT_PORTS[bare.scheme] else None
    return _moved(_at(bare, camera.host, port), bare, camera, addresses)


def snapshot_url(named: str, camera: CameraAddress, addresses: tuple[str, ...]) -> Named:
    """Return a snapshot's address likewise.

    Raises:
        ValueError: it is no http or https address.
    """
    parts = _split(named)
    bare = _without_secrets(parts)
    if bare.scheme not in ("http", "https"):
        raise ValueError("not an address of a picture")
    host = bare.hostname or ""
    own = _same_host(host, camera, addresses)
    port = bare.port if own else urlsplit(camera.url).port
    return _moved(_at(bare, camera.host, port), bare, camera, addresses)


def _split(named: str) -> SplitResult:
    text = named.strip()
    if len(text) > _LONGEST or not text.isprintable() or " " in text:
        raise ValueError("too long, or with characters that no address has")
    parts = urlsplit(text)
    if not parts.hostname:
        raise ValueError("no host")
    return parts


def _without_secrets(parts: SplitResult) -> SplitResult:
    query = parts.query
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(key, value) for key, value in pairs if key.lower() not in _SECRET_KEYS]
    if len(kept) < len(pairs):
        query = urlencode(kept)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment="")


def _at(parts: SplitResult, host: str, port: int | None) -> SplitResult:
    place = bracketed(host) if port is None else f"{bracketed(host)}:{port}"
    return parts._replace(netloc=place)


def _moved(
    url: SplitResult, before: SplitResult, camera: CameraAddress, addresses: tuple[str, ...]
) -> Named:
    host = before.hostname or ""
    return Named(url.geturl(), "" if _same_host(host, camera, addresses) else host)


def _same_host(host: str, camera: CameraAddress, addresses: tuple[str, ...]) -> bool:
    if host.lower() == camera.host.lower():
        return True
    try:
        return str(ipaddress.ip_address(host)) in addresses
    except ValueError:
        return False
