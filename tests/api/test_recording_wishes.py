"""Cameras that record at times are asked to while an incident of theirs is open."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from access.households.models import Household
from access.policy.types import Role
from api.hub import Hub
from camera_hub.devices.models import Camera, CameraStream
from core.clock import ManualClock
from core.ids import new_id
from governance.incidents.opening import NewIncident
from tests.api.test_workers import AREA, BOTH_STORES, beat
from tests.support.http import Client, ServiceClient, SignIn

pytestmark = BOTH_STORES


async def camera(hub: Hub, mode: str, household: UUID | None = None) -> Camera:
    made = Camera(
        id=new_id(), name="Gate", source_kind="rtsp", address="rtsp://127.0.0.1:9/cam", area=AREA,
        household_id=household, created_at=hub.clock.now(), recording={"mode": mode},
        place_kind="home" if household else "shared_space",
        streams=[CameraStream(role="main", url="rtsp://127.0.0.1:9/cam")],
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(made)
    return made


async def incident(hub: Hub, **more: Any) -> None:
    async with hub.database.transaction() as session:
        values: dict[str, Any] = {
            "kind": "intrusion", "type": "org.camerahub.detection.intrusion",
            "category": "Security", "urgency": "immediate", "severity": "severe",
            "certainty": "observed", "status": "actual", "dedup_key": str(new_id()),
            "headline": "Person at the gate", "area": AREA, "camera_id": None,
            "camera_name": "", "zone_name": "", "household_id": None,
            "observed_at": hub.clock.now(), **more,
        }  # fmt: skip
        await hub.governance.incidents.open(session, NewIncident(**values))


async def asked(worker: Client) -> list[str]:
    answer = await beat(worker)
    found: list[str] = answer["asked"]
    return found


async def test_an_incident_asks_for_its_camera_for_an_hour(
    hub: Hub, service_client: ServiceClient, clock: ManualClock
) -> None:
    worker = await service_client(["worker.heartbeat"])
    at_events, always = await camera(hub, "event"), await camera(hub, "always")
    elsewhere = await camera(hub, "schedule")
    assert await asked(worker) == []
    await incident(hub, camera_id=at_events.id)
    await incident(hub, camera_id=always.id)
    await incident(
        hub, camera_id=elsewhere.id, kind="camera_offline", type="org.camerahub.camera.offline"
    )
    assert await asked(worker) == [str(at_events.id)]
    clock.advance(timedelta(minutes=61).total_seconds())
    assert await asked(worker) == []


async def test_an_alarm_asks_for_the_cameras_of_its_household_only(
    hub: Hub, service_client: ServiceClient, sign_in: SignIn
) -> None:
    worker = await service_client(["worker.heartbeat"])
    await sign_in(Role.DUTY_STAFF)
    households = [
        Household(id=new_id(), name=f"Flat {n}", area=AREA, created_at=hub.clock.now())
        for n in range(2)
    ]
    async with hub.database.transaction() as session:
        session.add_all(households)
    own, other = [await camera(hub, "event", household.id) for household in households]
    off = await camera(hub, "off", households[0].id)
    alarm = {"kind": "alarm_fire", "type": "org.camerahub.alarm.fire", "category": "Fire"}
    await incident(hub, household_id=households[0].id, **alarm)
    assert await asked(worker) == [str(own.id)]
    assert other.id != off.id


@pytest.mark.parametrize("mode", ["off", "always"])
async def test_other_plans_are_never_asked(
    hub: Hub, service_client: ServiceClient, mode: str
) -> None:
    worker = await service_client(["worker.heartbeat"])
    await incident(hub, camera_id=(await camera(hub, mode)).id)
    assert await asked(worker) == []
