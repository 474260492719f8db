"""What of a camera is recorded is said with it; in a home only its household says so."""

from typing import Any
from uuid import UUID

import pytest

from access.policy.types import Role
from api.cameras import change
from api.hub import Hub
from camera_hub.devices.schemas import CameraUpdate
from core.errors import ForbiddenError
from core.settings import Settings
from tests.api.test_camera_facts import AREA, BOTH_STORES, FLAT, URL, Family, entries, entry, family
from tests.support.http import Client, SignIn

__all__ = ["family"]
NIGHT = {"days": ["sat", "sun"], "from": "22:00", "to": "06:00"}


async def added(client: Client, **more: Any) -> dict[str, Any]:
    made = await client.post(URL, json=entry(**more))
    assert made.status_code == 201, made.text
    camera: dict[str, Any] = made.json()
    return camera


async def patched(client: Client, camera: dict[str, Any], **more: Any) -> Any:
    path = f"{URL}/{camera['id']}"
    version = (await client.get(path)).json()["version"]
    return await client.patch(path, json={"version": version, **more})


@BOTH_STORES
async def test_a_new_camera_is_recorded_as_the_site_says_and_changes_are_in_the_ledger(
    hub: Hub, sign_in: SignIn
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, latitude=31.2, longitude=121.5, heading=90)
    assert camera["recording"]["mode"] == "always"
    assert (camera["latitude"], camera["longitude"], camera["heading"]) == (31.2, 121.5, 90)
    assert camera["transport"] == "tcp"

    plan = {"mode": "schedule", "role": "sub", "schedule": [NIGHT], "pre_s": 5}
    changed = await patched(admin, camera, recording=plan, transport="udp", heading=None)
    assert changed.status_code == 200, changed.text
    assert changed.json()["recording"] == {**plan, "post_s": 30.0}
    assert (changed.json()["transport"], changed.json()["heading"]) == ("udp", None)
    kinds = await entries(hub, camera["id"])
    assert ("camera.changed", "always main -> schedule sub") in [
        (kind, body.get("recording")) for kind, body in kinds
    ]
    async with hub.database.read() as session:
        _, cameras = await hub.devices.assignment(session, "w1", {})
    assert cameras[0].recording.schedule[0].days == ("sat", "sun")
    assert cameras[0].transport == "udp"


async def test_the_site_may_say_that_new_cameras_are_not_recorded(
    settings: Settings, hub: Hub, sign_in: SignIn
) -> None:
    assert settings.recording.mode == "always"
    hub.devices._recording = "off"
    assert (await added(await sign_in(Role.ADMINISTRATOR)))["recording"]["mode"] == "off"


async def test_a_home_is_recorded_only_when_its_household_says_so(
    sign_in: SignIn, family: Family
) -> None:
    household, member = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    home = {"place_kind": "home", "area": FLAT, "household_id": household}
    always = {"mode": "always"}
    refused = await admin.post(URL, json=entry(**home, recording=always))
    assert refused.status_code == 403, refused.text

    camera = await added(admin, **home)
    assert camera["recording"]["mode"] == "off"
    assert (await patched(admin, camera, recording=always)).status_code == 403
    assert (await patched(admin, camera, recording=always, name="Hall")).status_code == 403
    on = await patched(member, camera, recording=always)
    assert on.status_code == 200, on.text
    assert on.json()["recording"]["mode"] == "always"
    assert (await patched(member, camera, recording=always, name="Hall")).status_code == 403
    # Whoever configures may make it less, never other.
    assert (await patched(admin, camera, recording={"mode": "event"})).status_code == 403
    off = await patched(admin, camera, recording={"mode": "off"})
    assert off.json()["recording"]["mode"] == "off"


async def test_a_home_is_recorded_by_nobody_from_the_command_line_either(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    household, _ = await family()
    camera = await added(
        await sign_in(Role.ADMINISTRATOR), place_kind="home", area=FLAT, household_id=household
    )
    for body in ({"recording": {"mode": "always"}}, {"enabled": True}):
        camera_id = UUID(camera["id"])
        if "enabled" in body:
            await change(hub, None, camera_id, CameraUpdate(version=1, enabled=False))
        version = 2 if "enabled" in body else 1
        update = CameraUpdate.model_validate({"version": version, **body})
        with pytest.raises(ForbiddenError, match="household"):
            await change(hub, None, camera_id, update)


async def test_what_becomes_a_home_is_no_longer_recorded(sign_in: SignIn, family: Family) -> None:
    household, _ = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, area=FLAT)
    assert camera["recording"]["mode"] == "always"
    moved = {"place_kind": "home", "household_id": household}
    assert (await patched(admin, camera, **moved, recording={"mode": "event"})).status_code == 403
    changed = await patched(admin, camera, **moved)
    assert changed.status_code == 200, changed.text
    assert changed.json()["recording"]["mode"] == "off"


@pytest.mark.parametrize(
    "wrong",
    [
        {"recording": {"mode": "sometimes"}},
        {"recording": {"mode": "schedule", "schedule": [{**NIGHT, "from": "25:00"}]}},
        {"recording": {"mode": "schedule", "schedule": [{**NIGHT, "days": ["sun", "sun"]}]}},
        {"recording": {"mode": "event", "pre_s": 3600}},
        {"transport": "carrier pigeon"},
        {"latitude": 91},
        {"heading": 360},
    ],
)
async def test_a_plan_that_means_nothing_is_refused(sign_in: SignIn, wrong: dict[str, Any]) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    answer = await admin.post(URL, json=entry(area=AREA, **wrong))
    assert answer.status_code == 422, answer.text
