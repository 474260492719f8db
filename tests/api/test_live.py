"""Live view and snapshots over HTTP, from a real camera."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import websockets
from sqlalchemy import select, text

from access.sessions.models import Session
from access.views.models import ViewRecord
from api import guards
from api.hub import Hub
from camera_hub.devices.models import Camera
from camera_hub.devices.schemas import HeartbeatIn
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.worker_server import MediaServer
from camera_hub.streams.types import AssignedCamera, StreamSource
from core.clock import SystemClock
from core.ids import new_id
from core.settings import MediaSettings
from tests.support.http import Client, LiveServer, SignIn
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units, nal_units

AREA = "demo/riverside"
WAIT_S = 20.0
WHY = {"purpose": "case", "reference": "K-2026-17"}


@dataclass
class Scene:
    """A hub with a camera that a worker reads."""

    hub: Hub
    server: LiveServer
    camera_id: UUID

    def url(self, query: str = "") -> str:
        return f"{self.server.ws_url}/api/v1/cameras/{self.camera_id}/live{query}"

    def watch(self, client: Client, **options: Any) -> Any:
        return websockets.connect(
            self.url(), additional_headers=client.cookie_header, max_size=None, **options
        )

    async def records(self) -> Sequence[ViewRecord]:
        async with self.hub.database.read() as session:
            return list(await session.scalars(select(ViewRecord).order_by(ViewRecord.id)))


@pytest.fixture(scope="module")
def camera_server(rtsp_tools: None, footage: Path) -> Iterator[RtspServer]:
    """Give one camera for all tests here: none of them harms it."""
    server = RtspServer()
    server.mount("/cam", footage)
    yield server
    server.close()


@pytest.fixture(scope="module")
def reading(camera_server: RtspServer) -> Iterator[tuple[UUID, MediaRuntime]]:
    """Give a worker's cameras with this one in it, online."""
    camera_id = new_id()
    url = camera_server.url("/cam")
    source = StreamSource(camera_id, "sub", url, camera_server.username, camera_server.password)
    runtime = MediaRuntime(clock=SystemClock(), settings=MediaSettings())
    runtime.apply([AssignedCamera(camera_id, "Gate", AREA, 1, {"sub": source})])
    wait_until(lambda: runtime.statuses()[camera_id].keyframes)
    yield camera_id, runtime
    runtime.stop()


@pytest.fixture
async def scene(
    reading: tuple[UUID, MediaRuntime], hub: Hub, server: LiveServer, tmp_path: Path
) -> AsyncIterator[Scene]:
    camera_id, runtime = reading
    camera = Camera(
        id=camera_id, name="Gate", area=AREA, place_kind="public_space", source_kind="rtsp",
        address="rtsp://camera/", username="", password_sealed="", enabled=True, analyse=False,
        version=1, created_at=hub.clock.now(),
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    media = MediaServer(runtime, tmp_path / "media-0.sock")
    await media.start()
    status = runtime.statuses()[camera_id].to_json()
    beat = {"pid": 1, "address": media.address, "revision": None, "spool_depth": 0,
            "cameras": [{"camera_id": str(camera_id), **status}]}  # fmt: skip
    hub.devices.board.take("media-0", HeartbeatIn.model_validate(beat))
    yield Scene(hub, server, camera_id)
    await hub.live.close()
    await media.close()


async def receive_media(socket: Any, count: int = 1) -> list[bytes]:
    """Return the first `count` messages with fragments."""
    media: list[bytes] = []
    init_next = False
    async with asyncio.timeout(WAIT_S):
        while len(media) < count:
            message = await socket.recv()
            if isinstance(message, str):
                init_next = json.loads(message)["type"] == "init"
            elif init_next:
                init_next = False
            else:
                media.append(message)
    return media


async def closed(socket: Any) -> tuple[int, str]:
    """Read on until the server closes; return its code and reason."""
    async with asyncio.timeout(WAIT_S):
        with suppress(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason


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


@pytest.mark.parametrize("change", ["moved", "a shared space now", "deleted", "demoted", "deactivated"])
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
