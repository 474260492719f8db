"""A hub with a community's people, a household that can press, and a gateway that remembers."""

import asyncio
import base64
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
from playwright.async_api import Browser, Page

from access.policy.types import Role, RoleBinding
from access.sessions.service import OpenedSession
from api.door import COOKIE, CSRF_HEADER
from api.hub import Hub, build_hub
from core.clock import SystemClock
from core.ids import new_id
from core.settings import DatabaseSettings, ServerSettings, Settings
from core.settings_loop import DeliverySettings
from tests.support.http import LiveServer, password_hash

AREA = "demo/riverside/jade-garden"
HOUSEHOLD = "Building 3, Flat 1204"
PEOPLE = {
    "duty": (Role.DUTY_STAFF, "Duty desk"),
    "walker": (Role.PATROL, "Zhou Patrol"),
    "chief": (Role.SUPERVISOR, "Supervisor"),
    "deputy": (Role.SUPERVISOR, "Deputy supervisor"),
    "roads": (Role.DEPARTMENT, "Road keeper"),
    "admin": (Role.ADMINISTRATOR, "Administrator"),
}
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four by").decode()
_LINK = re.compile(r"https?://\S+/a/\S+")


@dataclass
class Provider:
    """A gateway of kind `http`: takes every message and remembers it."""

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)

    def links(self) -> list[str]:
        """Return the answer links that came, oldest first."""
        return [found for m in self.messages for found in _LINK.findall(m["text"])]

    def code(self) -> str | None:
        """Return the newest code that was sent."""
        for message in reversed(self.messages):
            if found := re.search(r"\b\d{6}\b", message["text"]):
                return found[0]
        return None


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """Run the gateway on a loopback port."""
    running = Provider()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
            running.messages.append(orjson.loads(await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sms"
        yield running


@dataclass
class House:
    """The running hub and what a test needs of it."""

    hub: Hub
    url: str
    household_id: UUID
    account_ids: dict[str, UUID]
    button: httpx.AsyncClient
    provider: Provider

    async def session(self, name: str) -> OpenedSession:
        """Open a session of `name` in the store; signing in has journeys of its own."""
        async with self.hub.database.transaction() as session:
            account_id = self.account_ids[name]
            return await self.hub.sessions.open(
                session, account_id, address="127.0.0.1", user_agent="tests"
            )

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client that is signed in as `name`."""
        opened = await self.session(name)
        async with httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            cookies={COOKIE: opened.token},
            headers={CSRF_HEADER: opened.csrf_token},
        ) as client:
            yield client

    async def page(self, browser: Browser, name: str, path: str, **options: Any) -> Page:
        """Open `path` in a browser of its own that is signed in as `name`."""
        options = {"viewport": {"width": 1280, "height": 1000}, **options}
        context = await browser.new_context(locale="en-US", reduced_motion="reduce", **options)
        opened = await self.session(name)
        await context.add_cookies([{"name": COOKIE, "value": opened.token, "url": self.url}])
        page = await context.new_page()
        await page.goto(f"{self.url}{path}")
        await page.locator("nav").first.wait_for()
        return page

    async def press(self, kind: str = "fire", **more: Any) -> dict[str, Any]:
        """Press the household's alarm; return the receipt."""
        answer = await self.button.post("/alarms", json={"id": str(new_id()), "kind": kind, **more})
        assert answer.is_success, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def report(self, headline: str, **data: Any) -> str:
        """Report something that is no alarm; return its incident."""
        body = {
            "specversion": "1.0",
            "id": str(new_id()),
            "source": "/reports",
            "type": "org.example.report",
            "datacontenttype": "application/json",
            "data": {
                "phase": "started",
                "event_key": str(new_id()),
                "category": "Infra",
                "urgency": "Expected",
                "severity": "Moderate",
                "certainty": "Observed",
                "status": "Actual",
                "headline": headline,
                "area": AREA,
                **data,
            },
        }
        answer = await self.button.post("/signals", json=body)
        assert answer.is_success, answer.text
        return str(answer.json()["incident_id"])


async def _people(hub: Hub) -> dict[str, UUID]:
    ids = {}
    async with hub.database.transaction() as session:
        for username, (role, name) in PEOPLE.items():
            account = await hub.accounts.create(
                session,
                username=username,
                display_name=name,
                password=password_hash(),
                roles=[RoleBinding(role, "" if role is Role.ADMINISTRATOR else "demo/riverside")],
                locale="en",
            )
            ids[username] = account.id
    return ids


@asynccontextmanager
async def running_house(directory: Path, store_url: str) -> AsyncIterator[House]:
    """Run the hub in this process over the store at `store_url`, with its background work."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(
        data_dir=directory,
        database=DatabaseSettings(url=store_url),
        server=ServerSettings(host="127.0.0.1", port=0, public_url=url),
        deliveries=DeliverySettings(allow_private=True),
    )
    hub = build_hub(settings, SystemClock())
    server = LiveServer(hub, listener)
    async with provider() as gateway:
        try:
            await server.start()
            ids = await _people(hub)
            async with hub.database.transaction() as session:
                home = await hub.households.create(session, None, name=HOUSEHOLD, area=AREA)
                _, secret = await hub.tokens.issue(
                    session,
                    name="Button",
                    scopes=["alarm.press", "alarm.follow", "signal.post"],
                    area="",
                    household_id=home.id,
                )
            headers = {"Authorization": f"Bearer {secret}"}
            async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers) as button:
                yield House(hub, url, home.id, ids, button, gateway)
        finally:
            await server.stop()
            listener.close()
            await hub.close()
