"""The server on a real socket: headers, limits, shutting down, what another site may not do."""

import asyncio

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from access.policy.types import Actor, Role
from api.app import create_app
from api.hub import Hub
from core.ids import new_id
from tests.support.http import LiveServer, SignIn


async def test_answers_carry_security_headers(server: LiveServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path in ("/api/v1/health/live", "/api/v1/nothing", "/", "/api/v1/openapi.json"):
            answer = await client.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "script-src 'self';" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert len(answer.headers["X-Request-Id"]) == 16
            assert "server" not in answer.headers
        assert (await client.get("/docs")).headers["content-type"].startswith("text/html")


async def test_a_body_over_the_limit_is_refused_declared_or_not(server: LiveServer) -> None:
    async def endless() -> object:
        for _ in range(40):
            yield b"x" * 65536

    async with httpx.AsyncClient(base_url=server.url) as client:
        declared = await client.post("/api/v1/sessions", content=b"x" * (1024 * 1024 + 1))
        streamed = await client.post("/api/v1/sessions", content=endless())  # type: ignore[arg-type]
    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "too-large"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "SELF"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "SELF.evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, False),
    ],
)
async def test_only_the_own_pages_may_change_anything(
    server: LiveServer, sign_in: SignIn, headers: dict[str, str], allowed: bool
) -> None:
    client = await sign_in(Role.PATROL, "demo", at=server)
    headers = {name: text.replace("SELF", server.url) for name, text in headers.items()}
    answer = await client.delete("/api/v1/sessions/current", headers=headers)
    assert answer.status_code == (204 if allowed else 403)
    if not allowed:
        assert answer.json()["code"] == "cross-site"


async def test_a_web_socket_of_another_site_is_refused_before_it_opens(
    server: LiveServer, sign_in: SignIn
) -> None:
    client = await sign_in(Role.SUPERVISOR, "demo", at=server)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"{server.ws_url}/api/v1/cameras/0192f3a0-0000-7000-8000-000000000000/live",
            additional_headers=client.cookie_header,
            origin=Origin("https://evil.example"),
        ):
            pass
    assert refused.value.response.status_code == 403
    # The own page gets as far as the camera, which is not there.
    async with connect(
        f"{server.ws_url}/api/v1/cameras/0192f3a0-0000-7000-8000-000000000000/live",
        additional_headers=client.cookie_header,
        origin=Origin(server.url),
    ) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 4404


async def test_stopping_ends_what_hangs_on(server: LiveServer, sign_in: SignIn) -> None:
    """Neither an open stream nor a request that never ends holds up the stop."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    client = await sign_in(Role.PATROL, "demo", at=server)
    assert (await client.get("/api/v1/health/ready")).json() == {"status": "ok"}
    async with client.stream("GET", "/api/v1/events") as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry:")
        async with asyncio.timeout(15):
            await server.stop()
            async for _ in lines:
                pass
    assert server.hub.closing.is_set()
    writer.close()


async def test_views_that_a_kill_left_open_are_ended_at_the_next_start(
    hub: Hub, sign_in: SignIn
) -> None:
    watcher, auditor = await sign_in(Role.OPERATOR, "demo"), await sign_in(Role.AUDITOR, "demo")
    actor = Actor(kind="account", id=watcher.account_id, session_id=watcher.session_id)
    async with hub.database.transaction() as session:
        await hub.views.open_view(
            session, actor=actor, camera_id=new_id(), area="demo", kind="live"
        )
    [record] = (await auditor.get("/api/v1/view-records")).json()["items"]
    assert record["ended_at"] is None
    app = create_app(hub)
    async with app.router.lifespan_context(app):
        pass
    [record] = (await auditor.get("/api/v1/view-records")).json()["items"]
    assert record["ended_at"] is not None
    assert record["account"]["username"] == watcher.username
