"""Privacy masks over HTTP: who draws them, what is refused, and what they end at once."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from access.policy.types import Role
from api.hub import Hub
from camera_hub.devices.models import Camera
from camera_hub.streams.types import AssignedCamera
from core.ids import new_id
from governance.outbox.models import OutboxEvent
from tests.support.http import SignIn
from tests.support.live import AREA, Scene, camera_server, closed, reading, receive_media, scene

__all__ = ["camera_server", "reading", "scene"]

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
CORNER = [[0.0, 0.0], [0.25, 0.0], [0.25, 0.25], [0.0, 0.25]]


def body(version: int = 1, **more: Any) -> dict[str, Any]:
    return {"version": version, "masks": [{"name": "Window", "polygon": CORNER}], **more}


async def add_camera(hub: Hub, place_kind: str = "public_space") -> UUID:
    camera = Camera(
        id=new_id(), name="Gate", area=AREA, place_kind=place_kind, source_kind="rtsp",
        address="rtsp://camera/", username="", password_sealed="", enabled=True, analyse=False,
        household_id=new_id() if place_kind == "home" else None, version=1,
        created_at=hub.clock.now(),
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    return camera.id


def url(camera_id: UUID) -> str:
    return f"/api/v1/cameras/{camera_id}/masks"


@BOTH_STORES
async def test_masks_reach_the_worker_the_ledger_and_the_consoles(
    hub: Hub, sign_in: SignIn
) -> None:
    camera_id = await add_camera(hub)
    supervisor = await sign_in(Role.SUPERVISOR, AREA)
    async with hub.database.transaction() as session:
        before, _ = await hub.devices.assignment(session, "media-0", {})
    answer = await supervisor.put(url(camera_id), json=body(burnt=True))
    assert answer.status_code == 200
    camera = answer.json()
    assert camera["masks"] == [{"name": "Window", "polygon": CORNER}]
    assert (camera["masks_burnt"], camera["version"]) == (True, 2)

    async with hub.database.transaction() as session:
        revision, (told,) = await hub.devices.assignment(session, "media-0", {})
        entry = (
            await session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "camera.masked"))
        ).one()
        events = list(await session.scalars(select(OutboxEvent.type)))
    assert revision != before
    assigned = AssignedCamera.from_json(told.model_dump(mode="json"))
    assert assigned.masks == (tuple((x, y) for x, y in CORNER),)
    assert assigned.masks_burnt
    assert entry.subject == str(camera_id)
    assert '"after":1' in entry.body
    assert '"before":0' in entry.body
    assert "camera.changed" in events

    again = await supervisor.put(url(camera_id), json=body())
    assert (again.status_code, again.json()["code"]) == (409, "version-conflict")
    gone = await supervisor.put(url(camera_id), json={"version": 2, "masks": []})
    assert gone.json()["masks"] == []


@pytest.mark.parametrize(
    "masks",
    [
        [{"name": "x", "polygon": [[0, 0], [1, 1]]}],
        [{"name": "x", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}],
        [{"name": "x", "polygon": [[0, 0], [1.5, 0], [1, 1]]}],
        [{"name": "", "polygon": CORNER}],
        [{"name": "x", "polygon": CORNER, "colour": "red"}],
        [{"name": "x", "polygon": CORNER}] * 17,
        [{"name": "x", "polygon": [[0.5, i / 100] for i in range(65)]}],
    ],
)
async def test_a_mask_that_makes_no_sense_is_refused(
    hub: Hub, sign_in: SignIn, masks: list[Any]
) -> None:
    camera_id = await add_camera(hub)
    supervisor = await sign_in(Role.SUPERVISOR, AREA)
    answer = await supervisor.put(url(camera_id), json={"version": 1, "masks": masks})
    assert answer.status_code == 422


async def test_masks_of_a_home_are_its_households_and_of_another_area_nobodys(
    hub: Hub, sign_in: SignIn
) -> None:
    home = await add_camera(hub, "home")
    square = await add_camera(hub)
    supervisor = await sign_in(Role.SUPERVISOR, AREA)
    elsewhere = await sign_in(Role.SUPERVISOR, "other")
    operator = await sign_in(Role.OPERATOR, AREA)
    assert (await supervisor.put(url(home), json=body())).status_code in {403, 404}
    assert (await elsewhere.put(url(square), json=body())).status_code == 404
    assert (await operator.put(url(square), json=body())).status_code == 403
    async with hub.database.read() as session:
        assert all(not camera.masks for camera in await session.scalars(select(Camera)))


async def test_drawing_masks_cuts_the_views_without_them(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    supervisor = await sign_in("supervisor", AREA, at=scene.server)
    async with scene.watch(operator) as socket:
        await receive_media(socket)
        answer = await supervisor.put(url(scene.camera_id), json=body())
        assert answer.status_code == 200
        code, reason = await closed(socket)
    assert code in {4403, 4503}
    assert reason
    # Nobody is handed what the API still had of the stream without masks.
    assert not [k for k in scene.hub.live._upstreams if k[2] == "raw"]
