"""The one-key alarm over HTTP: pressed, followed, located, called off; on both stores."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.alarms.models import AlarmDevice
from governance.incidents.models import Incident, IncidentLog
from governance.signals.models import Signal
from tests.support.http import ASGI_ORIGIN, Client, ServiceClient, SignIn

AREA = "demo/riverside/jade-garden"
HOUSEHOLD = "Building 3, Flat 1204"

both_stores = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


@dataclass
class Home:
    """A household, its member signed in, and the device that the member has let in."""

    id: str
    member: Client
    device_id: str
    device: httpx.AsyncClient


def client_of(app: FastAPI, token: str) -> httpx.AsyncClient:
    """A client that shows a device's token."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url=f"{ASGI_ORIGIN}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    )


async def a_home(hub: Hub, app: FastAPI, sign_in: SignIn, name: str = HOUSEHOLD) -> Home:
    member = await sign_in("resident", AREA)
    member.base_url = httpx.URL(f"{ASGI_ORIGIN}/api/v1")
    async with hub.database.transaction() as session:
        household = await hub.households.create(session, None, name=name, area=AREA)
        await hub.households.add_member(
            session, None, household, username=member.username, cameras=0
        )
    made = await member.post(
        f"/households/{household.id}/alarm-devices", json={"kind": "phone", "name": "Li's phone"}
    )
    assert made.status_code == 201, made.text
    body = made.json()
    return Home(
        str(household.id), member, body["device"]["id"], client_of(app, body["token"])
    )


@pytest.fixture
async def home(hub: Hub, app: FastAPI, sign_in: SignIn) -> Home:
    return await a_home(hub, app, sign_in)


def press(kind: str = "medical", **more: Any) -> dict[str, Any]:
    return {"id": str(new_id()), "kind": kind, **more}


async def in_store(hub: Hub, table: type[Any]) -> list[Any]:
    async with hub.database.read() as session:
        return list(await session.scalars(select(table).order_by(*table.__table__.primary_key)))


@both_stores
async def test_a_press_is_received_once_and_again_with_the_same_answer(
    hub: Hub, home: Home
) -> None:
    pressed = press("fire", pressed_at=hub.clock.now().isoformat(), held=True)
    first = await home.device.post("/alarms", json=pressed)
    assert first.status_code == 201, first.text
    again = await home.device.post("/alarms", json=pressed)
    assert (again.status_code, again.json()) == (200, first.json())
    alarm = first.json()
    assert (alarm["id"], alarm["kind"], alarm["open"]) == (pressed["id"], "fire", True)
    assert [step["step"] for step in alarm["steps"]] == ["received"]
    assert alarm["device_id"] == home.device_id
    (incident,) = await in_store(hub, Incident)
    assert incident.headline == f"Fire alarm: {HOUSEHOLD}"
    assert (incident.kind, incident.area, str(incident.household_id)) == (
        "alarm_fire", AREA, home.id)  # fmt: skip
    (signal,) = await in_store(hub, Signal)
    assert signal.source == f"/devices/{home.device_id}"
    assert signal.payload["data"]["held"] is True
