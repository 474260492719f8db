"""Listening to a camera live: a right of its own, a reason of its own, and written down."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import websockets
from sqlalchemy import update

from api.hub import Hub
from camera_hub.devices.heartbeat_schemas import (
    HeartbeatIn,
)
from camera_hub.devices.models import Camera
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.worker_server import MediaServer
from camera_hub.streams.types import AssignedCamera, SoundState, StreamSource
from core.clock import SystemClock
from core.ids import new_id
from core.settings import MediaSettings
from tests.support.http import Client, LiveServer, SignIn
from tests.support.live import AREA, WAIT_S, WHY, Scene, closed
from tests.support.media import wait_until
from tests.support.media_footage import make_units
from tests.support.odd_camera import OddCamera, Oddities
from tests.support.sounding import aac

ASK = f"?sound=true&purpose={WHY['purpose']}&reference={WHY['reference']}"
_OF_SOUND = b"tfhd\0\2\0\0\0\0\0\2"


@pytest.fixture(scope="module")
def reading() -> Iterator[tuple[UUID, MediaRuntime]]:
    """Give a worker that reads a camera with its sound."""
    odd = OddCamera(
        make_units(frames=50, gop=10),
        Oddities(extras=[aac()], offers_sound=False, pace_s=0.04),
    )
    camera_id = new_id()
    source = StreamSource(camera_id, "sub", odd.url, sound=True)
    runtime = MediaRuntime(clock=SystemClock(), settings=MediaSettings())
    runtime.apply([AssignedCamera(camera_id, "Gate", AREA, 1, {"sub": source}, sound=True)])
    wait_until(lambda: runtime.statuses()[camera_id].sound is SoundState.OK)
    yield camera_id, runtime
    runtime.stop()
    odd.close()


@pytest.fixture
async def scene(
    reading: tuple[UUID, MediaRuntime], hub: Hub, server: LiveServer, tmp_path: Path
) -> AsyncIterator[Scene]:
    camera_id, runtime = reading
    camera = Camera(
        id=camera_id, name="Gate", area=AREA, place_kind="public_space", source_kind="rtsp",
        address="rtsp://camera/", username="", password_sealed="", enabled=True, analyse=False,
        sound=True, sound_reason="Calls for help at the gate", version=1,
        created_at=hub.clock.now(),
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


def open_view(scene: Scene, client: Client, query: str) -> Any:
    return websockets.connect(
        scene.url(query), additional_headers=client.cookie_header, max_size=None
    )


async def first_init(socket: Any) -> str:
    async with asyncio.timeout(WAIT_S):
        while True:
            message = await socket.recv()
            if isinstance(message, str) and json.loads(message)["type"] == "init":
                return str(json.loads(message)["mime"])


async def is_heard(socket: Any) -> bool:
    """Read two seconds of pictures; say whether there was sound among them."""
    count = 0
    async with asyncio.timeout(WAIT_S):
        while count < 50:
            message = await socket.recv()
            if isinstance(message, bytes):
                if _OF_SOUND in message:
                    return True
                count += 1
    return False


async def test_who_listens_is_written_down_and_who_looks_hears_nothing(
    scene: Scene, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with open_view(scene, operator, "") as socket:
        assert "mp4a" not in await first_init(socket)
        assert not await is_heard(socket)
    async with open_view(scene, operator, ASK) as socket:
        assert (await first_init(socket)).endswith(',mp4a.40.2"')
        assert await is_heard(socket)
    records = await scene.records()
    assert [(r.kind, r.sound, r.purpose) for r in records] == [
        ("live", False, ""),
        ("live", True, "case"),
    ]
    answer = await operator.get(f"/api/v1/cameras/{scene.camera_id}")
    assert "camera.listen" in answer.json()["actions"]
    assert answer.json()["status"]["sound"] == "ok"


@pytest.mark.parametrize(
    ("role", "query", "code"),
    [
        ("operator", "?sound=true", 4422),
        ("operator", "?sound=true&purpose=nonsense&reference=1", 4422),
        ("resident", ASK, 4404),
        ("administrator", ASK, 4403),
    ],
)
async def test_who_may_not_listen(
    scene: Scene, sign_in: SignIn, role: str, query: str, code: int
) -> None:
    client = await sign_in(role, AREA, at=scene.server)
    async with open_view(scene, client, query) as socket:
        assert (await closed(socket))[0] == code
    assert await scene.records() == []


async def test_a_camera_whose_sound_is_off_or_painted_is_silent(
    scene: Scene, sign_in: SignIn
) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with scene.hub.database.transaction() as session:
        await session.execute(update(Camera).values(sound=False))
    async with open_view(scene, operator, ASK) as socket:
        assert "mp4a" not in await first_init(socket)
    answer = await operator.get(f"/api/v1/cameras/{scene.camera_id}")
    assert "camera.listen" not in answer.json()["actions"]
    assert [record.sound for record in await scene.records()] == [False]


async def test_a_revoked_session_hears_nothing_more(scene: Scene, sign_in: SignIn) -> None:
    operator = await sign_in("operator", AREA, at=scene.server)
    async with open_view(scene, operator, ASK) as socket:
        assert await is_heard(socket)
        async with scene.hub.database.transaction() as session:
            await scene.hub.sessions.end(session, operator.session_id, "signed out")
        assert (await closed(socket))[0] == 4403
