"""Live view and snapshots over HTTP, from a real camera."""

import asyncio
import json
from typing import Any

import pytest
import websockets
from sqlalchemy import text

from access.sessions.models import Session
from api import guards
from tests.support.http import SignIn
from tests.support.live import AREA, WAIT_S, WHY, Scene, closed, receive_media
from tests.support.media_footage import make_units, nal_units


async def test_no_frame_leaves_before_its_view_record_is_committed(
    scene: Scene, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.watch(operator) as socket:
        await receive_media(socket)
        (record,) = await scene.records()
        assert (record.kind, record.camera_id, record.account_id, record.session_id) == (
            "live", scene.camera_id, operator.account_id, operator.session_id)  # fmt: skip
        assert record.ended_at is None
    async with asyncio.timeout(WAIT_S):
        while (await scene.records())[0].ended_at is None:
            await asyncio.sleep(0.05)

    answer = await operator.get(f"/api/v1/cameras/{scene.camera_id}/snapshot", params=WHY)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-captured-at"].endswith("+00:00")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content[:2] == b"\xff\xd8"
    assert [r.kind for r in await scene.records()] == ["live", "snapshot"]


@pytest.mark.faults
async def test_no_frame_leaves_when_its_view_record_cannot_be_committed(
    scene: Scene, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.hub.database.transaction() as session:
        await session.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON view_record "
                "BEGIN SELECT RAISE(ABORT, 'database is locked'); END"
            )
        )
    async with scene.watch(operator) as socket, asyncio.timeout(WAIT_S):
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    answer = await operator.get(f"/api/v1/cameras/{scene.camera_id}/snapshot", params=WHY)
    assert answer.status_code == 503
    assert b"\xff\xd8" not in answer.content


async def test_what_reaches_the_browser_is_what_the_camera_sent(
    scene: Scene, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.watch(operator) as socket:
        data = b"".join(await receive_media(socket, 20))
    pictures = [n for unit in make_units() for n in nal_units(unit) if n[0] & 31 in (1, 5)]
    assert sum(len(n).to_bytes(4, "big") + n in data for n in pictures) >= 20


async def test_a_revoked_session_cuts_its_running_views(scene: Scene, sign_in: SignIn) -> None:
    one = await sign_in("operator", AREA, at=scene.server)
    two = await sign_in("operator", AREA, at=scene.server)
    assert guards.FRESH_FOR_S < 2.0
    async with scene.watch(one) as first, scene.watch(one) as second, scene.watch(two) as other:
        for socket in (first, second, other):
            await receive_media(socket)
        async with scene.hub.database.transaction() as session:
            await scene.hub.sessions.end(session, one.session_id, "signed out")
        ends = await asyncio.gather(closed(first), closed(second), receive_media(other, 40))
        assert (ends[0][0], ends[1][0]) == (4403, 4403)
    async with asyncio.timeout(WAIT_S):
        while any(r.ended_at is None for r in await scene.records()):
            await asyncio.sleep(0.05)


async def test_a_camera_switched_off_cuts_its_running_views(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.watch(operator) as socket:
        await receive_media(socket)
        async with scene.hub.database.transaction() as session:
            (await scene.hub.devices.get(session, scene.camera_id)).enabled = False
        assert (await closed(socket))[0] == 4403
    answer = await operator.get(f"/api/v1/cameras/{scene.camera_id}/snapshot", params=WHY)
    assert (answer.status_code, answer.json()["code"]) == (503, "no-picture")
    async with scene.watch(operator) as socket:
        assert (await closed(socket))[0] == 4503


@pytest.mark.parametrize(
    "change", ["moved", "a shared space now", "deleted", "demoted", "deactivated"]
)
async def test_what_ends_the_right_to_watch_cuts_a_running_view(
    scene: Scene, sign_in: SignIn, change: str
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    admin = await sign_in("administrator", at=scene.server)
    camera = f"/api/v1/cameras/{scene.camera_id}"
    account = f"/api/v1/accounts/{operator.account_id}"
    calls: dict[str, tuple[str, str, dict[str, Any] | None]] = {
        "moved": ("PATCH", camera, {"version": 1, "area": "demo/elsewhere"}),
        "a shared space now": ("PATCH", camera, {"version": 1, "place_kind": "shared_space"}),
        "deleted": ("DELETE", camera, None),
        "demoted": ("PATCH", account, {"roles": [{"role": "auditor", "area": AREA}]}),
        "deactivated": ("PATCH", account, {"active": False}),
    }
    method, path, body = calls[change]
    async with scene.watch(operator) as socket:
        await receive_media(socket)
        answer = await admin.request(method, path, json=body)
        assert answer.is_success, answer.text
        assert (await closed(socket))[0] == 4403
    assert not (await operator.get(f"{camera}/snapshot", params=WHY)).is_success


@pytest.mark.faults
async def test_views_that_cannot_be_checked_are_cut(
    scene: Scene, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.watch(operator) as socket:
        await receive_media(socket)
        async with scene.hub.database.transaction() as session:
            await session.execute(text(f"ALTER TABLE {Session.__tablename__} RENAME TO away"))
        code, reason = await closed(socket)
        assert code == 4503
        assert "cannot be checked" in reason
        async with scene.hub.database.transaction() as session:
            await session.execute(text(f"ALTER TABLE away RENAME TO {Session.__tablename__}"))


@pytest.mark.parametrize(
    ("role", "area", "code"),
    [("operator", "demo/elsewhere", 4404), ("auditor", "", 4403), ("administrator", "", 4403)],
)
async def test_who_may_not_watch(
    scene: Scene, sign_in: SignIn, role: str, area: str, code: int
) -> None:
    client = await sign_in(role, area, at=scene.server)
    async with scene.watch(client) as socket:
        assert (await closed(socket))[0] == code
    answer = await client.get(f"/api/v1/cameras/{scene.camera_id}/snapshot", params=WHY)
    assert answer.status_code == code - 4000
    assert await scene.records() == []


async def test_nobody_and_other_sites_watch_nothing(scene: Scene, sign_in: SignIn) -> None:
    async with websockets.connect(scene.url()) as socket:
        assert (await closed(socket))[0] == 4401
    operator = await sign_in("operator", AREA, at=scene.server)
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with scene.watch(operator, origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    assert await scene.records() == []
    async with scene.watch(operator, origin=scene.server.url) as socket:
        await receive_media(socket)


async def test_viewers_are_told_when_nobody_reads_the_camera(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    scene.hub.devices.board.forget(scene.camera_id)
    answer = await operator.get(f"/api/v1/cameras/{scene.camera_id}/snapshot", params=WHY)
    assert (answer.status_code, answer.json()["code"]) == (503, "no-picture")
    async with scene.watch(operator) as socket, asyncio.timeout(WAIT_S):
        state = json.loads(await socket.recv())
    assert (state["type"], state["reason_code"]) == ("state", "worker_lost")


async def test_a_stopping_server_ends_its_views(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.watch(operator) as socket:
        await receive_media(socket)
        scene.hub.closing.set()
        assert (await closed(socket))[0] in (1001, 1012)
    async with asyncio.timeout(WAIT_S):
        while any(r.ended_at is None for r in await scene.records()):
            await asyncio.sleep(0.05)
