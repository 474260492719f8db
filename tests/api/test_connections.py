"""Connections that dawdle, grow, lie or flood, on real sockets."""

import asyncio
import gzip
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from access.policy.types import Role
from api import connections
from api.hub import Hub
from core.settings import Settings
from tests.support.http import LiveServer, ServiceClient, SignIn

GET = b"GET /api/v1/health/live HTTP/1.1\r\nHost: localhost\r\n"


@asynccontextmanager
async def raw(server: LiveServer) -> AsyncIterator[tuple[Any, asyncio.StreamWriter]]:
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def flood(writer: asyncio.StreamWriter, chunk: bytes, most: int) -> int:
    """Send `chunk` again and again until the server hangs up; return how many bytes went out."""
    sent = 0
    try:
        while sent < most:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
    except ConnectionError:
        pass
    return sent


async def say(server: LiveServer, text: bytes) -> bytes:
    """Send `text` and return all that comes until the server closes."""
    async with raw(server) as (reader, writer):
        writer.write(text)
        answer: bytes = await reader.read()
        return answer


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    assert b"content-security-policy" in head.lower(), "refusals carry the headers too"
    found = orjson.loads(body)
    assert found["remedy"]
    return int(head.split()[1]), found["code"]


@pytest.mark.parametrize("said", [b"", b"GET / HT", GET + b"X-A: b\r\n"])
async def test_a_head_that_never_ends_is_cut_off(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)
    assert problem(await say(server, said)) == (408, "too-slow")


async def test_a_byte_now_and_then_does_not_keep_a_head_open(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.5)
    async with raw(server) as (reader, writer):
        # A first request that is whole, so that the second head is on a kept connection.
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"}")
        writer.write(b"GET / HTTP/1.1\r\n")

        async def dribble() -> None:
            while not writer.is_closing():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)

        task = asyncio.create_task(dribble())
        answer = await reader.read()
        task.cancel()
    assert problem(answer) == (408, "too-slow")


async def test_a_body_that_trickles_after_its_answer_is_cut_off(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.5)
    async with raw(server) as (reader, writer):
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nx")
        while await reader.read(65536):
            writer.write(b"x")


async def test_an_answer_that_nobody_reads_is_given_up(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_WITHIN_S", 0.5)
    async with raw(server) as (_, writer):
        page = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert await flood(writer, page * 50, 2**28) < 2**28


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Big: " + b"x" * 20_000 + b"\r\n\r\n",
        GET + b"".join(b"X-%d: y\r\n" % n for n in range(3000)) + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_oversized_heads_are_refused(server: LiveServer, head: bytes) -> None:
    assert problem(await say(server, head)) == (431, "head-too-large")


@pytest.mark.parametrize(
    "head",
    [
        # Which of the two says where the body ends? Whoever sends both, or one twice, is refused.
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: +5\r\n\r\nhello",
        b"X: a\r\n folded\r\nContent-Length: 0x5\r\n\r\nhello",
        b"Host: other\r\nContent-Length: 0\r\n\r\n",
        b"X-Null: a\0b\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_requests_that_two_servers_would_read_differently_are_refused(
    server: LiveServer, head: bytes
) -> None:
    start = b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n"
    answer = await say(server, start + head + GET + b"\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows is no second request"
    assert 400 <= problem(answer)[0] < 502


async def test_with_both_lengths_only_the_chunks_count(server: LiveServer) -> None:
    """RFC 9112 6.3: Transfer-Encoding overrides; what follows the chunks never hides a request."""
    hidden = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
    start = b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n"
    answer = await say(server, start + body)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert problem(answer) == (400, "ambiguous-length")


async def test_a_body_of_two_gigabytes_costs_no_memory(
    server: LiveServer, service_client: ServiceClient
) -> None:
    token = (await service_client(["signal.post"])).headers["Authorization"].encode()
    head = b"POST /api/v1/signals HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + token
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    declared = await say(server, head + b"\r\nContent-Length: 2147483648\r\n\r\n")
    assert problem(declared) == (413, "too-large")
    # One that is read until it is too long, and one that is answered 415 unread.
    for kind in (b"\r\nContent-Type: application/json", b""):
        async with raw(server) as (_, writer):
            writer.write(head + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
            sent = await flood(writer, b"100000\r\n" + bytes(0x100000) + b"\r\n", 2**31)
            assert sent < 128 * 2**20, "it is cut off long before the end"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 80 * 1024, "kilobytes"


async def test_a_compressed_body_is_not_inflated(
    server: LiveServer, service_client: ServiceClient
) -> None:
    """A bomb stays its own size: bodies are taken as they are, and this one is no JSON."""
    client = await service_client(["signal.post"], at=server)
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    answer = await client.post(
        "/api/v1/signals",
        content=bomb,
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert answer.status_code in {415, 422}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Few streams are enough to reach the limit."""
    few = settings.server.model_copy(update={"streams_per_account": 2, "streams_per_address": 3})
    return settings.model_copy(update={"server": few})


async def test_an_account_and_an_address_hold_so_many_streams(
    server: LiveServer, sign_in: SignIn
) -> None:
    first, second = (
        await sign_in(Role.PATROL, "demo", at=server),
        await sign_in(Role.PATROL, "demo", at=server),
    )
    async with AsyncExitStack() as stack:
        opened: list[httpx.Response] = []
        for client in (first, first, second):
            stream = await stack.enter_async_context(client.stream("GET", "/api/v1/events"))
            assert stream.status_code == 200
            opened.append(stream)
        for client, word in ((first, "account"), (second, "address")):
            refused = await client.get("/api/v1/events")
            assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
            assert word in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) > 0
            assert "streams_per_" in refused.json()["remedy"]
    # Closed ones make room, as soon as the server has noticed.
    for _ in range(200):
        async with second.stream("GET", "/api/v1/events") as stream:
            if stream.status_code == 200:
                return
        await asyncio.sleep(0.05)
    pytest.fail("a stream that was closed still counts")


async def test_too_many_live_views_are_refused_with_a_code_a_browser_sees(
    server: LiveServer, sign_in: SignIn
) -> None:
    client = await sign_in(Role.SUPERVISOR, "demo", at=server)
    url = f"{server.ws_url}/api/v1/cameras/0192f3a0-0000-7000-8000-000000000000/live"
    async with AsyncExitStack() as stack:
        for _ in range(2):
            stream = await stack.enter_async_context(client.stream("GET", "/api/v1/events"))
            assert stream.status_code == 200
        async with connect(
            url, additional_headers=client.cookie_header, origin=Origin(server.url)
        ) as websocket:
            assert await closed(websocket) == 4429


async def closed(websocket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await websocket.recv()
    return websocket.close_code


async def test_one_address_cannot_take_every_connection(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_PER_ADDRESS", 5)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(raw(server))
        async with raw(server) as (reader, writer):
            writer.write(GET + b"\r\n")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
    for _ in range(200):
        try:
            async with httpx.AsyncClient(base_url=server.url) as client:
                assert (await client.get("/api/v1/health/live")).status_code == 200
                return
        except httpx.TransportError:
            await asyncio.sleep(0.05)
    pytest.fail("connections that were closed still count")


async def test_the_limits_hold_nothing_back_after_the_connections_ended(
    server: LiveServer, hub: Hub, sign_in: SignIn
) -> None:
    client = await sign_in(Role.PATROL, "demo", at=server)
    for _ in range(5):
        async with client.stream("GET", "/api/v1/events") as stream:
            assert stream.status_code == 200
        while server.server.config.app.state.open_streams.count:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
