"""Attacks on sound: hearing without right, beyond the law, or in a home without its household."""

from typing import Any

import pytest
from sqlalchemy import update

from access.policy.types import Role
from api.hub import Hub
from camera_hub.devices.models import Camera
from tests.api.playbacks_kit import AREA, Past
from tests.api.test_camera_facts import (
    BOTH_STORES,
    FLAT,
    LAWFUL,
    Family,
    family,
    jurisdiction,
    settings,
)
from tests.api.test_camera_recording_plan import added, patched
from tests.api.test_camera_sound import WHY, hears
from tests.api.test_live_sound import ASK, is_heard, open_view, reading, scene
from tests.api.test_playback_sound import leaving, past, silent
from tests.support.http import LiveServer, SignIn
from tests.support.live import Scene, closed
from tests.support.waiting import until

__all__ = ["family", "jurisdiction", "past", "reading", "scene", "settings"]


@BOTH_STORES
@pytest.mark.parametrize(
    "kept",
    [{"sound": True, "sound_reason": WHY}, {"recording": {"mode": "always", "role": "main"}}],
)
async def test_what_becomes_a_home_does_not_stay_heard_or_recorded_by_an_administrators_word(
    hub: Hub, sign_in: SignIn, family: Family, kept: dict[str, Any]
) -> None:
    household, _ = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, place_kind="shared_space", **kept)
    home = {"place_kind": "home", "place_type": "", "area": FLAT, "household_id": household}
    # Named once more as it is: nothing about it seems to change.
    moved = await patched(admin, camera, **home, **kept)
    assert moved.status_code == 403, moved.text
    assert (await patched(admin, camera, **home)).status_code == 200
    assert not await hears(hub, camera)


@BOTH_STORES
async def test_a_home_given_to_another_household_is_not_heard_by_the_same_word(
    hub: Hub, sign_in: SignIn, family: Family
) -> None:
    first, member = await family()
    admin = await sign_in(Role.ADMINISTRATOR)
    home = {"place_kind": "home", "area": FLAT, "household_id": first}
    camera = await added(admin, **home)
    assert (await patched(member, camera, sound=True)).status_code == 200
    second = await admin.post("/api/v1/households", json={"name": "The next", "area": FLAT})
    if second.status_code == 201:
        wish = {"household_id": second.json()["id"], "sound": True}
        assert (await patched(admin, camera, **wish)).status_code in {403, 409}


def forbid_sound(hub: Hub, place_type: str) -> None:
    """Let the law of the running hub be one that forbids sound there."""
    place = hub.law.places[place_type]
    hub.law.places[place_type] = place.model_copy(update={"sound": "forbidden"})


@BOTH_STORES
async def test_a_law_that_forbids_sound_silences_cameras_that_hear_already(
    hub: Hub, sign_in: SignIn
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await added(admin, **LAWFUL, sound=True, sound_reason=WHY)
    assert await hears(hub, camera)
    forbid_sound(hub, "street")
    assert not await hears(hub, camera)


async def test_what_was_recorded_with_sound_is_not_heard_under_a_law_that_forbids_it(
    past: Past, server: LiveServer, sign_in: SignIn
) -> None:
    async with past.hub.database.transaction() as session:
        await session.execute(update(Camera).values(place_type="street"))
    supervisor = await sign_in("supervisor", AREA, at=server)
    playback = await past.begin(supervisor, sound=True)
    content, _ = await leaving(past, supervisor, playback)
    assert not silent(content)
    forbid_sound(past.hub, "street")

    async def over() -> bool:
        return all(view.ended_at for view in await past.records())

    await until(over)
    assert (await supervisor.get(past.media(playback))).status_code in (404, 410)
    refused = await past.ask(supervisor, sound=True)
    assert (refused.status_code, refused.json()["code"]) == (403, "no-sound-by-law")
    seen = await past.begin(supervisor)
    assert seen["cameras"][0]["may_listen"] is False
    content, _ = await leaving(past, supervisor, seen)
    assert silent(content)


async def test_live_sound_ends_when_it_is_switched_off_although_its_worker_sends_on(
    scene: Scene, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with open_view(scene, operator, ASK) as socket:
        assert await is_heard(socket)
        async with scene.hub.database.transaction() as session:
            await session.execute(update(Camera).values(sound=False))
        assert (await closed(socket))[0] == 4403
