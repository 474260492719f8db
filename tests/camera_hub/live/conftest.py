"""A media worker's cameras and socket, and the API's side of them, in one process."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from camera_hub.live.hub import LiveHub
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.worker_server import MediaServer
from camera_hub.streams.types import AssignedCamera, StreamRole, StreamSource
from core.clock import SystemClock
from core.ids import new_id
from core.settings import MediaSettings
from tests.support.media import RtspServer


def assigned(
    server: RtspServer, path: str, *, main: str = "", camera_id: UUID | None = None, port: int = 0
) -> AssignedCamera:
    """Return an assignment of the camera at `path`."""
    camera_id = camera_id or new_id()
    paths: dict[StreamRole, str] = {"sub": path}
    if main:
        paths["main"] = main
    return AssignedCamera(
        id=camera_id,
        name="Gate",
        area="demo",
        version=1,
        streams={
            role: StreamSource(
                camera_id, role, server.url(p, port=port), server.username, server.password
            )
            for role, p in paths.items()
        },
    )


class Worker:
    """A media worker's runtime and socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runtime: MediaRuntime
        self.server: MediaServer

    async def start(self, *cameras: AssignedCamera) -> None:
        """Begin with these cameras."""
        settings = MediaSettings(backoff_max_s=1.0)
        self.runtime = MediaRuntime(clock=SystemClock(), settings=settings)
        self.runtime.apply(cameras)
        self.server = MediaServer(self.runtime, self.path)
        await self.server.start()

    async def stop(self) -> None:
        """Go away, as far as the API can see."""
        await self.server.close()
        self.runtime.stop()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    """Give a worker that is not started."""
    worker = Worker(tmp_path / "media-0.sock")
    yield worker
    if hasattr(worker, "runtime"):
        await worker.stop()


@pytest.fixture
async def live_hub(worker: Worker) -> AsyncIterator[LiveHub]:
    """Give the API's side, connected to `worker`."""

    async def resolve(_camera_id: UUID) -> str | None:
        return f"unix:{worker.path}"

    hub = LiveHub(resolve, linger_s=0.2)
    yield hub
    await hub.close()
