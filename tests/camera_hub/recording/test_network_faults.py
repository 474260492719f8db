"""What networks do to cameras, and what is recorded all the same."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from camera_hub.recording.format import (
    Scan,
)
from camera_hub.recording.index.spans import GAP, gaps, merged
from camera_hub.recording.scanning import (
    scan,
)
from camera_hub.streams.parameters import nal_units
from camera_hub.streams.rtsp.connection import DROPPED
from camera_hub.streams.types import AssignedCamera, StreamSource, StreamState
from core.clock import SystemClock
from core.ids import new_id
from tests.camera_hub.live.conftest import assigned
from tests.camera_hub.recording.test_service import Worker, recorded
from tests.camera_hub.recording.test_service import worker as worker  # noqa: PLC0414 - a fixture
from tests.support.lossy_relay import LossyRelay
from tests.support.media import RtspServer
from tests.support.media_footage import make_units, write_units
from tests.support.media_proxy import FaultProxy
from tests.support.odd_camera import OddCamera, Oddities
from tests.support.waiting import until

pytestmark = pytest.mark.faults

CAMERAS = 40


@pytest.fixture
def relay(rtsp_server: RtspServer) -> Iterator[LossyRelay]:
    """Give a network that loses datagrams, before the camera."""
    relay = LossyRelay(rtsp_server.port)
    yield relay
    relay.close()


def samples(path: Path) -> list[tuple[bytes, ...]]:
    """Return the slices of each picture in a file."""
    with av.open(str(path)) as container:
        return [
            tuple(n for n in _lengths(bytes(packet)) if n[0] & 31 in (1, 5))
            for packet in container.demux(video=0)
            if packet.size
        ]


def _lengths(data: bytes) -> Iterator[bytes]:
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4 : 4 + size]
        data = data[4 + size :]


def whole(units: list[bytes]) -> set[tuple[bytes, ...]]:
    """Return the slices of each picture that was sent."""
    return {tuple(n for n in nal_units(unit) if n[0] & 31 in (1, 5)) for unit in units}


async def files(
    worker: Worker, camera: AssignedCamera, at_least: int = 1
) -> list[tuple[Path, Scan]]:
    """Return what the hub was told of, in its order; each must be closed and whole."""
    told = sorted(await worker.told_of(camera, at_least), key=lambda s: s["sequence"])
    found = [(path := worker.folder / segment["path"], scan(path)) for segment in told]
    assert all(file.closed for _, file in found)
    return found


def noisy_units() -> list[bytes]:
    """Return pictures of several RTP packets each: a patch of a sensor's noise."""
    random = np.random.default_rng(7)
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.time_base = 1 / encoder.framerate
    encoder.gop_size, encoder.max_b_frames = 10, 0
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": "repeat-headers=1:scenecut=0:slices=1:sliced-threads=0",
    }
    packets = []
    for number in range(50):
        picture = np.full((240, 320, 3), 96, np.uint8)
        picture[:96, :96] = random.integers(0, 255, (96, 96, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [bytes(packet) for packet in packets]


async def test_forty_cameras_that_return_at_once_are_asked_one_after_another(
    worker: Worker, rtsp_server: RtspServer, footage: Path
) -> None:
    # A second between the first and the last: at the usual times the storm would be over before
    # the server of the test is back.
    worker.runtime._options = replace(
        worker.runtime._options, backoff_first_s=2.0, backoff_max_s=2.0
    )
    rtsp_server.mount("/cam", footage)
    cameras = [recorded(assigned(rtsp_server, "/cam")) for _ in range(CAMERAS)]
    await worker.apply(*cameras)
    for camera in cameras:
        await worker.recording(camera)
    rtsp_server.kill()
    cut = SystemClock().now()
    await until(
        lambda: all(s.state is not StreamState.ONLINE for s in worker.runtime.statuses().values())
    )
    rtsp_began = SystemClock().now()
    rtsp_server.start()
    before = {camera.id: worker.recordings.cameras()[camera.id].bytes for camera in cameras}
    for camera in cameras:
        await worker.recording(camera, before[camera.id] + 1)
    attempts = sorted(rtsp_server.attempts())
    assert CAMERAS <= len(attempts) <= 2 * CAMERAS
    together = [sum(at <= other < at + 0.1 for other in attempts) for at in attempts]
    assert max(together) <= CAMERAS // 2, "a thundering herd"
    assert attempts[-1] - attempts[0] > 0.5
    await worker.apply()
    for camera in cameras:
        found = await files(worker, camera, 2)
        scans = [file for _, file in found]
        assert [file.header.sequence for file in scans] == list(range(1, len(scans) + 1))
        # The gap is as long as the pictures were away: not one second of it is claimed.
        assert scans[0].ends_at <= cut + timedelta(seconds=0.2)
        assert scans[1].header.started_at >= rtsp_began
        rows = [(f.header.started_at, f.ends_at, f.header.cause, "") for f in scans]
        first, last = scans[0].header.started_at, scans[-1].ends_at
        if scans[1].header.started_at - scans[0].ends_at > GAP:
            assert gaps(merged(rows, first, last), first, last) == [
                (scans[0].ends_at, scans[1].header.started_at)
            ]


async def test_lost_packets_cost_pictures_and_no_broken_one_is_recorded(
    worker: Worker, rtsp_server: RtspServer, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    units = noisy_units()
    rtsp_server.mount("/cam", write_units(tmp_path / "noisy.aus", units), fps=100)
    fault_proxy.loss = 0.05
    dropped = DROPPED._value.get()
    camera = recorded(assigned(rtsp_server, "/cam", port=fault_proxy.port))
    await worker.apply(camera)
    await until(lambda: DROPPED._value.get() >= dropped + 20)
    await worker.recording(camera)
    await worker.apply()
    pictures = [p for path, _ in await files(worker, camera) for p in samples(path)]
    assert len(pictures) >= 20
    sent = whole(units)
    assert all(picture in sent for picture in pictures)


async def test_lost_datagrams_cost_pictures_and_no_broken_one_is_recorded(
    worker: Worker, rtsp_server: RtspServer, tmp_path: Path, relay: LossyRelay
) -> None:
    units = noisy_units()
    rtsp_server.mount("/cam", write_units(tmp_path / "noisy.aus", units), fps=50)
    camera = over_udp(recorded(assigned(rtsp_server, "/cam", port=relay.port)))
    relay.loss = 0.05
    await worker.apply(camera)
    dropped = DROPPED._value.get()
    await worker.recording(camera)
    await until(lambda: relay.lost >= 20 and DROPPED._value.get() >= dropped + 20)
    await worker.apply()
    sent = whole(units)
    for path, file in await files(worker, camera):
        assert file.keyframes
        assert all(picture in sent for picture in samples(path))


def over_udp(camera: AssignedCamera) -> AssignedCamera:
    """Return the camera, asked for datagrams."""
    streams = {role: replace(s, transport="udp") for role, s in camera.streams.items()}
    return replace(camera, streams=streams)


async def test_a_camera_that_changes_its_codec_begins_another_file(worker: Worker) -> None:
    camera = OddCamera(make_units(frames=60, gop=60), Oddities(pace_s=0.005))
    try:
        source = StreamSource(new_id(), "sub", camera.url)
        one = recorded(AssignedCamera(source.camera_id, "Gate", "demo", 1, streams={"sub": source}))
        await worker.apply(one)
        await worker.recording(one)
        camera.odd.codec, camera.units = "hevc", make_units(codec="hevc", frames=60, gop=60)
        await until(lambda: worker.runtime.statuses()[one.id].codec == "hevc")
        before = worker.recordings.cameras()[one.id].bytes
        await worker.recording(one, before + 1)
        await worker.apply()
        await until(lambda: any(s["codec"].startswith("hvc1") for s in worker.told))
    finally:
        camera.close()
    scans = [file for _, file in await files(worker, one, 2)]
    assert [file.header.codec[:4] for file in scans] == ["avc1"] * (len(scans) - 1) + ["hvc1"]
