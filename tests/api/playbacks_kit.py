"""What tests of playbacks share: a camera with recordings, and a home."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import av
import pytest
from sqlalchemy import select

from access.households.models import Household, HouseholdMember
from access.views.models import ViewRecord
from api.hub import Hub
from camera_hub.devices.models import Camera
from camera_hub.recording.index.schemas import SegmentIn
from core.ids import new_id
from tests.support.http import Client, SignIn
from tests.support.recorded import write_segment

AREA = "demo/riverside"
BEGIN = datetime(2026, 1, 1, 7, 0, tzinfo=UTC)
END = BEGIN + timedelta(minutes=30)
WHY = {"purpose": "case", "reference": "K-2026-17"}
MASKS = [{"polygon": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]}]
BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


@dataclass
class Past:
    """A camera with eighteen seconds of recordings: three files, a gap before the last."""

    hub: Hub
    camera_id: UUID
    segments: list[SegmentIn]

    async def begin(self, client: Client, **changes: Any) -> dict[str, Any]:
        answer = await self.ask(client, **changes)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    async def ask(self, client: Client, **changes: Any) -> Any:
        body = {
            "camera_ids": [str(self.camera_id)], "from": BEGIN.isoformat(), "to": END.isoformat(),
            **WHY, **changes,
        }  # fmt: skip
        return await client.post("/api/v1/playbacks", json=body)

    async def records(self) -> Sequence[ViewRecord]:
        async with self.hub.database.read() as session:
            return list(await session.scalars(select(ViewRecord).order_by(ViewRecord.id)))

    async def change(self, **values: Any) -> None:
        async with self.hub.database.transaction() as session:
            camera = await self.hub.devices.get(session, self.camera_id)
            for name, value in values.items():
                setattr(camera, name, value)

    def media(self, playback: dict[str, Any], number: int = 0, start: float = 0.0) -> str:
        one = self.segments[number]
        at = (one.started_at + timedelta(seconds=start)).isoformat().replace("+00:00", "Z")
        return f"/api/v1/playbacks/{playback['id']}/segments/{one.id}/media?from={at}"


async def add_camera(hub: Hub, **values: Any) -> UUID:
    camera = Camera(
        id=new_id(), name="Gate",
        **{"area": AREA, "place_kind": "public_space", "enabled": False, **values},
        source_kind="rtsp", address="rtsp://192.0.2.1/", created_at=hub.clock.now(),
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    return camera.id


async def record(hub: Hub, camera_id: UUID, starts: Sequence[float]) -> list[SegmentIn]:
    disk = hub.settings.recording_disks[0]
    found = [
        write_segment(disk.path, camera_id, BEGIN + timedelta(seconds=at), sequence=number)
        for number, at in enumerate(starts)
    ]
    async with hub.database.transaction() as session:
        taken = await hub.recordings.take(session, "media-0", found)
    assert len(taken.taken) == len(found)
    return found


@pytest.fixture
async def past(hub: Hub) -> Past:
    camera_id = await add_camera(hub)
    return Past(hub, camera_id, await record(hub, camera_id, (0, 6, 60)))


def seconds(answer: Any, name: str) -> float:
    return (datetime.fromisoformat(answer.headers[name]) - BEGIN).total_seconds()


def pictures(init: bytes, media: bytes) -> list[Any]:
    with av.open(io.BytesIO(init + media), mode="r", format="mp4") as container:
        return list(container.decode(video=0))


@pytest.fixture
async def at_home(past: Past, sign_in: SignIn) -> tuple[Past, Client]:
    """The camera looks into the home of the client that comes with it."""
    member = await sign_in("resident", AREA)
    since = BEGIN + timedelta(seconds=5)
    household = Household(id=new_id(), name="Unit 3", area=AREA, created_at=since)
    async with past.hub.database.transaction() as session:
        session.add(household)
        await session.flush()
        session.add(
            HouseholdMember(
                household_id=household.id, account_id=member.account_id,
                since=past.hub.clock.now(),
            )
        )  # fmt: skip
    await past.change(place_kind="home", household_id=household.id)
    return past, member
