"""Live view from a real camera to a viewer's messages."""

import asyncio
import io
import json
import struct
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import av
import pytest

from camera_hub.live.hub import LiveHub, Viewer
from camera_hub.streams.types import AssignedCamera, StreamState
from camera_hub.streams.wire import read_message
from core.errors import UnavailableError
from tests.camera_hub.live.conftest import Worker, assigned
from tests.support.media import RtspServer
from tests.support.media_footage import make_units, nal_units, write_units

WAIT_S = 20.0
REPOSITORY = Path(__file__).resolve().parents[3]


class Watching:
    """A viewer's messages, sorted; `media` is what came since the newest init."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.inits: list[dict[str, Any]] = []
        self.init_data: list[bytes] = []
        self.states: list[dict[str, Any]] = []
        self.media: list[bytes] = []
        self.ended = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        expects_init = False
        async for message in self.viewer.messages():
            if isinstance(message, bytes):
                (self.init_data if expects_init else self.media).append(message)
                expects_init = False
                continue
            header = json.loads(message)
            expects_init = header["type"] == "init"
            if expects_init:
                self.media = []
            (self.inits if expects_init else self.states).append(header)
        self.ended = True

    async def until(self, condition: Callable[["Watching"], Any]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition(self):
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        self.viewer.close()
        await self._task


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Split MP4 data into (type, content) of its top boxes."""
    found, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    return found


def samples(media: list[bytes]) -> list[list[bytes]]:
    """Return the NAL units of each sample in a viewer's media messages."""
    result = []
    for kind, content in boxes(b"".join(media)):
        if kind == b"mdat":
            units, at = [], 0
            while at < len(content):
                (size,) = struct.unpack_from(">I", content, at)
                units.append(content[at + 4 : at + 4 + size])
                at += 4 + size
            result.append(units)
    return result


def decode(init: bytes, media: list[bytes]) -> list[av.VideoFrame]:
    """Play what a viewer received."""
    with av.open(io.BytesIO(init + b"".join(media))) as container:
        return list(container.decode(container.streams.video[0]))


@pytest.fixture
async def watch(live_hub: LiveHub) -> AsyncIterator[Callable[..., Watching]]:
    watching: list[Watching] = []

    def begin(camera_id: Any, stream: Any = "sub", tag: Any = None) -> Watching:
        watching.append(Watching(live_hub.view(camera_id, stream, tag=tag)))
        return watching[-1]

    yield begin
    for one in watching:
        await one.close()


async def test_video_is_never_re_encoded(
    rtsp_server: RtspServer, footage: Path, worker: Worker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    watching = watch(camera.id)
    await watching.until(lambda w: len(samples(w.media)) >= 60)

    pictures = {1, 5}
    sent = [[n for n in nal_units(u) if n[0] & 31 in pictures] for u in make_units()]
    received = [[n for n in s if n[0] & 31 in pictures] for s in samples(watching.media)]
    start = sent.index(received[0])
    expected = [sent[(start + i) % len(sent)] for i in range(len(received))]
    assert received == expected


async def test_what_a_viewer_gets_can_be_played(
    rtsp_server: RtspServer, footage: Path, worker: Worker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    watching = watch(camera.id)
    await watching.until(lambda w: len(samples(w.media)) >= 30)

    assert watching.inits[0] == {
        "type": "init",
        "mime": 'video/mp4; codecs="avc1.42c00d"',
        "width": 320,
        "height": 240,
    }
    frames = decode(watching.init_data[0], watching.media)
    assert len(frames) == len(samples(watching.media))
    assert {(f.width, f.height) for f in frames} == {(320, 240)}
    times = [f.time for f in frames]
    assert times == sorted(set(times))
    # 25 frames a second: the timeline must neither shrink nor stretch.
    assert times[-1] - times[0] == pytest.approx((len(frames) - 1) / 25, abs=0.2)


async def test_h265_is_named_so_that_a_browser_can_refuse_it(
    rtsp_server: RtspServer, footage_hevc: Path, worker: Worker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage_hevc, codec="h265")
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    watching = watch(camera.id)
    await watching.until(lambda w: len(samples(w.media)) >= 5)
    assert watching.inits[0]["mime"].startswith('video/mp4; codecs="hvc1.1.6.L')
    assert b"hvc1" in watching.init_data[0]
    assert len(decode(watching.init_data[0], watching.media)) >= 5


async def test_a_later_viewer_has_a_picture_without_waiting_for_a_keyframe(
    rtsp_server: RtspServer, tmp_path: Path, worker: Worker, watch: Callable[..., Watching]
) -> None:
    # One keyframe in the whole test: whoever must wait for another one never sees a picture.
    units = make_units(frames=2000, gop=2000, width=160, height=120)
    rtsp_server.mount("/cam", write_units(tmp_path / "long.aus", units))
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    first = watch(camera.id)
    await first.until(lambda w: len(samples(w.media)) >= 10)
    later = watch(camera.id)
    await later.until(lambda w: len(samples(w.media)) >= 12)
    assert samples(later.media)[0] == samples(first.media)[0]
    assert len(decode(later.init_data[0], later.media)) >= 12

    # The same when nobody looked: the worker keeps the group of pictures.
    await first.close()
    await later.close()
    await asyncio.sleep(0.5)
    again = watch(camera.id)
    await again.until(lambda w: len(samples(w.media)) >= 12)
    assert samples(again.media)[0] == samples(first.media)[0]


async def test_a_slow_viewer_skips_to_a_keyframe_and_delays_nobody(
    rtsp_server: RtspServer, footage: Path, worker: Worker, live_hub: LiveHub,
    watch: Callable[..., Watching],
) -> None:  # fmt: skip
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    slow = live_hub.view(camera.id, "sub")
    slow.queue._max_items = 30
    fast = watch(camera.id)
    await fast.until(lambda w: len(samples(w.media)) >= 80)
    assert slow.queue.skipped > 0
    messages = slow.messages()
    received = []
    async for message in messages:
        received.append(message)
        if len(received) == 4:
            break
    media = [m for m in received[3:] if isinstance(m, bytes)]
    assert samples(media)[0][-1][0] & 31 == 5, "the first sample after a gap must be a keyframe"
    assert fast.viewer.queue.skipped == 0
    slow.close()


async def test_a_cut_viewing_ends_and_the_others_go_on(
    rtsp_server: RtspServer, footage: Path, worker: Worker, live_hub: LiveHub,
    watch: Callable[..., Watching],
) -> None:  # fmt: skip
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    one, two = watch(camera.id, tag="one"), watch(camera.id, tag="two")
    await two.until(lambda w: len(samples(w.media)) >= 5)
    assert live_hub.cut(lambda v: v.tag == "one") == 1
    await one.until(lambda w: w.ended)
    assert (one.viewer.close_code, one.viewer.ended.is_set()) == (4403, True)
    count = len(samples(two.media))
    await two.until(lambda w: len(samples(w.media)) >= count + 5)


@pytest.mark.faults
async def test_a_change_of_resolution_brings_a_new_init(
    rtsp_server: RtspServer, footage: Path, footage_large: Path, worker: Worker,
    watch: Callable[..., Watching],
) -> None:  # fmt: skip
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    watching = watch(camera.id)
    await watching.until(lambda w: w.media)
    rtsp_server.change_footage("/cam", footage_large)
    await watching.until(lambda w: len(w.inits) == 2 and len(samples(w.media)) >= 3)
    assert (watching.inits[1]["width"], watching.inits[1]["height"]) == (640, 360)
    frames = decode(watching.init_data[1], watching.media)
    assert (frames[0].width, frames[0].height) == (640, 360)


@pytest.mark.faults
async def test_viewers_come_back_when_the_media_worker_is_killed(
    rtsp_server: RtspServer, footage: Path, worker: Worker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    process = await start_worker_process(worker.path, camera)
    watching = watch(camera.id)
    await watching.until(lambda w: w.media)
    process.kill()
    await process.wait()
    await watching.until(lambda w: w.states[-1]["reason_code"] == "worker_lost")
    # The socket of the killed process still lies there.
    assert worker.path.exists()
    process = await start_worker_process(worker.path, camera)
    await watching.until(lambda w: len(w.inits) >= 2 and w.states[-1]["state"] == "online")
    await watching.until(lambda w: len(samples(w.media)) >= 3)
    await watching.close()
    await process.communicate(b"")
    assert process.returncode == 0


async def start_worker_process(path: Path, *cameras: AssignedCamera) -> asyncio.subprocess.Process:
    """Start a media worker as a process of its own and wait until it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.media_worker_main", str(path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([to_json(c) for c in cameras]).encode() + b"\n")
    assert await process.stdout.readline() == b"ready\n"
    return process


def to_json(camera: AssignedCamera) -> dict[str, Any]:
    """Return an assignment as the hub sends it."""
    return {
        "id": str(camera.id), "name": camera.name, "area": camera.area, "version": camera.version,
        "analyse": camera.analyse, "zones": [],
        "masks": [{"name": "mask", "polygon": polygon} for polygon in camera.masks],
        "streams": {
            role: {"url": s.url, "username": s.username, "password": s.password}
            for role, s in camera.streams.items()
        },
    }  # fmt: skip


@pytest.mark.faults
async def test_viewers_see_the_state_of_a_camera_that_dies(
    rtsp_server: RtspServer, footage: Path, worker: Worker, watch: Callable[..., Watching]
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    watching = watch(camera.id)
    await watching.until(lambda w: w.media)
    rtsp_server.kill()
    await watching.until(lambda w: w.states[-1]["reason_code"] == "refused")
    assert watching.states[-1]["state"] == StreamState.STALLED
    rtsp_server.start()
    await watching.until(lambda w: len(w.inits) >= 2 and w.states[-1]["state"] == "online")


async def test_the_main_stream_is_read_only_while_somebody_watches(
    rtsp_server: RtspServer, footage: Path, footage_large: Path, worker: Worker,
    watch: Callable[..., Watching], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("camera_hub.live.runtime.LINGER_S", 0.1)
    rtsp_server.mount("/sub", footage)
    rtsp_server.mount("/main", footage_large)
    camera = assigned(rtsp_server, "/sub", main="/main")
    await worker.start(camera)
    streams = worker.runtime._cameras[camera.id].streams
    assert set(streams) == {"sub"}
    watching = watch(camera.id, "main")
    await watching.until(lambda w: w.media)
    assert watching.inits[0]["width"] == 640
    assert set(streams) == {"sub", "main"}
    await watching.close()
    async with asyncio.timeout(WAIT_S):
        while "main" in streams:
            await asyncio.sleep(0.05)
    assert worker.runtime.statuses()[camera.id].state is StreamState.ONLINE


async def test_a_snapshot_shows_the_newest_picture(
    rtsp_server: RtspServer, footage: Path, worker: Worker, live_hub: LiveHub
) -> None:
    rtsp_server.mount("/cam", footage)
    camera = assigned(rtsp_server, "/cam")
    await worker.start(camera)
    picture = await live_hub.snapshot(camera.id)
    assert (picture.width, picture.height) == (320, 240)
    with av.open(io.BytesIO(picture.jpeg), format="jpeg_pipe") as container:
        frame = next(container.decode(container.streams.video[0]))
    pixels = frame.to_ndarray(format="rgb24")
    assert pixels.shape == (240, 320, 3)
    # Grey all over, but for the red square on its way.
    assert abs(int(pixels[5, 5].mean()) - 96) < 12
    red = pixels[100]
    assert (red[:, 0].astype(int) - red[:, 2] > 100).sum() in range(30, 50)
    later = await live_hub.snapshot(camera.id)
    assert later.at >= picture.at


async def test_no_snapshot_without_a_picture(
    rtsp_server: RtspServer, footage: Path, worker: Worker, live_hub: LiveHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("camera_hub.live.worker_server.SNAPSHOT_WAIT_S", 0.2)
    camera = assigned(rtsp_server, "/nothing-here")
    with pytest.raises(UnavailableError, match="Nobody reads"):
        await live_hub.snapshot(camera.id)
    await worker.start(camera)
    with pytest.raises(UnavailableError, match="sends no picture") as caught:
        await live_hub.snapshot(camera.id)
    assert caught.value.code == "no-picture"


async def test_a_broken_request_closes_the_connection_only(worker: Worker) -> None:
    await worker.start()
    for garbage in (b"\xff" * 64, struct.pack(">II", 2, 0) + b"{}", struct.pack(">II", 3, 0)):
        reader, writer = await asyncio.open_unix_connection(worker.path)
        writer.write(garbage)
        writer.write_eof()
        async with asyncio.timeout(WAIT_S):
            assert await read_message(reader) is None
        writer.close()
    reader, writer = await asyncio.open_unix_connection(worker.path)
    writer.write(struct.pack(">II", 72, 0))
    writer.write(b'{"op":"snapshot","camera_id":"00000000-0000-0000-0000-000000000000" }   ')
    message = await read_message(reader)
    assert message is not None
    assert message[0]["code"] == "unknown-camera"
    writer.close()
