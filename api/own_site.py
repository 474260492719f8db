"""This site's own address, as browsers use it: what passkeys and identity providers are told."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from access.factors.passkeys import RelyingParty, unavailable
from api.hub import Hub
from core.errors import ConflictError

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def base_url(hub: Hub, connection: HTTPConnection) -> str:
    """Return scheme and host: `server.public_url`, or on this machine what the browser asked for.

    Raises:
        ConflictError: code `public-url-needed`: a Host header is no proof of the own address.
    """
    if hub.settings.server.public_url:
        parts = urlsplit(hub.settings.server.public_url)
        return f"{parts.scheme}://{parts.netloc}"
    if connection.url.hostname in _LOCAL:
        return f"{connection.url.scheme}://{connection.url.netloc}"
    raise ConflictError(
        "The hub does not know the address at which browsers reach it.",
        remedy="The administrator must set server.public_url to it.",
        code="public-url-needed",
    )


def relying_party(hub: Hub, connection: HTTPConnection) -> RelyingParty:
    """Return this site as passkeys know it.

    Raises:
        ConflictError: code `passkeys-unavailable` or `public-url-needed`: browsers would refuse.
    """
    base = base_url(hub, connection)
    parts = urlsplit(base)
    host = parts.hostname or ""
    if _is_address(host):
        raise unavailable(
            "Passkeys need a host name; browsers refuse them at an address of numbers.",
            f"Open the console at {parts.scheme}://localhost:{parts.port or 80}."
            if host in _LOCAL
            else "The administrator must give the hub a name and set server.public_url to it.",
        )
    if parts.scheme != "https" and host != "localhost":
        raise unavailable(
            "Passkeys need HTTPS; browsers refuse them over plain HTTP.",
            "The administrator must put the hub behind HTTPS and set server.public_url.",
        )
    return RelyingParty(id=host, origin=base.lower(), name=hub.settings.site.name)


def relying_party_if_any(hub: Hub, connection: HTTPConnection) -> RelyingParty | None:
    """Return `relying_party`, or None where browsers would refuse passkeys."""
    try:
        return relying_party(hub, connection)
    except ConflictError:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
