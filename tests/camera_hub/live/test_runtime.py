"""A worker's cameras: assigned, changed, taken away."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from camera_hub.live.runtime import MediaRuntime
from camera_hub.streams.types import (
    AssignedCamera,
    ReasonCode,
    StreamRole,
    StreamSource,
    StreamState,
    StreamStatus,
)
from core.clock import SystemClock
from core.ids import new_id
from core.settings import MediaSettings
from tests.camera_hub.live.conftest import assigned
from tests.support.media import RtspServer, wait_until


@pytest.fixture
def changes() -> list[tuple[UUID, StreamStatus]]:
    return []


@pytest.fixture
def runtime(changes: list[tuple[UUID, StreamStatus]]) -> Iterator[MediaRuntime]:
    runtime = MediaRuntime(
        clock=SystemClock(),
        settings=MediaSettings(backoff_max_s=60),
        on_change=lambda camera_id, status: changes.append((camera_id, status)),
    )
    yield runtime
    runtime.stop()


def state_of(runtime: MediaRuntime, camera: AssignedCamera) -> StreamState | None:
    status = runtime.statuses().get(camera.id)
    return status.state if status else None


@pytest.mark.faults
def test_a_corrected_assignment_takes_effect_at_once_and_disturbs_no_other_camera(
    rtsp_server: RtspServer, footage: Path, runtime: MediaRuntime,
    changes: list[tuple[UUID, StreamStatus]],
) -> None:  # fmt: skip
    rtsp_server.mount("/cam", footage)
    good, bad = assigned(rtsp_server, "/cam"), assigned(rtsp_server, "/cam")
    wrong = {r: replace(s, password="wrong") for r, s in bad.streams.items()}
    runtime.apply([good, replace(bad, streams=wrong)])
    wait_until(lambda: state_of(runtime, bad) is StreamState.UNAUTHORISED)
    wait_until(lambda: state_of(runtime, good) is StreamState.ONLINE)
    # The next attempt by itself would be in 45 s at the earliest.
    runtime.apply([good, bad])
    wait_until(lambda: state_of(runtime, bad) is StreamState.ONLINE)
    assert runtime.statuses()[good.id].reconnects == 0
    codes = [status.reason_code for camera_id, status in changes if camera_id == bad.id]
    assert codes == [ReasonCode.WRONG_CREDENTIALS, ReasonCode.STARTING, ReasonCode.OK]


def test_pictures_go_on_through_changes_and_end_with_the_camera(
    rtsp_server: RtspServer, footage: Path, footage_large: Path, runtime: MediaRuntime
) -> None:
    rtsp_server.mount("/small", footage)
    rtsp_server.mount("/large", footage_large)
    camera = assigned(rtsp_server, "/small")
    runtime.apply([camera])
    frames = runtime.frames(camera.id)
    assert frames is not None
    assert runtime.frames(camera.id) is frames
    first = frames.get(10)
    assert first is not None
    assert first.width == 320
    runtime.apply([assigned(rtsp_server, "/large", camera_id=camera.id)])
    wait_until(lambda: (f := frames.get(1)) is not None and f.width == 640)
    runtime.apply([])
    wait_until(lambda: frames.get(0.1) is None)
    assert runtime.statuses() == {}
    assert runtime.frames(camera.id) is None


def test_a_camera_that_is_no_longer_analysed_is_no_longer_decoded(
    rtsp_server: RtspServer, footage: Path, runtime: MediaRuntime
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    runtime.apply([camera])
    frames = runtime.frames(camera.id)
    assert frames is not None
    assert frames.get(10) is not None
    runtime.release_frames(camera.id)
    # The picture in hand at that moment is still finished.
    packets = runtime.statuses()[camera.id].packets
    wait_until(lambda: runtime.statuses()[camera.id].packets > packets + 3)
    packets = runtime.statuses()[camera.id].packets
    decoded = frames.decoded
    wait_until(lambda: runtime.statuses()[camera.id].packets > packets + 10)
    assert frames.decoded == decoded
    again = runtime.frames(camera.id)
    assert again is not None
    assert again is not frames
    assert again.get(10) is not None


def test_a_camera_whose_sub_stream_comes_and_goes(
    rtsp_server: RtspServer, footage: Path, footage_large: Path, runtime: MediaRuntime
) -> None:
    rtsp_server.mount("/small", footage)
    rtsp_server.mount("/large", footage_large)
    both = assigned(rtsp_server, "/small", main="/large")
    only_main = replace(both, streams={"main": both.streams["main"]})
    for camera, width in ((only_main, 640), (both, 320), (only_main, 640)):
        runtime.apply([camera])
        wait_until(lambda: runtime.statuses()[both.id].width == width)  # noqa: B023 - called at once
        picture = runtime.snapshot(both.id, "sub", 10.0)
        assert picture is not None
        assert picture.width == width


def test_the_assignment_is_read_as_it_comes_from_the_hub() -> None:
    camera_id = new_id()
    roles: tuple[StreamRole, ...] = ("main", "sub")
    data = {
        "id": str(camera_id),
        "name": "Gate",
        "area": "demo",
        "version": 3,
        "streams": {
            role: {"url": f"rtsp://c/{role}", "username": "u", "password": "hidden"}
            for role in roles
        },
        "analyse": True,
        "zones": [{"id": "z"}],
    }
    camera = AssignedCamera.from_json(data)
    assert camera.streams["sub"] == StreamSource(camera_id, "sub", "rtsp://c/sub", "u", "hidden")
    assert camera.zones == ({"id": "z"},)
    assert "hidden" not in repr(camera)
