"""Masked and redacted views from a real camera, as a viewer receives them."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import cv2
import numpy as np
import pytest

from analytics.detectors.client import InferenceClient
from analytics.redaction.paint import MASK_COLOUR
from analytics.redaction.painters import painters
from camera_hub.live.hub import LiveHub
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.stream import RENDITION_LINGER_S
from camera_hub.live.worker_server import MediaServer
from camera_hub.streams.painting import Painter, Polygon, Rendition, Shot
from camera_hub.streams.types import AssignedCamera, StreamInfo
from camera_hub.streams.wire import encode, read_message
from core.clock import SystemClock
from core.errors import InvalidInputError, UnavailableError
from core.settings import MediaSettings
from tests.camera_hub.live.conftest import Worker, assigned
from tests.camera_hub.live.test_live import Watching, decode, samples, start_worker_process
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units, nal_units, write_units

WAIT_S = 20.0
# The moving square of the footage passes through this part: a third from the top.
BAND: Polygon = ((0.0, 0.3), (1.0, 0.3), (1.0, 0.55), (0.0, 0.55))


class PaintingWorker(Worker):
    """A worker with painters, as `camera-hub serve` makes it; its detector is at `inference`."""

    def __init__(self, path: Path, inference: Path) -> None:
        super().__init__(path)
        self.inference = inference
        self.fail = False

    async def start(self, *cameras: AssignedCamera) -> None:
        clock = SystemClock()
        self.detector = InferenceClient(self.inference, clock)
        make = painters(self.detector, clock)

        def breakable(camera_id: UUID, rendition: Rendition, masks: tuple[Polygon, ...]) -> Painter:
            painter = make(camera_id, rendition, masks)
            return _Breakable(painter, self)

        self.runtime = MediaRuntime(
            clock=clock, settings=MediaSettings(backoff_max_s=1.0), painters=breakable
        )
        self.runtime.apply(cameras)
        self.server = MediaServer(self.runtime, self.path)
        await self.server.start()

    async def stop(self) -> None:
        await super().stop()
        await asyncio.to_thread(self.detector.close)


class _Breakable:
    """The real painter, until the test breaks it."""

    def __init__(self, painter: Painter, worker: PaintingWorker) -> None:
        self.painter, self.worker = painter, worker

    def put(self, shot: Shot) -> None:
        if self.worker.fail:
            raise RuntimeError("the painter is broken")
        self.painter.put(shot)

    def take(self) -> list[Shot]:
        return self.painter.take()

    def close(self) -> None:
        self.painter.close()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[PaintingWorker]:
    worker = PaintingWorker(tmp_path / "media-0.sock", tmp_path / "inference.sock")
    yield worker
    if hasattr(worker, "runtime"):
        await worker.stop()


@pytest.fixture
async def watch(live_hub: LiveHub) -> AsyncIterator[Callable[..., Watching]]:
    watching: list[Watching] = []

    def begin(camera_id: Any, rendition: Rendition, tag: Any = None) -> Watching:
        watching.append(Watching(live_hub.view(camera_id, "sub", rendition, tag=tag)))
        return watching[-1]

    yield begin
    for one in watching:
        await one.close()


def pictures(watching: Watching) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return what the browser would show since the newest init."""
    frames = decode(watching.init_data[-1], watching.media)
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def band(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the inside of BAND, away from its edges."""
    height = picture.shape[0]
    inside: np.ndarray[Any, Any] = picture[int(0.34 * height) : int(0.51 * height)]
    return inside.astype(int)


def is_masked(picture: np.ndarray[Any, Any]) -> bool:
    return bool(np.abs(band(picture) - MASK_COLOUR).max() <= 4)


async def eventually(condition: Callable[[], Any], what: str) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited in vain for {what}")


async def test_the_masked_part_of_every_picture_that_leaves_is_constant(
    rtsp_server: RtspServer,
    footage: Path,
    worker: PaintingWorker,
    live_hub: LiveHub,
    watch: Callable[..., Watching],
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = replace(assigned(rtsp_server, "/cam"), masks=(BAND,))
    await worker.start(camera)
    watching = watch(camera.id, "masked")
    await watching.until(lambda w: len(samples(w.media)) >= 24)

    shown = pictures(watching)
    assert len(shown) >= 24
    assert all(is_masked(picture) for picture in shown)
    # Outside of the mask the picture is there: grey, as the footage is.
    assert all(np.abs(picture[5:50].astype(int) - 96).max() < 12 for picture in shown)
    # Not one NAL unit of the camera left.
    sent = {unit for access_unit in make_units() for unit in nal_units(access_unit)}
    left = {unit for sample in samples(watching.media) for unit in sample}
    assert left
    assert not sent & left
    snapshot = await live_hub.snapshot(camera.id, "sub", "masked")
    still = cv2.imdecode(np.frombuffer(snapshot.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert is_masked(still)


async def test_a_masked_cameras_own_pictures_are_refused_by_the_worker_itself(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker, live_hub: LiveHub,
    watch: Callable[..., Watching],
) -> None:  # fmt: skip
    rtsp_server.mount("/cam", footage)
    camera = replace(assigned(rtsp_server, "/cam"), masks=(BAND,))
    await worker.start(camera)

    for op in ("live", "snapshot"):
        reader, writer = await asyncio.open_unix_connection(worker.path)
        writer.write(encode({"op": op, "camera_id": str(camera.id), "stream": "sub"}))
        answer = await read_message(reader)
        assert answer is not None
        assert answer[0]["ok"] is False
        assert answer[0]["code"] == "raw-refused"
        assert answer[1] == b""
        assert await read_message(reader) is None
        writer.close()
    watching = watch(camera.id, "raw")
    await watching.until(lambda w: any(s["reason_code"] == "raw_refused" for s in w.states))
    assert watching.inits == []
    with pytest.raises(UnavailableError):
        await live_hub.snapshot(camera.id, "sub", "raw")


async def test_an_unknown_rendition_is_refused(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker, live_hub: LiveHub
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    nonsense: Any = "unmasked"
    with pytest.raises(InvalidInputError):
        live_hub.view(camera.id, "sub", nonsense)
    with pytest.raises(InvalidInputError):
        await live_hub.snapshot(camera.id, "sub", nonsense)
    for value in ("unmasked", "", None, 3, ["raw"]):
        reader, writer = await asyncio.open_unix_connection(worker.path)
        header = {"op": "live", "camera_id": str(camera.id), "stream": "sub", "rendition": value}
        writer.write(encode(header))
        answer = await read_message(reader)
        assert answer is not None
        assert answer[0]["code"] == "unknown-rendition"
        writer.close()


async def test_masks_take_effect_on_running_views_and_can_be_withdrawn(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    raw, masked = watch(camera.id, "raw"), watch(camera.id, "masked")
    await raw.until(lambda w: len(samples(w.media)) >= 5)
    await masked.until(lambda w: len(samples(w.media)) >= 5)
    assert not all(is_masked(picture) for picture in pictures(masked))

    inits = len(masked.inits)
    worker.runtime.apply([replace(camera, masks=(BAND,))])
    given = len(raw.media)
    await raw.until(lambda w: any(s["reason_code"] == "raw_refused" for s in w.states))
    # What was on its way may still come; nothing is sent after that.
    assert len(raw.media) <= given + 3
    await masked.until(lambda w: len(w.inits) > inits and len(samples(w.media)) >= 12)
    assert all(is_masked(picture) for picture in pictures(masked))

    inits = len(masked.inits), len(raw.inits)
    worker.runtime.apply([camera])
    await masked.until(lambda w: len(w.inits) > inits[0] and len(samples(w.media)) >= 12)
    assert not all(is_masked(picture) for picture in pictures(masked))
    await raw.until(lambda w: len(w.inits) > inits[1] and len(samples(w.media)) >= 5)


async def test_two_viewers_share_one_encoder_which_ends_after_the_last(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = replace(assigned(rtsp_server, "/cam"), masks=(BAND,))
    await worker.start(camera)
    first = watch(camera.id, "masked")
    await first.until(lambda w: len(samples(w.media)) >= 5)
    # As another API process would: a second connection to the worker.
    reader, writer = await asyncio.open_unix_connection(worker.path)
    header = {"op": "live", "camera_id": str(camera.id), "stream": "sub", "rendition": "masked"}
    writer.write(encode(header))
    units: list[bytes] = []
    while len(units) < 30:
        message = await read_message(reader)
        assert message is not None
        if message[0].get("type") == "fragment":
            units.append(message[1])
    await first.until(lambda w: len(samples(w.media)) >= 40)
    stream = worker.runtime._cameras[camera.id].streams["sub"]
    assert list(stream.renderings) == ["masked"]
    seen = {unit for sample in samples(first.media) for unit in sample}
    assert {u for s in samples(units) for u in s} & seen
    rendering = stream.renderings["masked"]

    writer.close()
    await first.close()
    await eventually(lambda: not stream.renderings, f"its end {RENDITION_LINGER_S} s later")
    await eventually(lambda: not rendering._thread.is_alive(), "its thread to end")


@pytest.mark.faults
async def test_without_a_detector_nothing_clear_leaves(
    rtsp_server: RtspServer, tmp_path: Path, worker: PaintingWorker, watch: Callable[..., Watching]
) -> None:
    units = make_units(width=640, height=360)
    rtsp_server.mount("/cam", write_units(tmp_path / "large.aus", units))
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    watching = watch(camera.id, "redacted")
    await watching.until(lambda w: len(samples(w.media)) >= 20)
    # The square is 40 pixels wide; blurred as a whole, its outline is gone.
    for picture in pictures(watching):
        steps = np.abs(np.diff(picture[140].astype(int), axis=0)).max()
        assert steps < 40
    raw = watch(camera.id, "raw")
    await raw.until(lambda w: len(samples(w.media)) >= 12)
    sharp = [np.abs(np.diff(p[140].astype(int), axis=0)).max() for p in pictures(raw)]
    assert max(sharp) > 90


@pytest.mark.faults
async def test_a_rendition_that_fails_shows_nothing_and_says_so(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = replace(assigned(rtsp_server, "/cam"), masks=(BAND,))
    await worker.start(camera)
    watching = watch(camera.id, "masked")
    await watching.until(lambda w: len(samples(w.media)) >= 5)
    worker.fail = True
    await watching.until(lambda w: w.states[-1]["reason_code"] == "rendition_failed")
    given, inits = len(watching.media), len(watching.inits)
    rendering = worker.runtime._cameras[camera.id].streams["sub"].renderings["masked"]
    failures = rendering.failures
    await eventually(lambda: rendering.failures > failures, "another try")
    assert (len(watching.media), len(watching.inits)) == (given, inits)
    worker.fail = False
    await watching.until(lambda w: len(w.inits) > inits and len(samples(w.media)) >= 5)
    assert all(is_masked(picture) for picture in pictures(watching))
    assert watching.states[-1]["state"] == "online"


async def test_a_recorder_is_given_what_may_be_recorded(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker
) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.infos: list[StreamInfo] = []
            self.packets: list[bytes] = []
            self.ended = 0

        def opened(self, info: StreamInfo) -> None:
            self.infos.append(info)
            self.packets = []

        def packet(self, packet: Any, arrived_monotonic: float, arrived_at: Any) -> None:
            self.packets.append(bytes(packet))

        def closed(self) -> None:
            self.ended += 1

    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(replace(camera, masks=(BAND,)))
    recorder = Recorder()
    assert worker.runtime.record(camera.id, "sub", recorder)
    wait_until(lambda: len(recorder.packets) >= 10)
    sent = {u for unit in make_units() for u in nal_units(unit) if u[0] & 31 in {1, 5}}
    assert {u for p in recorder.packets for u in nal_units(p)} & sent

    worker.runtime.apply([replace(camera, masks=(BAND,), masks_burnt=True)])
    assert recorder.ended
    opened = len(recorder.infos)
    wait_until(lambda: len(recorder.infos) > opened and len(recorder.packets) >= 10)
    assert not {u for p in recorder.packets for u in nal_units(p)} & sent
    with av.open(io.BytesIO(b"".join(recorder.packets)), format="h264") as container:
        shown = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert shown
    assert all(is_masked(picture) for picture in shown)

    ended = recorder.ended
    worker.runtime.stop_recording(camera.id, "sub", recorder)
    assert recorder.ended > ended


@pytest.mark.faults
async def test_a_killed_worker_comes_back_with_the_masks(
    rtsp_server: RtspServer, footage: Path, worker: PaintingWorker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = replace(assigned(rtsp_server, "/cam"), masks=(BAND,))
    process = await start_worker_process(worker.path, camera)
    watching = watch(camera.id, "masked")
    await watching.until(lambda w: len(samples(w.media)) >= 5)
    process.kill()
    await process.wait()
    await watching.until(lambda w: w.states[-1]["reason_code"] == "worker_lost")
    inits = len(watching.inits)
    process = await start_worker_process(worker.path, camera)
    await watching.until(lambda w: len(w.inits) > inits and len(samples(w.media)) >= 12)
    assert all(is_masked(picture) for picture in pictures(watching))
    await watching.close()
    await process.communicate(b"")
    assert process.returncode == 0
