"""A worker's recordings of real cameras: what an assignment says is what is recorded."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from camera_hub.live.runtime import MediaRuntime
from camera_hub.recording.care import waiting_markers
from camera_hub.recording.scanning import (
    scan,
)
from camera_hub.recording.sending import Answer
from camera_hub.recording.service import Recordings
from camera_hub.streams.types import AssignedCamera
from core.clock import SystemClock
from core.settings import MediaSettings
from core.settings_recording import DiskSettings, RecordingSettings
from tests.camera_hub.live.conftest import assigned
from tests.support.media import RtspServer
from tests.support.waiting import until


class Worker:
    """Runtime and recordings of a worker, and what the hub was told."""

    def __init__(self, folder: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self.runtime = MediaRuntime(
            clock=SystemClock(), settings=MediaSettings(backoff_max_s=1.0, read_timeout_s=1.0)
        )
        self.recordings = Recordings(
            self.runtime,
            RecordingSettings(segment_s=5),
            [DiskSettings(name="main", path=folder / "disk", keep_free_gb=0)],
            clock=SystemClock(),
            data_dir=folder,
            site="test",
            zone=ZoneInfo("Asia/Shanghai"),
            post=self.post,
            loop=asyncio.get_running_loop(),
        )
        self.folder = folder / "disk"

    async def post(self, segments: list[dict[str, Any]]) -> Answer:
        """Take everything."""
        self.told += segments
        return {UUID(segment["id"]) for segment in segments}, {}

    async def apply(self, *cameras: AssignedCamera) -> None:
        """Take an assignment."""
        await asyncio.to_thread(self.runtime.apply, cameras)
        await asyncio.to_thread(self.recordings.apply, cameras)

    async def recording(self, camera: AssignedCamera, at_least: int = 1) -> None:
        """Wait until the camera is recorded."""
        await until(lambda: self.recordings.cameras()[camera.id].bytes >= at_least)

    async def told_of(self, camera: AssignedCamera, segments: int) -> list[dict[str, Any]]:
        """Wait until the hub was told of so many segments of a camera."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = [s for s in self.told if s["camera_id"] == str(camera.id)]
            return len(found) >= segments

        await until(enough)
        return found


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    """Give a worker that has begun."""
    worker = Worker(tmp_path)
    worker.recordings.start()
    sending = asyncio.create_task(worker.recordings.sender.run())
    yield worker
    await asyncio.to_thread(worker.recordings.close)
    sending.cancel()
    await asyncio.to_thread(worker.runtime.stop)


def recorded(camera: AssignedCamera, mode: str = "always", **plan: Any) -> AssignedCamera:
    """Return the camera with a plan."""
    return replace(camera, recording={"mode": mode, "role": "sub", **plan})


async def test_a_camera_is_recorded_from_its_assignment_until_it_is_switched_off(
    worker: Worker, rtsp_server: RtspServer, footage: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = recorded(assigned(rtsp_server, "/cam"))
    await worker.apply(camera)
    await worker.recording(camera)
    assert worker.recordings.cameras()[camera.id].state == "recording"
    await worker.apply(recorded(camera, "off"))
    assert worker.recordings.cameras() == {}
    (told,) = await worker.told_of(camera, 1)
    found = scan(worker.folder / told["path"])
    assert found.closed
    assert (found.header.cause, found.header.sequence) == ("always", 1)
    # Begun again it goes on counting.
    await worker.apply(camera)
    await worker.recording(camera)
    await worker.apply()
    assert [s["sequence"] for s in await worker.told_of(camera, 2)] == [1, 2]


async def test_an_event_is_recorded_and_its_second_is_marked(
    worker: Worker, rtsp_server: RtspServer, footage: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = recorded(assigned(rtsp_server, "/cam"), "event", pre_s=1, post_s=2)
    await worker.apply(camera)
    await until(lambda: worker.runtime.statuses()[camera.id].packets > 50)
    report = worker.recordings.cameras()[camera.id]
    assert (report.state, report.reason, report.bytes) == ("waiting", "event", 0)
    at = SystemClock().now()
    worker.recordings.motion(camera.id, at)
    (told,) = await worker.told_of(camera, 1)
    found = scan(worker.folder / told["path"])
    assert found.header.started_at < at < found.ends_at
    assert (found.header.cause, bin(int(found.motion, 16)).count("1")) == ("event", 1)


@pytest.mark.faults
async def test_a_camera_that_is_switched_off_and_on_leaves_whole_files(
    worker: Worker, rtsp_server: RtspServer, footage: Path, footage_hevc: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    rtsp_server.mount("/other", footage_hevc, codec="h265")
    camera = recorded(assigned(rtsp_server, "/cam"))
    await worker.apply(camera)
    for cut in range(1, 3):
        before = worker.recordings.cameras()[camera.id].bytes
        await worker.recording(camera, before + 5_000)
        rtsp_server.kill()
        await worker.told_of(camera, cut)
        rtsp_server.start()
    # It comes back with another codec.
    other = recorded(assigned(rtsp_server, "/other", camera_id=camera.id))
    await worker.apply(other)
    worker_bytes = worker.recordings.cameras()[camera.id].bytes
    await worker.recording(other, worker_bytes + 2_000)
    await worker.apply()
    told = await worker.told_of(camera, 3)
    scans = [scan(worker.folder / segment["path"]) for segment in told]
    assert all(found.closed for found in scans)
    assert scans[0].header.codec.startswith("avc1")
    assert scans[-1].header.codec.startswith("hvc1")
    assert [f.header.sequence for f in scans] == list(range(1, len(scans) + 1))


async def test_a_plan_of_a_newer_hub_records_nothing(
    worker: Worker, rtsp_server: RtspServer, footage: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    await worker.apply(recorded(assigned(rtsp_server, "/cam"), "sometimes"))
    assert worker.recordings.cameras() == {}


async def test_what_is_closed_at_the_end_is_told_before_it(
    worker: Worker, rtsp_server: RtspServer, footage: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = recorded(assigned(rtsp_server, "/cam"))
    await worker.apply(camera)
    await worker.recording(camera)
    await asyncio.to_thread(worker.recordings.finish)
    assert await worker.recordings.sender.drain(20)
    (told,) = worker.told
    assert scan(worker.folder / told["path"]).closed
    assert waiting_markers(worker.folder) == []


async def test_a_hub_that_is_away_holds_up_no_end(
    worker: Worker, rtsp_server: RtspServer, footage: Path
) -> None:
    async def away(_segments: list[dict[str, Any]]) -> None:
        return None

    worker.recordings.sender._post = away
    rtsp_server.mount("/cam", footage)
    camera = recorded(assigned(rtsp_server, "/cam"))
    await worker.apply(camera)
    await worker.recording(camera)
    await asyncio.to_thread(worker.recordings.finish)
    assert not await worker.recordings.sender.drain(3600)
    assert len(waiting_markers(worker.folder)) == 1
