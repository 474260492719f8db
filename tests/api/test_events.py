"""Server-sent events over real sockets, in the order of the commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import delete

from access.policy.types import Role, RoleBinding
from api import events
from api.hub import Hub
from camera_hub.devices.models import Camera
from core.clock import SystemClock
from core.database import Database
from core.ids import new_id
from governance.outbox import service as outbox
from governance.outbox.broadcaster import QUEUE_LENGTH, Broadcaster
from governance.outbox.models import OutboxEvent
from tests.governance.support import AREA, signal
from tests.support.http import Client, LiveServer, ServiceClient, SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def clock() -> SystemClock:
    """Streams run on the machine's own clock."""
    return SystemClock()


@dataclass
class Message:
    event: str
    id: str
    data: Any


class Stream:
    """A reader of one event stream, as a browser reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id = ""

    async def next(self) -> Message | None:
        """Return the next event, or None when the stream has ended.

        That an incident rings comes in between at its own moment, and is left out.
        """
        name, data = "message", ""
        async for line in self._lines:
            if line.startswith("id:"):
                self.last_id = line[3:].strip()
            elif line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data += line[5:].strip()
            elif not line and data:
                message = Message(name, self.last_id, orjson.loads(data))
                if message.data.get("change") != "rang":
                    return message
                name, data = "message", ""
        return None

    async def connected(self) -> None:
        """Wait until the stream has said where it starts."""
        async for line in self._lines:
            if line.startswith("id:"):
                self.last_id = line[3:].strip()
                return


@asynccontextmanager
async def streaming(client: httpx.AsyncClient, last_id: str | None = None) -> AsyncIterator[Stream]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with client.stream("GET", "/api/v1/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        if last_id is None:
            await stream.connected()
        yield stream


async def post(worker: Client, **data: Any) -> UUID | None:
    answer = await worker.post("/api/v1/signals", json=signal(**data))
    assert answer.status_code == 201, answer.text
    found = answer.json()["incident_id"]
    return None if found is None else UUID(found)


@BOTH
async def test_an_incident_is_heard_in_the_order_it_happens(
    server: LiveServer, sign_in: SignIn, service_client: ServiceClient
) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    worker = await service_client(["signal.post"], at=server)
    async with streaming(staff) as stream:
        incident_id = await post(worker, observed_at="2026-01-01T08:00:00.5Z")
        opened = await stream.next()
        assert opened is not None
        assert opened.event == "incident.opened"
        assert opened.data["id"] == str(incident_id)
        assert opened.data["observed_at"] == "2026-01-01T08:00:00.500000Z"
        assert opened.data["emitted_at"] > opened.data["opened_at"]
        await post(worker, phase="continuing", observed_at="2026-01-01T08:00:02Z")
        await staff.post(f"/api/v1/incidents/{incident_id}/handle", json={"version": 1})
        first, second = await stream.next(), await stream.next()
    assert first is not None
    assert second is not None
    assert (first.event, first.data["change"]) == ("incident.updated", "continuing")
    assert first.data["observed_at"] == "2026-01-01T08:00:02Z"
    assert (second.data["change"], second.data["state"]) == ("handle", "handling")
    assert int(opened.id) < int(first.id) < int(second.id)


@BOTH
async def test_a_stream_resumes_without_gap_or_repetition(
    server: LiveServer, sign_in: SignIn, service_client: ServiceClient
) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    worker = await service_client(["signal.post"], at=server)
    heard: list[str] = []
    async with streaming(staff) as stream:
        last_id = stream.last_id
    for burst in range(4):
        posting = asyncio.gather(*(post(worker, zone_name=f"zone {burst}-{n}") for n in range(10)))
        async with streaming(staff, last_id) as stream:
            for _ in range(7):  # breaks off in the middle of a burst
                message = await stream.next()
                assert message is not None
                heard.append(message.data["zone_name"])
                last_id = message.id
        await posting
    async with streaming(staff, last_id) as stream:
        while len(heard) < 40:
            message = await stream.next()
            assert message is not None
            heard.append(message.data["zone_name"])
    assert len(set(heard)) == 40


async def test_an_event_of_another_area_is_not_heard(
    server: LiveServer, sign_in: SignIn, service_client: ServiceClient, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    patrol = await sign_in("patrol", "demo", at=server)
    worker = await service_client(["signal.post"], at=server)
    async with streaming(staff) as near, streaming(patrol) as far:
        await post(worker, area="demo/hillside", camera_id=None, ce_type="com.example.x")
        async with hub.database.transaction() as session:
            await outbox.append(
                session,
                type="camera.state",
                area=AREA,
                payload={"camera_id": "x", "status": {}},
                at=hub.clock.now(),
            )
        await post(worker)
        first, second = await near.next(), await near.next()
        assert first is not None
        assert second is not None
        assert (first.event, second.event) == ("camera.state", "incident.opened")
        assert second.data["area"] == AREA
        # A patrol may not list cameras, so hears nothing of them, but of both incidents.
        for _ in range(2):
            message = await far.next()
            assert message is not None
            assert message.event == "incident.opened"


@BOTH
async def test_how_a_camera_in_a_home_is_doing_is_for_those_who_look_after_it(
    server: LiveServer, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    admin = await sign_in("administrator", AREA, at=server)
    ids = {"home": new_id(), "shared_space": new_id()}
    async with hub.database.transaction() as session:
        for kind, camera_id in ids.items():
            session.add(
                Camera(id=camera_id, name="Hallway", area=AREA, place_kind=kind,
                       source_kind="rtsp", address="rtsp://camera/", created_at=hub.clock.now())
            )  # fmt: skip
    async with streaming(staff) as outside, streaming(admin) as inside:
        for camera_id in ids.values():
            async with hub.database.transaction() as session:
                await outbox.append(
                    session,
                    type="camera.state",
                    area=AREA,
                    payload={"camera_id": str(camera_id)},
                    at=hub.clock.now(),
                    camera_id=camera_id,
                )
        heard = [(await inside.next()), (await inside.next()), (await outside.next())]
    assert [m and m.data["camera_id"] for m in heard] == [
        str(ids["home"]), str(ids["shared_space"]), str(ids["shared_space"])]  # fmt: skip


async def test_a_stream_ends_within_two_seconds_of_its_session(
    server: LiveServer, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    async with streaming(staff) as stream:
        async with hub.database.transaction() as session:
            await hub.sessions.end(session, staff.session_id, "signed out")
        async with asyncio.timeout(2):
            assert await stream.next() is None
    async with staff.stream("GET", "/api/v1/events") as response:
        assert response.status_code == 401


async def test_a_stream_ends_when_its_account_gets_other_rights(
    server: LiveServer, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", "demo", at=server)
    async with streaming(staff) as stream:
        async with hub.database.transaction() as session:
            account = await hub.accounts.get(session, staff.account_id)
            narrower = [RoleBinding(Role.DUTY_STAFF, AREA)]
            await hub.accounts.update(session, account, roles=narrower)
        async with asyncio.timeout(2):
            assert await stream.next() is None


async def test_who_has_missed_too_much_is_told_to_load_everything_again(
    server: LiveServer, sign_in: SignIn, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    for _ in range(5):
        async with hub.database.transaction() as session:
            await outbox.append(
                session, type="camera.changed", area=AREA, payload={}, at=hub.clock.now()
            )
    async with hub.database.transaction() as session:
        await session.execute(delete(OutboxEvent).where(OutboxEvent.seq <= 3))
    for last_id in ("1", "999999", "nonsense", "-1"):
        async with streaming(staff, last_id) as stream:
            message = await stream.next()
            assert message is not None
            assert message.event == "reset", last_id
    async with streaming(staff, "3") as stream:  # nothing of it is missing
        message = await stream.next()
        assert message is not None
        assert (message.event, message.id) == ("camera.changed", "4")
    monkeypatch.setattr(events, "MAX_RESUMED", 1)
    async with streaming(staff, "3") as stream:
        message = await stream.next()
        assert message is not None
        assert (message.event, message.id) == ("reset", "5")


async def test_a_slow_stream_is_dropped_with_a_reset_and_holds_no_memory(
    database: Database,
) -> None:
    broadcaster = Broadcaster(database, SystemClock())
    reading = asyncio.create_task(broadcaster.run())
    await broadcaster.ready()
    with broadcaster.subscribe() as slow, broadcaster.subscribe() as quick:
        heard = 0
        for _ in range(3):
            async with database.transaction() as session:
                for _ in range(QUEUE_LENGTH // 2):
                    await outbox.append(
                        session, type="camera.changed", area="", payload={}, at=SystemClock().now()
                    )
            expected = heard + QUEUE_LENGTH // 2
            while heard < expected:
                heard += len(await quick.take(5))
        assert slow.overflowed
        assert await slow.take(0) == []
        assert not quick.overflowed
    reading.cancel()


@pytest.mark.faults
async def test_a_stopping_server_ends_its_streams(server: LiveServer, sign_in: SignIn) -> None:
    staff = await sign_in("duty_staff", AREA, at=server)
    async with streaming(staff) as stream:
        stopping = asyncio.create_task(server.stop())
        async with asyncio.timeout(3):
            assert await stream.next() is None
        await stopping
