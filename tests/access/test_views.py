"""View records: before the first frame, by a person who can be named."""

import pytest

from access.policy.types import ANONYMOUS, Actor, Role
from api.hub import Hub
from core.clock import ManualClock
from core.errors import ForbiddenError
from core.ids import new_id
from tests.support.http import SignIn


@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
async def test_a_viewing_is_opened_closed_and_listed_for_its_area(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    watcher = await sign_in(Role.OPERATOR, "demo")
    here, there = await sign_in(Role.AUDITOR, "demo/here"), await sign_in(Role.AUDITOR, "demo/t")
    actor = Actor(kind="account", id=watcher.account_id, session_id=watcher.session_id)
    camera_id, incident_id = new_id(), new_id()
    async with hub.database.transaction() as session:
        live = await hub.views.open_view(
            session, actor=actor, camera_id=camera_id, area="demo/here/1", kind="live"
        )
        clock.advance(1)
        await hub.views.open_view(
            session,
            actor=actor,
            camera_id=camera_id,
            area="demo/here",
            kind="incident_image",
            purpose="incident 2026-000001",
            incident_id=incident_id,
        )
    clock.advance(60)
    async with hub.database.transaction() as session:
        await hub.views.close_view(session, live)
    ended = clock.now()
    clock.advance(60)
    async with hub.database.transaction() as session:
        await hub.views.close_view(session, live)
        assert await hub.views.close_abandoned(session) == 0

    items = (await here.get("/api/v1/view-records")).json()["items"]
    assert [item["kind"] for item in items] == ["incident_image", "live"], "newest first"
    picture, stream = items
    assert picture["incident_id"] == str(incident_id)
    assert picture["started_at"] == picture["ended_at"]
    assert stream["ended_at"].startswith(ended.isoformat()[:19]), "the first end counts"
    assert stream["account"]["username"] == watcher.username
    assert (await there.get("/api/v1/view-records")).json()["items"] == []
    query = {"camera_id": str(new_id())}
    assert (await here.get("/api/v1/view-records", params=query)).json()["items"] == []
    page = (await here.get("/api/v1/view-records", params={"limit": 1})).json()
    query = {"limit": "1", "cursor": page["next_cursor"]}
    second = (await here.get("/api/v1/view-records", params=query)).json()
    assert [item["id"] for item in second["items"]] == [stream["id"]]
    assert second["next_cursor"] is None


async def test_no_picture_for_a_program_or_nobody(hub: Hub) -> None:
    for actor in (ANONYMOUS, Actor(kind="service", id=new_id(), name="x")):
        async with hub.database.transaction() as session:
            with pytest.raises(ForbiddenError):
                await hub.views.open_view(
                    session, actor=actor, camera_id=new_id(), area="", kind="snapshot"
                )
