"""The real application over a real store: in process, or behind uvicorn on a loopback port.

`client` is nobody; `sign_in(role, area)` makes an account and returns a client that is signed in;
`service_client(scopes)` holds a service token; `server` listens on a port for WebSockets, SSE and
whatever must go over a socket. The store is SQLite; a test that wants both says
`@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from access.accounts.passwords import HashedPassword
from access.policy.types import Role, RoleBinding
from api.app import HubServer, create_app, make_server
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub, build_hub
from core.clock import Clock
from core.settings import DatabaseSettings, ServerSettings, Settings

PASSWORD = "a password for tests"
ASGI_ORIGIN = "http://testserver"

_numbers = count(1)


@cache
def password_hash() -> HashedPassword:
    """The hash of `PASSWORD`, made once: each takes a tenth of a second."""
    return HashedPassword(PasswordHash((Argon2Hasher(),)).hash(PASSWORD))


class Client(httpx.AsyncClient):
    """An HTTP client that knows whom it is signed in as."""

    account_id: UUID
    username: str
    session_id: UUID
    session_token: str
    csrf_token: str

    @property
    def cookie_header(self) -> dict[str, str]:
        """Headers that carry the session, for WebSockets and other clients."""
        return {"Cookie": f"{COOKIE}={self.session_token}"}


@pytest.fixture
def hub_url(request: pytest.FixtureRequest) -> str:
    """Store of the hub: `sqlite` unless the test names another one indirectly."""
    name = "postgres_url" if getattr(request, "param", "sqlite") == "postgresql" else "sqlite_url"
    url = request.getfixturevalue(name)
    assert isinstance(url, str)
    return url


@pytest.fixture
def settings(tmp_path: Path, hub_url: str) -> Settings:
    """Settings of a node in a directory of the test."""
    return Settings(
        data_dir=tmp_path / "data",
        database=DatabaseSettings(url=hub_url),
        server=ServerSettings(host="127.0.0.1", port=0, hosts=["testserver"]),
    )


@pytest.fixture
async def hub(settings: Settings, clock: Clock) -> AsyncIterator[Hub]:
    """The hub, with every service and the test's clock."""
    hub = build_hub(settings, clock)
    yield hub
    await hub.close()


@pytest.fixture
def app(hub: Hub) -> FastAPI:
    """The application, in this process; its background work does not run."""
    return create_app(hub)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    """A client that is nobody."""
    async with _client(app) as client:
        yield client


class LiveServer:
    """A uvicorn server on a loopback port."""

    def __init__(self, hub: Hub, listener: socket.socket) -> None:
        self.hub = hub
        self.listener = listener
        self.server: HubServer = make_server(hub)
        self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start and wait until it accepts connections."""
        self.task = asyncio.create_task(self.server.serve(sockets=[self.listener]))
        while not self.server.started:
            if self.task.done():
                self.task.result()
                raise RuntimeError("the server stopped while starting")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop as on SIGTERM and wait for the end."""
        self.server.should_exit = True
        if self.task is not None:
            await self.task


@pytest.fixture
async def server(hub: Hub) -> AsyncIterator[LiveServer]:
    """The application behind uvicorn, with its background work."""
    listener = socket.create_server(("127.0.0.1", 0))
    live = LiveServer(hub, listener)
    await live.start()
    yield live
    await live.stop()
    listener.close()


class SignIn(Protocol):
    """Makes an account with one role and returns a client that is signed in as it."""

    async def __call__(
        self,
        role: Role | str,
        area: str = "",
        *,
        at: LiveServer | None = None,
        username: str | None = None,
    ) -> Client: ...


class ServiceClient(Protocol):
    """Makes a service token and returns a client that carries it."""

    async def __call__(
        self,
        scopes: Iterable[str],
        area: str = "",
        *,
        at: LiveServer | None = None,
        household_id: UUID | None = None,
    ) -> Client: ...


@pytest.fixture
async def sign_in(hub: Hub, app: FastAPI) -> AsyncIterator[SignIn]:
    """Make accounts (password `PASSWORD`) and clients with a session in the store.

    The session is opened by the service itself, so that a test pays for no password hash;
    signing in over HTTP has tests of its own. `at=server` talks over a socket.
    """
    async with AsyncExitStack() as stack:

        async def make(
            role: Role | str,
            area: str = "",
            *,
            at: LiveServer | None = None,
            username: str | None = None,
        ) -> Client:
            name = username or f"{role}-{next(_numbers)}".replace("_", "-")
            async with hub.database.transaction() as session:
                account = await hub.accounts.create(
                    session,
                    username=name,
                    display_name=name.title(),
                    password=password_hash(),
                    roles=[RoleBinding(Role(role), area)],
                )
                opened = await hub.sessions.open(
                    session, account.id, address="127.0.0.1", user_agent="tests"
                )
            client = await stack.enter_async_context(_client(app, at))
            client.cookies.set(COOKIE, opened.token)
            client.headers[CSRF_HEADER] = opened.csrf_token
            client.account_id = account.id
            client.username = account.username
            client.session_id = opened.id
            client.session_token = opened.token
            client.csrf_token = opened.csrf_token
            return client

        yield make


@pytest.fixture
async def service_client(hub: Hub, app: FastAPI) -> AsyncIterator[ServiceClient]:
    """Make service tokens and clients that carry them."""
    async with AsyncExitStack() as stack:

        async def make(
            scopes: Iterable[str],
            area: str = "",
            *,
            at: LiveServer | None = None,
            household_id: UUID | None = None,
        ) -> Client:
            async with hub.database.transaction() as session:
                row, secret = await hub.tokens.issue(
                    session,
                    name=f"test service {next(_numbers)}",
                    scopes=scopes,
                    area=area,
                    household_id=household_id,
                )
            client = await stack.enter_async_context(_client(app, at))
            client.headers["Authorization"] = f"Bearer {secret}"
            client.account_id = row.id
            client.username = row.name
            return client

        yield make


def _client(app: FastAPI, at: LiveServer | None = None, **options: Any) -> Client:
    if at is not None:
        return Client(base_url=at.url, timeout=20.0, **options)
    return Client(transport=httpx.ASGITransport(app=app), base_url=ASGI_ORIGIN, **options)
