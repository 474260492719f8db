"""Attacks on sound: hearing without right, beyond the law, or in a home without its household."""

from typing import Any

import pytest

from access.policy.types import Role
from api.hub import Hub
from tests.api.test_camera_facts import (
    BOTH_STORES,
    FLAT,
    Family,
    family,
    jurisdiction,
    settings,
)
from tests.api.test_camera_recording_plan import added, patched
from tests.api.test_camera_sound import WHY, hears
from tests.support.http import SignIn

__all__ = ["family", "jurisdiction", "settings"]


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
