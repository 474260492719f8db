"""What tests of exports share: an incident with pictures, and the steps of an export."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from api.door import COOKIE, CSRF_HEADER
from api.exports import builder
from api.hub import Hub
from camera_hub.devices.models import Camera
from core.ids import new_id
from governance.signals.reading import read_signal
from governance.signals.types import CameraFacts
from tests.governance.support import AREA, attachment, picture
from tests.governance.support import signal as detection
from tests.support.http import Client

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
WISH = {
    "purpose": "case",
    "reference": "case 2026/17",
    "reason": "asked for by the court",
    "audience": "authority",
    "expires_in_days": 2,
}


@pytest.fixture
async def incident_id(hub: Hub) -> UUID:
    """An incident of a camera in a public space, with a JPEG and a PNG."""
    return await make_incident(hub)


async def make_incident(hub: Hub, household_id: UUID | None = None) -> UUID:
    camera = Camera(
        id=new_id(),
        name="Gate 3 东门",
        area=AREA,
        place_kind="home" if household_id else "public_space",
        household_id=household_id,
        source_kind="rtsp",
        address="rtsp://192.0.2.1/",
        enabled=False,
        created_at=hub.clock.now(),
    )
    raw = detection(
        camera_id=str(camera.id),
        event_key=str(camera.id),
        attachments=[
            attachment(picture(640, 360)),
            attachment(picture(96, 54, "PNG", 200), "image/png"),
        ],
    )
    checked = read_signal(raw, hub.clock.now())
    for _, found in checked.pictures:
        hub.governance.pictures.write(found)
    async with hub.database.transaction() as session:
        session.add(camera)
        await session.flush()
        receipt = await hub.governance.signals.intake(
            session,
            checked,
            camera=CameraFacts(name=camera.name, area=AREA, household_id=household_id),
        )
    assert receipt.body.incident_id is not None
    return receipt.body.incident_id


async def wish(client: Client, incident_id: UUID, **changes: Any) -> dict[str, Any]:
    body = {**WISH, "incident_id": str(incident_id), **changes}
    answer = await client.post("/api/v1/exports", json=body)
    assert answer.status_code == 201, answer.text
    value = answer.json()
    assert isinstance(value, dict)
    return value


async def step(client: Client, export: dict[str, Any], verb: str, note: str = "") -> Any:
    return await client.post(f"/api/v1/exports/{export['id']}/{verb}", json={"note": note})


async def look(client: Client, export: dict[str, Any]) -> list[bytes]:
    """Open the preview of a blurred export and return its files."""
    opened = await client.post(f"/api/v1/exports/{export['id']}/previews")
    assert opened.status_code == 201, opened.text
    answers = [await client.get(one["url"]) for one in opened.json()["files"]]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    return [answer.content for answer in answers]


async def ready(hub: Hub, asker: Client, other: Client, incident_id: UUID) -> dict[str, Any]:
    """Take an export to the point where its file is there."""
    export = await wish(asker, incident_id)
    assert (await step(other, export, "approve", "seen the order")).status_code == 200
    assert await builder(hub).build_next()
    value = (await asker.get(f"/api/v1/exports/{export['id']}")).json()
    assert value["state"] == "ready", value
    assert isinstance(value, dict)
    return value


async def sign_in_again(hub: Hub, client: Client) -> None:
    """Give the client a session of today: the one it had has run out."""
    async with hub.database.transaction() as session:
        opened = await hub.sessions.open(session, client.account_id, address="", user_agent="")
    client.cookies.set(COOKIE, opened.token)
    client.headers[CSRF_HEADER] = opened.csrf_token


async def kinds(hub: Hub) -> list[str]:
    async with hub.database.read() as session:
        found = await session.scalars(
            select(LedgerEntry.kind)
            .where(LedgerEntry.kind.startswith("export."))
            .order_by(LedgerEntry.seq)
        )
        return list(found)
