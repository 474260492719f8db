"""The RTSP server, watched by PyAV and by hand over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from camera_hub.simulator import rtp
from camera_hub.simulator.broadcast import Broadcast, Viewer
from camera_hub.simulator.clip import CLOCK_RATE, LoopedClip
from camera_hub.simulator.rtsp import RtspServer
from core.clock import ManualClock, SystemClock

_OPTIONS = {"rtsp_transport": "tcp", "fpsprobesize": "0"}
_USER = "viewer"
_PASSWORD = "p@ss w"
_QUOTED = "p%40ss%20w"


@pytest.fixture
async def server(clip: LoopedClip, hurried: ManualClock) -> AsyncIterator[RtspServer]:
    """Give a camera with two streams of the same footage, the second half a second further."""
    server = RtspServer(
        {
            "/door/main": Broadcast(clip, began=hurried.monotonic(), clock=hurried),
            "/door/sub": Broadcast(clip, began=hurried.monotonic() - 0.5, clock=hurried),
        },
        username=_USER,
        password=_PASSWORD,
    )
    await server.start()
    yield server
    await server.close()


def _url(server: RtspServer, path: str = "/door/main", password: str = _QUOTED) -> str:
    return server.url(path).replace("//", f"//{_USER}:{password}@")


def _watch(url: str, frames: int) -> tuple[list[float], list[np.ndarray[Any, Any]]]:
    """Return the times (s) of `frames` packets and the pictures in them."""
    times: list[float] = []
    pictures: list[np.ndarray[Any, Any]] = []
    with av.open(url, options=_OPTIONS, timeout=(10, 10)) as container:
        for packet in container.demux(container.streams.video[0]):
            assert packet.size, "the stream ended"
            assert pictures or packet.is_keyframe
            if packet.dts is not None:
                assert packet.time_base is not None
                times.append(float(packet.dts * packet.time_base))
            pictures += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
            if len(pictures) >= frames:
                return times, pictures
    pytest.fail("the stream ended")


async def test_the_loop_has_no_seam(server: RtspServer, clip: LoopedClip) -> None:
    length = len(clip.units)
    times, pictures = await asyncio.to_thread(_watch, _url(server), 3 * length + 5)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) > 0
    assert max(gaps) <= 2 / clip.fps + 1e-6
    # Every loop shows the same pictures, and there are as many different ones as frames.
    for earlier, later in zip(pictures, pictures[length:], strict=False):
        assert np.array_equal(earlier, later)
    assert len({picture.tobytes() for picture in pictures}) == length


async def test_viewers_at_once_each_begin_with_a_keyframe(server: RtspServer) -> None:
    paths = ["/door/main", "/door/main", "/door/sub"]
    watching = [asyncio.to_thread(_watch, _url(server, path), 40) for path in paths]
    for times, pictures in await asyncio.gather(*watching):
        assert times == sorted(set(times))
        assert len(pictures) >= 40


async def test_one_viewer_leaving_does_not_touch_the_other(server: RtspServer) -> None:
    long = asyncio.create_task(asyncio.to_thread(_watch, _url(server), 120))
    for _ in range(3):
        await asyncio.to_thread(_watch, _url(server), 5)
    times, _ = await long
    assert times == sorted(set(times))


async def test_a_wrong_password_is_refused(server: RtspServer) -> None:
    with pytest.raises(av.HTTPUnauthorizedError):
        await asyncio.to_thread(_watch, _url(server, password="wrong"), 1)
    with pytest.raises(av.HTTPUnauthorizedError):
        await asyncio.to_thread(_watch, server.url("/door/main"), 1)


async def test_an_unknown_path_is_not_found(server: RtspServer) -> None:
    with pytest.raises(av.HTTPNotFoundError):
        await asyncio.to_thread(_watch, _url(server, "/door/none"), 1)


@pytest.mark.faults
async def test_a_closed_server_refuses_and_comes_back_on_its_port(server: RtspServer) -> None:
    port = server.port
    watching = asyncio.create_task(asyncio.to_thread(_watch, _url(server), 10_000))
    await asyncio.to_thread(_watch, _url(server), 5)
    await server.close()
    with pytest.raises((AssertionError, av.FFmpegError)):
        await watching
    with pytest.raises(av.ConnectionRefusedError):
        await asyncio.to_thread(_watch, _url(server), 1)
    await server.start()
    assert server.port == port
    times, _ = await asyncio.to_thread(_watch, _url(server), 5)
    assert times


async def _talk(server: RtspServer, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.encode())
    try:
        return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    finally:
        writer.close()


async def test_requests_that_are_not_understood_are_answered(server: RtspServer) -> None:
    url = server.url("/door/main")
    assert "Public: OPTIONS" in await _talk(server, f"OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    answer = await _talk(server, f"RECORD {url} RTSP/1.0\r\nCSeq: 7\r\n\r\n")
    assert answer.startswith("RTSP/1.0 405 ")
    assert "CSeq: 7" in answer
    # RTCP of the viewer between requests is skipped.
    answer = await _talk(server, f"$\x01\x00\x04abcdOPTIONS {url} RTSP/1.0\r\nCSeq: 2\r\n\r\n")
    assert answer.startswith("RTSP/1.0 200 ")


@pytest.mark.parametrize(
    "nonsense", ["GET\r\n\r\n", "X" * 70_000, "a b c\r\nContent-Length: -1\r\n\r\n"]
)
async def test_nonsense_ends_only_its_own_connection(server: RtspServer, nonsense: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(nonsense.encode())
    writer.write_eof()
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    times, _ = await asyncio.to_thread(_watch, _url(server), 2)
    assert times


class _Audience:
    """A real connection whose other end counts nothing: what is sent shows in the viewer."""

    async def __aenter__(self) -> Viewer:
        self._over = asyncio.Event()
        self._server = await asyncio.start_server(self._swallow, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        _, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return Viewer(self._writer, 0, 1)

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()
        self._over.set()

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._over.wait()
        self._server.close()


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _payloads(clip: LoopedClip, number: int) -> list[tuple[bytes, bool]]:
    return list(rtp.payloads(clip, clip.unit(number)))


def _packets(clip: LoopedClip, frames: int) -> int:
    """Count the packets of the first `frames` frames."""
    return sum(len(_payloads(clip, number)) for number in range(frames))


async def test_frames_come_when_they_are_due_and_not_before(clip: LoopedClip) -> None:
    clock = ManualClock()
    broadcast = Broadcast(clip, began=0.0, clock=clock)
    async with _Audience() as viewer:
        broadcast.join(viewer)
        await _settle()
        assert viewer.packets == _packets(clip, 1)
        for number in range(1, len(clip.units) + 10):
            due = clip.due_ticks(number) / CLOCK_RATE
            clock.advance(due - clock.monotonic() - 0.0005)
            await _settle()
            assert viewer.packets == _packets(clip, number), "a frame came too soon"
            clock.advance(0.001)
            await _settle()
            assert viewer.packets == _packets(clip, number + 1), "a frame did not come"
        await broadcast.close()


async def test_a_stalled_stream_sends_nothing_and_goes_on_from_a_keyframe(
    clip: LoopedClip,
) -> None:
    clock = ManualClock()
    broadcast = Broadcast(clip, began=0.0, clock=clock)
    async with _Audience() as viewer:
        broadcast.join(viewer)
        await _settle()
        broadcast.stalled = True
        for _ in range(10):
            clock.advance(0.04)
            await _settle()
        assert viewer.packets == _packets(clip, 1)
        broadcast.stalled = False
        for _ in range(10):
            clock.advance(0.04)
            await _settle()
        # Frame 20 now; the next keyframe is number 25.
        assert viewer.packets == _packets(clip, 1)
        for _ in range(5):
            clock.advance(0.04001)
            await _settle()
        assert viewer.packets == _packets(clip, 1) + len(_payloads(clip, 25))
        await broadcast.close()


async def test_a_viewer_that_does_not_read_is_dropped(clip: LoopedClip) -> None:
    broadcast = Broadcast(clip, began=0.0, clock=SystemClock())

    async def never_read(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with await asyncio.start_server(never_read, "127.0.0.1", 0, limit=1024) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        viewer = Viewer(writer, 0, 1)
        writer.write(bytes(32 << 20))  # more than the sockets and the allowed backlog hold
        broadcast.join(viewer)
        while not writer.transport.is_closing():
            await asyncio.sleep(0.01)
        assert viewer.packets == 0
        await broadcast.close()
