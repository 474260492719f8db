"""Which page made a request: other sites' pages may neither change nor open anything here."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response
from core.logging import get_logger

_log = get_logger("api.origins")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_API = "/api/"


class OriginCheck:
    """Refuses what another site's page asks for: unsafe requests, WebSockets, and the interface.

    Browsers put `Origin` on unsafe requests, WebSockets and whatever a script reads across
    sites, and `Sec-Fetch-Site` on everything. Where they are, they must name this site. Programs
    send none and carry no cookie. A safe request by which the person themselves comes here (a
    link, or the way back from a sign-in elsewhere) is let in.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app = app
        self.public = _origin(public_url) if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or self._may_pass(scope):
            await self.app(scope, receive, send)
            return
        _log.warning("cross_site_refused", path=scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": "another site"})
            return
        response = problem_response(
            status=403,
            code="cross-site",
            detail="The request was made by a page of another site.",
            remedy="Open the console at its own address; if it stands behind a proxy, "
            "set server.public_url to the address that browsers use.",
            instance=scope["path"],
        )
        await response(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        harmless = scope["type"] == "http" and scope["method"] in _SAFE
        if harmless and not scope["path"].startswith(_API):
            return True
        if harmless and headers.get("sec-fetch-mode") == "navigate":
            return True
        return self._is_same_site(headers)

    def _is_same_site(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
        found = _origin(origin)
        if found is None:
            return False
        if found == self.public:
            return True
        # Behind a proxy that ends TLS only the host can be compared, not the scheme.
        return found[1] == _with_port(headers.get("host", ""), found[0])


def _origin(url: str) -> tuple[str, str] | None:
    """Return (scheme, host:port) of `url`, or None if it is no web address ("null" is none)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return None
    return parts.scheme, _with_port(parts.netloc, parts.scheme)


def _with_port(host: str, scheme: str) -> str:
    host = host.lower()
    if host.rpartition(":")[2].isdecimal() and not host.endswith("]"):
        return host
    return f"{host}:{443 if scheme == 'https' else 80}"
