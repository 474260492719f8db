"""RTSP addresses: checked, and joined with credentials only at the last moment."""

from urllib.parse import SplitResult, quote, urlsplit

from camera_hub.streams.types import StreamSource

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}


class AddressError(ValueError):
    """The address is not one of an RTSP stream; the message says why, without the address."""


def parse(url: str) -> SplitResult:
    """Split an RTSP address.

    Raises:
        AddressError: another scheme (which the media library might open as a file or a
            command), no host, a wrong port, or credentials inside.
    """
    if not url.isprintable() or " " in url:
        raise AddressError("The stream's address holds spaces or control characters.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise AddressError("The stream's address is not a valid URL.") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise AddressError("The stream's address must begin with rtsp:// or rtsps://.")
    if not parts.hostname:
        raise AddressError("The stream's address names no host.")
    if parts.username is not None or parts.password is not None:
        raise AddressError("The stream's address must not hold credentials.")
    return parts


def endpoint(url: str) -> tuple[str, int]:
    """Return host and port of an address that `parse` accepts."""
    parts = parse(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def with_credentials(source: StreamSource) -> str:
    """Return the address with percent-encoded credentials. Never log or show it.

    Raises:
        AddressError: see `parse`.
    """
    parts = parse(source.url)
    if not source.username and not source.password:
        return source.url
    user = f"{quote(source.username, safe='')}:{quote(source.password, safe='')}"
    return parts._replace(netloc=f"{user}@{parts.netloc}").geturl()
