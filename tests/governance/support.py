"""Signals, people and short ways to the kernel for the tests of governance."""

import base64
from io import BytesIO
from typing import Any
from uuid import UUID

from PIL import Image
from sqlalchemy import ColumnElement, func, select

from access.policy.types import Actor
from core.database import Base, Database
from core.ids import new_id
from governance.incidents.models import Incident
from governance.service import Governance
from governance.signals.intake import IntakeItem
from governance.signals.reading import ReadSignal, read_signal
from governance.signals.types import Receipt

CAMERA = UUID("01900000-0000-7000-8000-000000000001")
AREA = "demo/riverside/jade-garden"


def person(name: str = "Li Na") -> Actor:
    """An account that acts."""
    return Actor(kind="account", id=new_id(), name=name.lower(), display_name=name)


def picture(width: int = 64, height: int = 36, fmt: str = "JPEG", shade: int = 90) -> bytes:
    """A small real picture."""
    out = BytesIO()
    Image.new("RGB", (width, height), (shade, 20, 30)).save(out, fmt)
    return out.getvalue()


def attachment(content: bytes, media_type: str = "image/jpeg") -> dict[str, Any]:
    """A picture as a signal carries it."""
    return {
        "name": "snapshot.jpg",
        "media_type": media_type,
        "content": base64.b64encode(content).decode(),
        "width": 64,
        "height": 36,
    }


def signal(**data: Any) -> dict[str, Any]:
    """A detection as a media worker posts it; envelope fields are given as `ce_<name>`."""
    envelope = {k.removeprefix("ce_"): data.pop(k) for k in list(data) if k.startswith("ce_")}
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/workers/media-0",
        "type": "org.camerahub.detection.intrusion",
        "subject": str(CAMERA),
        "datacontenttype": "application/json",
        **envelope,
        "data": {
            "phase": "started",
            "event_key": f"{CAMERA}:intrusion:pump-house:1",
            "category": "Security",
            "urgency": "Immediate",
            "severity": "Severe",
            "certainty": "Likely",
            "status": "Actual",
            "headline": "Person in 'Pump house' at Gate 3",
            "camera_id": str(CAMERA),
            "zone_name": "Pump house",
            "rule": "intrusion",
            "area": AREA,
            "confidence": 0.83,
            "objects": [{"label": "person", "confidence": 0.83, "box": [0.1, 0.2, 0.3, 0.9]}],
            **data,
        },
    }


def offline(**data: Any) -> dict[str, Any]:
    """A camera's failure."""
    return signal(
        ce_type="org.camerahub.camera.offline",
        category="Infra",
        rule="",
        zone_name="",
        headline="Gate 3 is offline",
        objects=[],
        **data,
    )


def read(kernel: Governance, raw: dict[str, Any]) -> ReadSignal:
    """Check a signal as the API does."""
    return read_signal(raw, kernel.clock.now())


async def post(kernel: Governance, raw: dict[str, Any]) -> Receipt:
    """Do what `POST /signals` does."""
    checked = read(kernel, raw)
    for _, found in checked.pictures:
        kernel.pictures.write(found)
    return await kernel.intake.submit(IntakeItem(checked))


async def opened(kernel: Governance, **data: Any) -> Incident:
    """Post a signal that opens an incident, and return that."""
    receipt = await post(kernel, signal(**data))
    assert receipt.body.incident_id is not None
    return await fetch(kernel, receipt.body.incident_id)


async def fetch(kernel: Governance, incident_id: UUID) -> Incident:
    """Return an incident as it is committed."""
    async with kernel.database.read() as session:
        return await kernel.incidents.get(session, incident_id)


async def count(database: Database, table: type[Base]) -> int:
    """Return how many rows are committed."""
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def rows(database: Database, table: type[Base], *where: ColumnElement[bool]) -> list[Any]:
    """Return all committed rows, of which `where` holds, in the order of their keys."""
    query = select(table).where(*where).order_by(*table.__table__.primary_key)
    async with database.read() as session:
        return list(await session.scalars(query))
