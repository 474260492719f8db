"""Who a connection comes from and which host it asks for, before anything else is looked at.

Plain ASGI, outermost: what comes later (logs, throttles, sessions) sees the real address only.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response
from core.logging import get_logger
from core.metrics import counter
from core.settings import ServerSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_log = get_logger("api.peers")
_FOREIGN_HOST = counter("http_foreign_host", "Requests for a host that is not this hub's")

_MOST_HOPS = 20
"""More addresses than any chain of proxies has; the rest was made up by the sender."""


class Networks:
    """Addresses that lie in any of some networks, given as text."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(entry, strict=False) for entry in entries
        )

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: Address | str | None) -> bool:
        found = _address(address) if isinstance(address, str) else address
        return found is not None and any(found in network for network in self._networks)


class RealPeer:
    """Puts the real client's address into `scope["client"]`.

    Only a peer in `server.trusted_proxies` is believed, and of what it forwards only the last
    address that is not itself a trusted proxy: everything further left was written by the client.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str]) -> None:
        self.app = app
        self._trusted = Networks(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._trusted and scope["type"] in {"http", "websocket"}:
            scope["client"] = self._client_of(scope)
        await self.app(scope, receive, send)

    def _client_of(self, scope: Scope) -> tuple[str, int] | None:
        peer: tuple[str, int] | None = scope.get("client")
        if peer is None or peer[0] not in self._trusted:
            return peer
        forwarded = Headers(scope=scope).getlist("x-forwarded-for")
        hops = [hop.strip() for hop in ",".join(forwarded).split(",") if hop.strip()]
        found = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                # Not an address: what lies behind it cannot be believed either.
                break
            found = (str(address), 0)
            if address not in self._trusted:
                break
        return found


class KnownHost:
    """Refuses requests for a host that is not this hub's (DNS rebinding).

    A page of another site can give its own name this machine's address; the browser then takes
    it for the same site, but still sends that name. A bare IP address is no name that anybody
    could point elsewhere, so it is taken.
    """

    def __init__(self, app: ASGIApp, server: ServerSettings) -> None:
        self.app = app
        own = [urlsplit(server.public_url).hostname or "", server.host, *server.hosts]
        self._names = {"localhost", *(name.casefold().rstrip(".") for name in own if name)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or self._is_known(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        _FOREIGN_HOST.inc()
        _log.warning("foreign_host_refused", path=scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4421, "reason": "unknown host"})
            return
        response = problem_response(
            status=421,
            code="unknown-host",
            detail="The request asks for a host name that is not this hub's.",
            remedy="Open the hub by its IP address or by the name in server.public_url; "
            "add further names to server.hosts.",
            instance=scope["path"],
        )
        await response(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return False
        name = host_name(hosts[0])
        return bool(name) and (name in self._names or _address(name) is not None)


def host_name(header: str) -> str:
    """Return the host in a `Host` header without its port, in lower case; "" if it is none."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return ""
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return ""
    return (parts.hostname or "").rstrip(".")


def _address(text: str) -> Address | None:
    """Return the IP address in `text`, with or without brackets and port; None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
