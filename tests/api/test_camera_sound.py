"""Whether a camera hears: off by default, on for a reason that stands on record, known to all."""

from typing import Any
from uuid import UUID

import pytest

from access.policy.types import Role
from api.cameras import change
from api.hub import Hub
from camera_hub.devices.schemas import CameraUpdate
from core.errors import ForbiddenError
from tests.api.test_camera_facts import (
    AREA,
    BOTH_STORES,
    FLAT,
    LAWFUL,
    URL,
    Family,
    entries,
    entry,
    family,
    jurisdiction,
    settings,
)
from tests.api.test_camera_recording_plan import added, patched
from tests.support.http import Client, SignIn

__all__ = ["family", "jurisdiction", "settings"]
WHY = "Calls for help at the lift at night"


async def hears(hub: Hub, camera: dict[str, Any]) -> bool:
    """Return what the camera's worker is told."""
    async with hub.database.read() as session:
        _, cameras = await hub.devices.assignment(session, "w1", {})
    (one,) = [item for item in cameras if str(item.id) == camera["id"]]
    return one.sound


@BOTH_STORES
async def test_a_camera_is_silent_until_somebody_says_why_it_has_to_hear(
    hub: Hub, sign_in: SignIn, client: Client
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, **LAWFUL)
    assert (camera["sound"], camera["sound_reason"]) == (False, "")
    assert not await hears(hub, camera)

    refused = await patched(admin, camera, sound=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "law-refused")
    (wrong,) = refused.json()["errors"]
    assert (wrong["field"], wrong["rule"]) == ("sound_reason", "HUB-4")
    assert "收音" in wrong["texts"]["zh-CN"]
    assert not await hears(hub, camera)

    changed = await patched(admin, camera, sound=True, sound_reason=WHY)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["sound"], changed.json()["sound_reason"]) == (True, WHY)
    assert await hears(hub, camera)
    shown = (await client.get("/api/v1/transparency")).json()["cameras"]
    assert [one["sound"] for one in shown] == [True]

    # Off needs no reason, and asks nothing of the rest.
    assert (await patched(admin, camera, sound=False)).status_code == 200
    assert not await hears(hub, camera)
    told = [body.get("sound") for kind, body in await entries(hub, camera["id"]) if "sound" in body]
    assert told == [False, "False -> True", "True -> False"]


@pytest.mark.parametrize(
    ("jurisdiction", "rule"),
    [("eu", "EU-GDPR-25"), ("uk", "UK-ICO-1"), ("cn", "CN-PIPL-6")],
    indirect=["jurisdiction"],
)
async def test_each_law_names_its_own_rule(sign_in: SignIn, rule: str) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    refused = await admin.post(URL, json=entry(**LAWFUL, sound=True))
    assert [(e["field"], e["rule"]) for e in refused.json()["errors"]] == [("sound_reason", rule)]
    heard = await added(admin, **LAWFUL, sound=True, sound_reason=WHY)
    assert heard["sound"]
    assert (await patched(admin, heard, sound_reason="")).status_code == 422
    law = (await admin.get("/api/v1/law")).json()
    assert law["sound_rule"] == rule
    assert rule in [one["number"] for one in law["rules"]]
    assert {place["sound"] for place in law["places"]} == {"justified"}


@BOTH_STORES
async def test_only_its_household_lets_a_home_be_heard(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    household, member = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    home = {"place_kind": "home", "area": FLAT, "household_id": household}
    refused = await admin.post(URL, json=entry(**home, sound=True, sound_reason=WHY))
    assert refused.status_code == 403, refused.text
    camera = await added(admin, **home)
    assert (await patched(admin, camera, sound=True, sound_reason=WHY)).status_code == 403
    body = CameraUpdate(version=camera["version"], sound=True, sound_reason=WHY)
    with pytest.raises(ForbiddenError):
        await change(hub, None, UUID(camera["id"]), body)
    assert not await hears(hub, camera)

    own = await patched(member, camera, sound=True)
    assert own.status_code == 200, own.text
    assert await hears(hub, camera)
    assert (await patched(admin, camera, sound=False)).status_code == 200
    assert (await patched(admin, camera, sound=True)).status_code == 403
    assert not await hears(hub, camera)


async def test_what_becomes_a_home_is_silent_again(sign_in: SignIn, family: Family) -> None:
    household, _ = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, place_kind="shared_space", sound=True, sound_reason=WHY)
    moved = await patched(
        admin, camera, place_kind="home", place_type="", area=FLAT, household_id=household
    )
    assert moved.status_code == 200, moved.text
    assert (moved.json()["sound"], moved.json()["sound_reason"]) == (False, "")


async def test_cameras_are_not_let_hear_in_bulk_or_by_others(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, **LAWFUL)
    body = {"ids": [camera["id"]], "set": {"sound": True, "sound_reason": WHY}}
    assert (await admin.patch(URL, json=body)).status_code == 422
    for role in ("operator", "supervisor", "duty_staff", "resident"):
        other = await sign_in(role, AREA)
        wish = {"version": camera["version"], "sound": True, "sound_reason": WHY}
        assert (await other.patch(f"{URL}/{camera['id']}", json=wish)).status_code in (403, 404)
