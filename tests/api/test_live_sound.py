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
from camera_hub.devices.models import Camera
from camera_hub.live.runtime import MediaRuntime
from camera_hub.streams.types import AssignedCamera, SoundState, StreamSource
from core.clock import SystemClock
from core.ids import new_id
from core.settings import MediaSettings
from tests.support.http import Client, LiveServer, SignIn
from tests.support.live import AREA, WAIT_S, WHY, Scene, closed, on_air
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
    said = "Calls for help at the gate"
    async with on_air(reading, hub, server, tmp_path, sound=True, sound_reason=said) as scene:
        yield scene


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
