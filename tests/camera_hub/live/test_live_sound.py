"""Sound beside live pictures: in step with them, never holding them up, for those who ask only."""

import asyncio
import itertools
import json
import shutil
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import websockets
from playwright.async_api import async_playwright

from camera_hub.live.hub import LiveHub, Viewer
from camera_hub.live.muxer import Muxer
from camera_hub.streams.types import (
    AssignedCamera,
    SoundInfo,
    SoundPacket,
    SoundState,
    StreamSource,
)
from core.ids import new_id
from tests.camera_hub.live.conftest import Worker
from tests.camera_hub.live.test_muxer import INFO, UNITS
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units, packets_of
from tests.support.odd_camera import Extra, OddCamera, Oddities, Piece
from tests.support.sounding import aac, changed, pcm, tone

AT = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG, FRAMES = tone(16000)
SOUND = SoundInfo(CONFIG, 16000, 1)
STEP = 3600
FRAME_S = 1024 / 16000
Samples = list[tuple[float, bytes]]


def heard_in(data: bytes) -> Samples:
    """Return the times (seconds) and bytes of the AAC frames in one fragment of sound."""
    assert struct.unpack_from(">I", data, data.index(b"tfhd") + 8) == (2,)
    (time,) = struct.unpack_from(">Q", data, data.index(b"tfdt") + 8)
    trun = data.index(b"trun")
    (count,) = struct.unpack_from(">I", data, trun + 8)
    at = data.index(b"mdat") + 4
    found = []
    for number in range(count):
        duration, size = struct.unpack_from(">II", data, trun + 16 + 8 * number)
        found.append((time / 16000, data[at : at + size]))
        time, at = time + duration, at + size
    return found


class Live:
    """A muxer that is given pictures and sound as they would come."""

    def __init__(self) -> None:
        self.muxer = Muxer(replace(INFO, sound=SOUND), UNITS[0], sound=True)
        self.heard: Samples = []
        self.shown_s = 0.0
        self._sent = 0

    def picture(self, dts: int) -> None:
        packet: Any = packets_of(UNITS[1:][:1])[0]
        packet.dts = packet.pts = dts
        data = self.muxer.fragment(packet, AT).data
        self.shown_s = struct.unpack_from(">Q", data, data.index(b"tfdt") + 8)[0] / 90000
        self._take(self.muxer.silence(AT))

    def sound(self, number: int, at: int) -> None:
        self._take(self.muxer.sound(SoundPacket(FRAMES[number % 64], at, 1024), AT))

    def _take(self, fragment: Any) -> None:
        if fragment is not None:
            assert not fragment.keyframe
            self.heard += heard_in(fragment.data)

    def play(self, pictures: range, *, shift: int = 0, late: int = 0, mute: bool = False) -> None:
        """Send pictures and, `late` ticks behind them, the sound of the same time."""
        for n in pictures:
            self.picture(n * STEP + shift)
            until = (n * STEP - late) / 90000
            while not mute and self._sent * FRAME_S <= until:
                self.sound(self._sent, round(self._sent * FRAME_S * 90000) + shift)
                self._sent += 1

    def skip_sound(self, until_picture: int) -> None:
        self._sent = int(until_picture * 0.04 / FRAME_S) + 1


def assert_unbroken(heard: Samples) -> None:
    """Check that there is sound without a gap or an overlap that a browser would trip over."""
    assert heard[0][0] < 0.1
    for (before, _), (after, _) in itertools.pairwise(heard):
        assert abs(after - before - FRAME_S) < 0.066


def real(heard: Samples) -> list[tuple[float, int]]:
    """Return when which of the camera's frames are heard."""
    return [(at, FRAMES.index(data)) for at, data in heard if data in FRAMES]


def test_sound_lies_where_its_picture_does() -> None:
    live = Live()
    live.play(range(100))
    assert_unbroken(live.heard)
    assert all(abs(at - n * FRAME_S) < 0.021 for at, n in real(live.heard))
    assert len(real(live.heard)) == len(live.heard) == 62


def test_a_gap_that_is_cut_out_of_the_pictures_is_cut_out_of_the_sound() -> None:
    live = Live()
    live.play(range(50))
    live.play(range(50, 150), shift=90000 * 60)
    assert_unbroken(live.heard)
    assert abs(live.heard[-1][0] - live.shown_s) < 0.2
    # Frame n was heard with picture n * 64 ms, which is still shown at about that time.
    assert all(abs(at - n * FRAME_S) < 0.1 for at, n in real(live.heard) if n > 5 and at < 4)


def test_sound_that_stops_becomes_silence_and_comes_back_in_step() -> None:
    live = Live()
    live.play(range(50))
    live.play(range(50, 200), mute=True)
    assert_unbroken(live.heard)
    assert live.shown_s - live.heard[-1][0] < 1.0
    live.skip_sound(200)
    live.play(range(200, 300))
    assert_unbroken(live.heard)
    last = [(at, n) for at, n in real(live.heard) if at > 8.5]
    assert len(last) > 30
    assert all(abs(at % (64 * FRAME_S) - n * FRAME_S) < 0.03 for at, n in last)


def test_sound_that_always_comes_late_is_waited_for() -> None:
    live = Live()
    live.play(range(300), late=int(1.6 * 90000))
    assert_unbroken(live.heard)
    newest = [data in FRAMES for _, data in live.heard[-50:]]
    assert all(newest)


def test_the_pictures_of_a_stream_with_sound_are_those_without() -> None:
    plain, beside = Muxer(INFO, UNITS[0]), Live()
    assert beside.muxer.init.codec == plain.init.codec + ",mp4a.40.2"
    assert Muxer(replace(INFO, sound=SOUND), UNITS[0]).init == plain.init
    assert Muxer(INFO, UNITS[0], sound=True).init == plain.init


class Camera:
    """A camera with sound, assigned to a worker."""

    def __init__(self, odd: OddCamera) -> None:
        self.id = new_id()
        source = StreamSource(self.id, "sub", odd.url, sound=True)
        self.assigned = AssignedCamera(self.id, "Gate", "demo", 1, {"sub": source}, sound=True)


@pytest.fixture
def camera() -> Iterator[Callable[[Extra], Camera]]:
    made: list[OddCamera] = []

    def begin(extra: Extra) -> Camera:
        units = make_units(frames=50, gop=10)
        made.append(OddCamera(units, Oddities(extras=[extra], offers_sound=False, pace_s=0.04)))
        return Camera(made[-1])

    yield begin
    for odd in made:
        odd.close()


async def init_of(viewer: Viewer) -> dict[str, Any]:
    """Return the first init message."""
    async with asyncio.timeout(20):
        async for message in viewer.messages():
            if isinstance(message, str) and json.loads(message)["type"] == "init":
                found: dict[str, Any] = json.loads(message)
                return found
    raise AssertionError


async def with_sound(worker: Worker, camera: Camera) -> None:
    """Start the worker and wait until its camera is heard."""
    await worker.start(camera.assigned)
    channel = worker.runtime._cameras[camera.id].streams["sub"].channel

    def heard() -> bool:
        info = channel._info
        return info is not None and info.sound is not None

    await asyncio.to_thread(wait_until, heard)


async def test_who_does_not_ask_is_given_pictures_alone(
    worker: Worker, live_hub: LiveHub, camera: Callable[[Extra], Camera]
) -> None:
    gate = camera(aac())
    await with_sound(worker, gate)
    silent = live_hub.view(gate.id, "sub")
    loud = live_hub.view(gate.id, "sub", sound=True)
    mimes = [(await init_of(viewer))["mime"] for viewer in (silent, loud)]
    assert "mp4a" not in mimes[0]
    assert mimes[1].endswith(',mp4a.40.2"')
    sounds = {True: 0, False: 0}
    async with asyncio.timeout(10):
        async for message in loud.messages():
            if isinstance(message, bytes):
                sounds[b"tfhd\0\2\0\0\0\0\0\2" in message] += 1
            if min(sounds.values()) >= 5:
                break
    async with asyncio.timeout(10):
        count = 0
        async for message in silent.messages():
            if isinstance(message, bytes):
                count += 1
                assert b"tfhd\0\2\0\0\0\0\0\2" not in message
            if count > 10:
                break
    for viewer in (silent, loud):
        viewer.close()
    assert worker.runtime.statuses()[gate.id].sound is SoundState.OK


PLAY = """
async (url) => {
  const video = document.createElement('video')
  document.body.append(video)
  const source = new MediaSource()
  video.src = URL.createObjectURL(source)
  await new Promise((done) => source.addEventListener('sourceopen', done, { once: true }))
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  let buffer = null
  const waiting = []
  const pump = () => {
    if (buffer && !buffer.updating && waiting.length) buffer.appendBuffer(waiting.shift())
  }
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') {
      const message = JSON.parse(data)
      if (message.type === 'init') {
        buffer = source.addSourceBuffer(message.mime)
        buffer.addEventListener('updateend', pump)
        window.mime = message.mime
      }
    } else {
      waiting.push(data)
      pump()
    }
  }
  video.play().catch((error) => { window.refused = String(error) })
  window.look = () => ({
    at: video.currentTime, end: video.buffered.length ? video.buffered.end(0) : 0,
    ranges: video.buffered.length, error: video.error && video.error.message,
    sound: video.webkitAudioDecodedByteCount, pictures: video.webkitDecodedFrameCount,
    mime: window.mime, refused: window.refused,
  })
}
"""


@pytest.fixture
async def relay(live_hub: LiveHub) -> AsyncIterator[Callable[[Camera], str]]:
    """Give the address at which a camera's live view with sound is sent."""
    cameras: dict[str, Camera] = {}

    async def show(socket: Any) -> None:
        viewer = live_hub.view(cameras[socket.request.path].id, "sub", sound=True)
        with suppress(websockets.ConnectionClosed):
            async for message in viewer.messages():
                await socket.send(message)
        viewer.close()

    def page(connection: Any, request: Any) -> Any:
        # Browsers let only a page of this machine talk to this machine.
        return connection.respond(200, "") if request.path == "/" else None

    async with websockets.serve(show, "127.0.0.1", 0, process_request=page) as server:
        port = server.sockets[0].getsockname()[1]

        def address(camera: Camera) -> str:
            cameras[f"/{camera.id}"] = camera
            return f"ws://127.0.0.1:{port}/{camera.id}"

        yield address


def _stops(number: int, pieces: list[Piece]) -> list[Piece]:
    return pieces if number < 60 else []


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("extra", [aac(44100, 2), pcm("PCMA"), changed(aac(), _stops)])
async def test_a_browser_plays_both_and_goes_on_when_the_sound_stops(
    worker: Worker,
    relay: Callable[[Camera], str],
    camera: Callable[[Extra], Camera],
    extra: Extra,
) -> None:
    gate = camera(extra)
    await with_sound(worker, gate)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless=new", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = await browser.new_page()
        address = relay(gate)
        await page.goto("http://" + address.split("/")[2])
        await page.evaluate(PLAY, address)
        await page.wait_for_function("look().at > 0.3", timeout=20000)
        first = await page.evaluate("look()")
        # Two seconds more of both: what is buffered is what there is of pictures and sound alike.
        await page.wait_for_function(f"look().at > {first['at'] + 2.5}", timeout=20000)
        last = await page.evaluate("look()")
        await browser.close()
    assert last["error"] is None
    assert last["mime"].endswith(',mp4a.40.2"')
    assert last["end"] > first["end"]
    assert last["ranges"] == 1
    assert last["sound"] > first["sound"] > 0
    assert last["pictures"] > first["pictures"]


async def test_a_real_camera_with_g711_is_heard(
    worker: Worker, live_hub: LiveHub, rtsp_server: RtspServer
) -> None:
    rtsp_server.mount("/cam", kind="audio_first")
    camera_id = new_id()
    source = StreamSource(
        camera_id, "sub", rtsp_server.url("/cam"), rtsp_server.username, rtsp_server.password,
        sound=True,
    )  # fmt: skip
    await worker.start(AssignedCamera(camera_id, "Gate", "demo", 1, {"sub": source}, sound=True))
    await asyncio.to_thread(
        wait_until, lambda: worker.runtime.statuses()[camera_id].sound is SoundState.OK
    )
    viewer = live_hub.view(camera_id, "sub", sound=True)
    while not (await init_of(viewer))["mime"].endswith(',mp4a.40.2"'):
        pass
    async with asyncio.timeout(10):
        async for message in viewer.messages():
            if isinstance(message, bytes) and b"tfhd\0\2\0\0\0\0\0\2" in message:
                break
    viewer.close()
