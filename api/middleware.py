"""What every connection passes on its way in and out. Plain ASGI: nothing is buffered."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from access.policy.types import Actor
from api.problems import problem_response
from core.clock import Clock
from core.logging import get_logger
from core.metrics import counter, gauge, histogram
from core.settings import ServerSettings

_log = get_logger("api.access")

_REQUESTS = counter("http_requests", "Answered requests", ("method", "route", "status"))
_SECONDS = histogram("http_request_seconds", "Time to the first byte of the answer", ("route",))
_OPEN = gauge("http_open", "Requests and WebSockets now open", ("kind",))
_CRASHED = counter("http_crashed", "Requests that ended in an unexpected error")

_QUIET = ("/api/v1/health/", "/api/v1/metrics", "/api/v1/workers/", "/assets/")


def content_security_policy(server: ServerSettings) -> str:
    """Return what pages of this site may load, and from where: this site only."""
    # 'self' covers WebSockets of the same origin; older browsers want the address itself.
    public = urlsplit(server.public_url)
    sockets = f" {'wss' if public.scheme == 'https' else 'ws'}://{public.netloc}"
    directives = (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Element Plus places its pop-ups by inline style
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        f"connect-src 'self'{sockets if public.netloc else ''}",
        "worker-src 'self'",
        "manifest-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return "; ".join(directives)


def security_headers(server: ServerSettings) -> dict[str, str]:
    """Return the headers that every answer carries unless it sets them itself."""
    headers = {
        "Content-Security-Policy": content_security_policy(server),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "Cache-Control": "no-store",
    }
    if server.https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers


class Boundary:
    """Outermost: numbers requests, logs and counts them, adds headers, answers what crashed."""

    def __init__(self, app: ASGIApp, clock: Clock, server: ServerSettings) -> None:
        self.app = app
        self.clock = clock
        self.headers = security_headers(server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(self, scope, send, request_id)
        with (
            bound_contextvars(request_id=request_id),
            _OPEN.labels(scope["type"]).track_inprogress(),
        ):
            try:
                await self.app(scope, receive, exchange.send)
            # The top of a request: whatever was not foreseen is counted, logged and answered here.
            except Exception:  # noqa: BLE001
                _CRASHED.inc()
                _log.exception("crashed", method=scope.get("method", "WS"), path=scope["path"])
                await exchange.apologise(receive)
            exchange.report()


class _Exchange:
    """One request and its answer."""

    def __init__(self, boundary: Boundary, scope: Scope, send: Send, request_id: str) -> None:
        self._boundary = boundary
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._began = boundary.clock.monotonic()
        self._first_byte: float | None = None
        self.status = 0

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
            self._first_byte = self._boundary.clock.monotonic()
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in self._boundary.headers.items():
                headers.setdefault(name, value)
            headers["X-Request-Id"] = self._request_id
            message = {**message, "headers": headers.raw}
        elif kind == "websocket.accept":
            self.status = 101
            self._first_byte = self._boundary.clock.monotonic()
        elif kind == "websocket.close":
            self.status = message.get("code", 1000)
        await self._send(message)

    async def apologise(self, receive: Receive) -> None:
        """Answer a crash without a word about its inside."""
        if self._scope["type"] == "websocket":
            # The browser may be gone, or the socket closed already.
            with contextlib.suppress(RuntimeError, OSError):
                await self.send({"type": "websocket.close", "code": 1011, "reason": "error"})
        elif self.status == 0:
            response = problem_response(
                status=500,
                code="internal",
                detail=f"Something went wrong inside the hub (number {self._request_id}).",
                instance=self._scope["path"],
                extra={"request_id": self._request_id},
            )
            await response(self._scope, receive, self.send)

    def report(self) -> None:
        """Log and count the request."""
        scope = self._scope
        method = scope.get("method", "WS")
        route = _route_of(scope)
        now = self._boundary.clock.monotonic()
        _REQUESTS.labels(method, route, str(self.status)).inc()
        if self._first_byte is not None:
            _SECONDS.labels(route).observe(self._first_byte - self._began)
        actor = scope.get("state", {}).get("actor")
        quiet = self.status < 400 and (method in {"GET", "HEAD"} or _is_quiet(scope["path"]))
        (_log.debug if quiet else _log.info)(
            "request",
            method=method,
            path=scope["path"],
            status=self.status,
            ms=round((now - self._began) * 1000, 1),
            actor=f"{actor.kind}:{actor.id}" if isinstance(actor, Actor) else "anonymous",
            address=scope["client"][0] if scope.get("client") else "",
        )


def _is_quiet(path: str) -> bool:
    return path.startswith(_QUIET)


def _route_of(scope: Scope) -> str:
    """Return the template as the route's module writes it, so that ids never become labels."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return path if isinstance(path, str) else "none"


_DISCARD_AT_MOST = 32 * 1024 * 1024


class BodyLimit:
    """Refuses bodies larger than the path's limit, and those that come too slowly.

    A body may take `seconds` in all: whoever sends a byte now and then must not hold a connection
    for ever, and a spool on a thin line still gets its pictures through. In `by_path` a `*` stands
    for one part of a path.
    """

    def __init__(
        self, app: ASGIApp, default: int, by_path: Mapping[str, int], seconds: float
    ) -> None:
        self.app = app
        self.default = default
        self.by_path = {path: limit for path, limit in by_path.items() if "*" not in path}
        self.by_pattern = [
            (re.compile(re.escape(path).replace(r"\*", "[^/]+")), limit)
            for path, limit in by_path.items()
            if "*" in path
        ]
        self.seconds = seconds

    def _limit_of(self, path: str) -> int:
        if path in self.by_path:
            return self.by_path[path]
        return next((n for shape, n in self.by_pattern if shape.fullmatch(path)), self.default)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            await self._refuse_ambiguous(scope, receive, send)
            return
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > limit:
            await self._refuse(scope, receive, send, limit)
            return
        body = _Body(receive, limit, asyncio.get_running_loop().time() + self.seconds)
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if body.refused and not started:
                return
            started = True
            await send(message)

        with contextlib.suppress(_BodyRefusedError):
            await self.app(scope, body.receive, watched_send)
        if body.too_slow and not started:
            await self._give_up(scope, receive, send)
        elif body.too_large and not started:
            await self._refuse(scope, receive, send, limit)

    async def _refuse_ambiguous(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A proxy that reads the other length would see another request in the rest of the body.
        response = problem_response(
            status=400,
            code="ambiguous-length",
            detail="The request names two lengths of its body.",
            remedy="Send either Content-Length or Transfer-Encoding.",
            instance=scope["path"],
            headers={"Connection": "close"},
        )
        await response(scope, receive, send)

    async def _give_up(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem_response(
            status=408,
            code="too-slow",
            detail=f"The body did not arrive within {self.seconds:.0f} s.",
            remedy="Send it again over a better line, or in smaller parts.",
            instance=scope["path"],
            headers={"Connection": "close"},
        )
        await response(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        # Read on and throw away: a client that is still sending would see a broken connection
        # instead of the answer, and a spool would send the same again for ever.
        # Not from one who announces more than that, nor for longer than a body may take.
        declared = Headers(scope=scope).get("content-length", "")
        hopeless = not declared.isdecimal() or int(declared) > _DISCARD_AT_MOST
        left = 0 if declared and hopeless else _DISCARD_AT_MOST
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        break
        response = problem_response(
            status=413,
            code="too-large",
            detail=f"The body is larger than {limit // 1024} KiB.",
            instance=scope["path"],
            headers={"Connection": "close"},
        )
        await response(scope, receive, send)


class _Body:
    """A body on its way in. `too_large` and `too_slow` say why it was refused."""

    def __init__(self, receive: Receive, limit: int, deadline: float) -> None:
        self._receive = receive
        self._left = limit
        self._deadline = deadline
        self._complete = False
        self.too_large = False
        self.too_slow = False

    @property
    def refused(self) -> bool:
        return self.too_large or self.too_slow

    async def receive(self) -> Message:
        if self._complete:
            # What comes now is the end of the connection, which may be hours away.
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.too_slow = True
            raise _BodyRefusedError from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.too_large = True
                raise _BodyRefusedError
        self._complete = not message.get("more_body", False)
        return message


class _BodyRefusedError(Exception):
    """Leaves the application when a body grows past its limit or takes too long."""
