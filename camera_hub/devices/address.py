"""What a person may enter as a camera's address, taken apart and checked.

An address becomes a network request made by the hub, so it can name a camera only: no other
scheme, and no address that in data centres leads to the machine's own secrets.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from camera_hub.streams.reach import ANYWHERE, Reach
from core.errors import InvalidInputError

_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_SCHEMES = {"onvif": ("http", "https"), "rtsp": ("rtsp", "rtsps")}
_DEVICE_PATH = "/onvif/device_service"
_LONGEST = 500
# RFC 3986 section 2 allows none of these in a URL.
_NOT_IN_URL = re.compile(r"[\s<>\"\\^`{|}]|[^\x20-\x7e]")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_LIKE_A_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)\.?$")
_EXAMPLES = {
    "onvif": "Enter host, host:port or http://host:port/onvif/device_service.",
    "rtsp": "Enter rtsp://host:port/path.",
}


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """A checked address. Neither `url` nor `text` holds credentials.

    `url` is what requests go to (the ONVIF device service, or the stream), `text` what the
    person entered, as it may be stored and shown. The credentials are those that the address
    held, percent-decoded; empty if it held none.
    """

    host: str
    port: int
    url: str
    text: str
    username: str = ""
    password: str = field(default="", repr=False)
    reach: Reach = field(default=ANYWHERE, repr=False, compare=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port, as they are compared: a name's case does not count."""
        return urlsplit(self.url).scheme, self.host.casefold(), self.port

    @property
    def place(self) -> str:
        """Host and port, as messages name it."""
        return f"{bracketed(self.host)}:{self.port}"


def parse_address(source_kind: str, address: str, reach: Reach = ANYWHERE) -> CameraAddress:
    """Take apart what a person entered; `reach` says where this site's cameras may be.

    Raises:
        InvalidInputError: it is none of a camera; the message says why.
    """
    if source_kind not in _SCHEMES:
        raise InvalidInputError(f"There is no kind of camera called {source_kind!r}.")
    text = address.strip()
    if not text:
        raise _wrong(source_kind, "There is no address.")
    if len(text) > _LONGEST:
        raise _wrong(source_kind, f"The address is longer than {_LONGEST} characters.")
    if not text.isprintable():
        raise _wrong(source_kind, "The address holds control characters.")
    if source_kind == "onvif" and "://" not in text:
        return _bare(text, reach)
    return _url(source_kind, text, reach)


def bracketed(host: str) -> str:
    """Return `host` as a URL writes it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _bare(text: str, reach: Reach) -> CameraAddress:
    user, at, rest = text.rpartition("@")
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"
    return _url("onvif", f"http://{user}{at}{rest}", reach, bare=True)


def _url(source_kind: str, text: str, reach: Reach, *, bare: bool = False) -> CameraAddress:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _wrong(source_kind, "The address is not a valid URL, or its port is wrong.") from None
    if parts.scheme not in _SCHEMES[source_kind]:
        kinds = " or ".join(f"{scheme}://" for scheme in _SCHEMES[source_kind])
        raise _wrong(source_kind, f"The address must begin with {kinds}.")
    if bare and (parts.path.strip("/") or parts.query):
        raise _wrong(source_kind, "The address has a path but does not begin with http://.")
    netloc = parts.netloc.rpartition("@")[2]
    rest = parts._replace(netloc=netloc).geturl()
    if _NOT_IN_URL.search(rest) or parts.fragment or "#" in text:
        raise _wrong(
            source_kind,
            "The address holds a character that no URL may hold; if it belongs to the password, "
            "enter user name and password in their own fields.",
        )
    if port == 0:
        raise _wrong(source_kind, "The port must be from 1 to 65535.")
    host = _host(source_kind, parts, reach)
    url = rest
    if source_kind == "onvif" and not parts.path.strip("/"):
        url = parts._replace(netloc=netloc, path=_DEVICE_PATH, query="").geturl()
    return CameraAddress(
        host=host,
        port=port or _PORTS[parts.scheme],
        url=url,
        text=netloc if bare else rest,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        reach=reach,
    )


def _host(source_kind: str, parts: SplitResult, reach: Reach) -> str:
    host = parts.hostname or ""
    if not host:
        raise _wrong(source_kind, "The address names no host.")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
        if len(host) > 253 or not _HOST_NAME.fullmatch(host) or _LIKE_A_NUMBER.fullmatch(last):
            raise _wrong(
                source_kind, "The address's host is neither a name nor an IP address."
            ) from None
        return host
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id:
        raise _wrong(source_kind, "The address names a network interface.")
    if why := reach.refusal(ip, parts.port or _PORTS[parts.scheme]):
        raise _wrong(source_kind, f"The address {host} {why}.")
    return host


def _wrong(source_kind: str, message: str) -> InvalidInputError:
    return InvalidInputError(message, remedy=_EXAMPLES[source_kind], code="invalid-address")
