"""A hub with a camera that a real worker reads from a real RTSP server, for views over HTTP.

`scene` gives both; its camera looks at a public space unless the test changes that.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import websockets
from sqlalchemy import select

from access.views.models import ViewRecord
from api.hub import Hub
from camera_hub.devices.heartbeat_schemas import HeartbeatIn
from camera_hub.devices.models import Camera
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.worker_server import MediaServer
from camera_hub.streams.types import AssignedCamera, StreamSource
from core.clock import SystemClock
from core.ids import new_id
from core.settings import MediaSettings
from tests.support.http import Client, LiveServer
from tests.support.media import RtspServer, wait_until

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


@asynccontextmanager
async def on_air(
    reading: tuple[UUID, MediaRuntime], hub: Hub, server: LiveServer, folder: Path, **facts: Any
) -> AsyncIterator[Scene]:
    """Give the hub the camera that a worker reads, with what `facts` say of it besides."""
    camera_id, runtime = reading
    camera = Camera(
        id=camera_id, name="Gate", area=AREA, place_kind="public_space", source_kind="rtsp",
        address="rtsp://camera/", username="", password_sealed="", enabled=True, analyse=False,
        version=1, created_at=hub.clock.now(), **facts,
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(camera)
    media = MediaServer(runtime, folder / "media-0.sock")
    await media.start()
    status = runtime.statuses()[camera_id].to_json()
    beat = {"pid": 1, "address": media.address, "revision": None, "spool_depth": 0,
            "cameras": [{"camera_id": str(camera_id), **status}]}  # fmt: skip
    hub.devices.board.take("media-0", HeartbeatIn.model_validate(beat))
    yield Scene(hub, server, camera_id)
    await hub.live.close()
    await media.close()


@pytest.fixture
async def scene(
    reading: tuple[UUID, MediaRuntime], hub: Hub, server: LiveServer, tmp_path: Path
) -> AsyncIterator[Scene]:
    async with on_air(reading, hub, server, tmp_path) as scene:
        yield scene


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
