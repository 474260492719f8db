"""A running hub with households and a line to it that can be cut, for journeys of the alarm."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from socket import create_server
from typing import Any
from uuid import UUID

import httpx
from playwright.async_api import Page, expect
from sqlalchemy import func, select

from access.policy.types import Role, RoleBinding
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub, build_hub
from core.clock import SystemClock
from core.settings import DatabaseSettings, ServerSettings, Settings, SiteSettings
from governance.incidents.models import Incident
from governance.signals.models import Signal
from tests.support.http import PASSWORD, LiveServer, password_hash

AREA = "demo/riverside/jade-garden"
NUMBER = "+86 571 0000 0119"
SMS = "+86 1065 0000 0119"
_numbers = count(1)


class Line:
    """The network between the browser and the hub: up, down, or up for questions only."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.state = "up"
        self.url = ""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._calls: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """End every connection and accept no other."""
        self._become("down")

    def lose_answers(self) -> None:
        """Let requests through to the hub, and nothing back."""
        self._become("mute")

    def mend(self) -> None:
        """Be a good network again."""
        self._become("up")

    def _become(self, state: str) -> None:
        self.state = state
        for writer in [*self._writers]:
            writer.transport.abort()

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for call in [*self._calls]:
            call.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        if self.state == "down":
            writer.transport.abort()
            return
        with suppress(OSError):
            hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self.target)
            pair = {writer, hub_writer}
            self._writers |= pair
            mute = self.state == "mute"
            try:
                await asyncio.gather(
                    _pump(reader, hub_writer), _pump(hub_reader, None if mute else writer)
                )
            finally:
                self._writers -= pair
                for end in pair:
                    end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            if writer is not None:
                writer.write(data)
                await writer.drain()
    if writer is not None:
        with suppress(OSError, RuntimeError):
            writer.write_eof()


@dataclass
class House:
    """The running hub and its line."""

    hub: Hub
    server: LiveServer
    line: Line
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def person(self, role: Role, name: str, username: str = "") -> httpx.AsyncClient:
        """A client of the interface, signed in as somebody new who is called `name`."""
        async with self.hub.database.transaction() as session:
            account = await self.hub.accounts.create(
                session,
                username=username or f"person-{next(_numbers)}",
                display_name=name,
                password=password_hash(),
                roles=[RoleBinding(role, AREA)],
            )
            opened = await self.hub.sessions.open(
                session, account.id, address="127.0.0.1", user_agent="tests"
            )
        client = httpx.AsyncClient(
            base_url=f"{self.server.url}/api/v1",
            cookies={COOKIE: opened.token},
            headers={CSRF_HEADER: opened.csrf_token},
            timeout=20,
        )
        self.clients.append(client)
        return client

    async def home(self, name: str) -> "Home":
        """A household with one member who is signed in."""
        username = f"member-{next(_numbers)}"
        member = await self.person(Role.RESIDENT, "Wang Guilan", username)
        async with self.hub.database.transaction() as session:
            household = await self.hub.households.create(session, None, name=name, area=AREA)
            await self.hub.households.add_member(
                session, None, household, username=username, cameras=0
            )
        return Home(self, household.id, username, member)


@dataclass
class Home:
    """A household of the house."""

    house: House
    id: UUID
    username: str
    member: httpx.AsyncClient
    password: str = PASSWORD

    async def code(self, kind: str = "phone") -> str:
        """A new pairing code, as it is shown to the member."""
        made = await self.member.post(f"/households/{self.id}/pairing-codes", json={"kind": kind})
        assert made.status_code == 201, made.text
        return str(made.json()["code"])

    async def incidents(self) -> list[Incident]:
        """Every incident of this household, oldest first."""
        async with self.house.hub.database.read() as session:
            rows = await session.scalars(
                select(Incident).where(Incident.household_id == self.id).order_by(Incident.id)
            )
            return list(rows)

    async def signals(self) -> int:
        """How many presses were taken in, of all households."""
        async with self.house.hub.database.read() as session:
            return int(await session.scalar(select(func.count()).select_from(Signal)) or 0)


@asynccontextmanager
async def running_house(directory: Path, url: str) -> AsyncIterator[House]:
    """A hub over the store at `url`, with the machine's clock and the console's files."""
    settings = Settings(
        data_dir=directory / "data",
        database=DatabaseSettings(url=url),
        server=ServerSettings(host="127.0.0.1", port=0),
        site=SiteSettings(name="Jade Garden", alarm_number=NUMBER, sms_number=SMS),
    )
    hub = build_hub(settings, SystemClock())
    listener = create_server(("127.0.0.1", 0))
    server = LiveServer(hub, listener)
    await server.start()
    line = Line(server.port)
    await line.open()
    house = House(hub, server, line)
    try:
        yield house
    finally:
        for client in house.clients:
            await client.aclose()
        await line.close()
        await server.stop()
        await hub.close()
        listener.close()


async def pair_phone(page: Page, home: Home, path: str = "/alarm") -> None:
    """Type a pairing code into the phone's page, as a person does."""
    await page.goto(f"{home.house.line.url}{path}")
    field: Any = page.get_by_label(re.compile("Pairing code|配对码"))
    await field.fill(await home.code())
    await field.press("Enter")
    await expect(page.get_by_role("button", name=re.compile("^(Fire|火警)"))).to_be_visible()
