"""Cameras of which no pictures are decoded are looked at all the same, a keyframe now and then."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.health.memory import HealthMemory
from analytics.health.stills import StillCamera, StillCameras
from analytics.pipeline.analysis import snapshot
from analytics.pipeline.host import AnalyticsHost
from analytics.rules.signal import Signal, Snapshot
from camera_hub.live.channel import LiveChannel
from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.types import AssignedCamera, Frame, StreamSource
from core.clock import ManualClock
from core.settings import Settings
from tests.analytics.health.test_watch import CAMERA, COVER, GOOD
from tests.support.waiting import until

TICKS = 90_000


class Encoded:
    """A camera that sends a keyframe every ten seconds and a picture between, on a test's clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.channel = LiveChannel()
        self._random = np.random.default_rng(3)
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuv420p"
        encoder.time_base = Fraction(1, 10)
        encoder.framerate = Fraction(10)
        encoder.gop_size, encoder.max_b_frames = 2, 0
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": "repeat-headers=1:scenecut=0:keyint=2:min-keyint=2",
        }
        self._encoder = encoder
        self._number = 0

    def send(self, picture: NDArray[np.uint8]) -> None:
        """Send the next picture, five seconds after the last one."""
        noisy = np.clip(picture + self._random.normal(0, 4, picture.shape), 0, 255)
        frame = av.VideoFrame.from_ndarray(noisy.astype(np.uint8), format="rgb24")
        frame.pts = self._number
        for packet in self._encoder.encode(frame):
            data = bytes(packet)
            if self._number == 0:
                sets = parameter_sets("h264", data)
                self.channel.opened(read_info("h264", sets, data, Fraction(1, TICKS)))
            made: av.Packet[Any] = av.Packet(data)
            made.time_base = Fraction(1, TICKS)
            made.pts = made.dts = self._number * 5 * TICKS
            made.is_keyframe = self._number % 2 == 0
            self.channel.packet(made, self.clock.monotonic(), self.clock.now())
        self._number += 1
        self.clock.advance(5)


def show(camera: Encoded, still: StillCamera, picture: NDArray[np.uint8], seconds: int) -> None:
    """Let it see a picture for so long, and look each second or so."""
    for _ in range(seconds // 5):
        camera.send(picture)
        still.step()
        still.step()


@pytest.mark.parametrize("shown", [True, False])
def test_a_cover_is_said_and_with_pictures_only_where_they_may_be_looked_at(
    tmp_path: Path, shown: bool
) -> None:
    camera = Encoded(ManualClock())
    told: list[Signal] = []
    still = StillCamera(
        CAMERA, camera.channel.keyframe, told.append, clock=camera.clock, source="/workers/media-0",
        memory=HealthMemory(tmp_path), picture=snapshot if shown else None,
    )  # fmt: skip
    show(camera, still, GOOD, 300)
    assert told == []
    show(camera, still, COVER, 120)
    show(camera, still, GOOD, 120)
    assert [(s["type"], s["data"]["phase"]) for s in told] == [
        ("org.camerahub.camera.covered", "started"),
        ("org.camerahub.camera.covered", "ended"),
    ]
    names = [one["name"] for one in told[0]["data"]["attachments"]]
    assert names == (["before.jpg", "after.jpg"] if shown else [])


def test_only_keyframes_that_are_new_and_due_are_decoded() -> None:
    camera = Encoded(ManualClock())
    assert camera.channel.keyframe(float("-inf")) is None
    camera.send(GOOD)
    camera.send(COVER)
    frame = camera.channel.keyframe(float("-inf"))
    assert frame is not None
    # The one before the cover: what came after it depends on it and is left alone.
    assert (frame.arrived_monotonic, frame.keyframe) == (0.0, True)
    assert abs(float(frame.luma(320, 180).std()) - GOOD.std()) < 30
    assert camera.channel.keyframe(0.001) is None
    camera.send(COVER)
    newer = camera.channel.keyframe(10.0)
    assert newer is not None
    assert newer.arrived_monotonic == 10.0
    camera.channel.closed()
    assert camera.channel.keyframe(float("-inf")) is None


async def test_every_camera_that_nobody_analyses_is_looked_at_by_one_thread(
    tmp_path: Path,
) -> None:
    asked: list[UUID] = []

    def keyframe_of(camera: AssignedCamera) -> Callable[[float], None]:
        def keyframe(_since_s: float) -> None:
            asked.append(camera.id)
            if camera.name == "Broken":
                raise RuntimeError("of the test")

        return keyframe

    host = AnalyticsHost(
        _NoDetector(),  # type: ignore[arg-type]
        lambda _signal: None,
        clock=ManualClock(),
        settings=Settings(data_dir=tmp_path),
        time_zone=Settings().site.zone,
        worker="media-0",
    )
    cameras = [_camera(n, "Broken" if n == 0 else "Gate") for n in range(3)]
    for camera in cameras:
        host.add(camera, None, keyframe=keyframe_of(camera))
    await until(lambda: asked.count(cameras[0].id) >= 2 and cameras[2].id in asked)
    host.remove(cameras[1].id)
    asked.clear()
    await until(lambda: cameras[2].id in asked)
    assert cameras[1].id not in asked
    host.close()


class _NoDetector:
    """Nothing is detected in single pictures."""


def _camera(number: int, name: str) -> AssignedCamera:
    source = StreamSource(UUID(int=number + 1), "sub", "rtsp://127.0.0.1/cam")
    return AssignedCamera(source.camera_id, name, "demo", 1, {"sub": source}, analyse=False)


def test_masks_that_change_are_hidden_at_once(tmp_path: Path) -> None:
    camera = Encoded(ManualClock())
    seen: list[Sequence[object]] = []

    def picture(frame: Frame) -> Snapshot:
        seen.append(still.masks)
        return snapshot(frame, still.masks)

    still = StillCamera(
        CAMERA, camera.channel.keyframe, lambda _s: None, clock=camera.clock,
        source="/workers/media-0", memory=HealthMemory(tmp_path),
        picture=picture,
    )  # fmt: skip
    camera.send(GOOD)
    still.step()
    still.set_masks([((0.0, 0.0), (0.5, 0.0), (0.5, 1.0))])
    camera.send(GOOD)
    camera.send(GOOD)
    still.step()
    assert [len(masks) for masks in seen] == [0, 1]
    others = StillCameras()
    others.add(still)
    others.remove(CAMERA.id)
    camera.send(GOOD)
    camera.send(GOOD)
    still.step()
    assert len(seen) == 2
    others.close()
