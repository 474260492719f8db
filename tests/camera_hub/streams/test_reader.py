"""Every way in which a camera can fail, done to a real one."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from camera_hub.streams.reader import ReaderOptions, StreamReader
from camera_hub.streams.types import ReasonCode, StreamInfo, StreamSource, StreamState, StreamStatus
from core.clock import SystemClock
from core.ids import new_id
from core.logging import configure_logging
from tests.support.media import PASSWORD, RtspServer, wait_until
from tests.support.media_footage import make_units, nal_units
from tests.support.media_proxy import FaultProxy

pytestmark = pytest.mark.faults

OPTIONS = ReaderOptions(
    open_timeout_s=3.0,
    read_timeout_s=1.0,
    stall_after_s=1.0,
    backoff_first_s=0.1,
    backoff_max_s=0.5,
)


class Recorder:
    """A sink that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.infos: list[StreamInfo] = []
        self.packets: list[Any] = []
        self.first_after_open_is_keyframe: list[bool] = []
        self._fresh = False

    def opened(self, info: StreamInfo) -> None:
        self.events.append("opened")
        self.infos.append(info)
        self._fresh = True

    def packet(self, packet: Any, arrived_monotonic: float, arrived_at: datetime) -> None:
        if self._fresh:
            self.first_after_open_is_keyframe.append(packet.is_keyframe)
            self._fresh = False
            self.packets = []
        self.packets.append(packet)

    def closed(self) -> None:
        self.events.append("closed")


class Reading:
    """A reader with its sink and the states it went through."""

    def __init__(self, source: StreamSource, options: ReaderOptions) -> None:
        self.states: list[StreamStatus] = []
        self.sink = Recorder()
        self.reader = StreamReader(
            source, clock=SystemClock(), options=options, on_change=self.states.append
        )
        self.reader.add_sink(self.sink)
        self.reader.start()

    def until(self, state: StreamState, code: ReasonCode | None = None) -> StreamStatus:
        def reached() -> StreamStatus | None:
            status = self.reader.status()
            return status if status.state is state and code in (None, status.reason_code) else None

        found: StreamStatus = wait_until(reached, what=f"{state} {code}; {self.states}")
        return found


@pytest.fixture
def read() -> Iterator[Callable[..., Reading]]:
    """Begin to read; stopped at the end."""
    readings: list[Reading] = []

    def begin(
        server: RtspServer, path: str, *, port: int = 0, options: ReaderOptions = OPTIONS,
        **changes: Any,
    ) -> Reading:  # fmt: skip
        values = {"url": server.url(path, port=port), "username": server.username,
                  "password": server.password, **changes}  # fmt: skip
        readings.append(Reading(StreamSource(new_id(), "sub", **values), options))
        return readings[-1]

    yield begin
    for reading in readings:
        reading.reader.stop()


def assert_timeline(packets: list[Any]) -> None:
    """Check what every sink relies on."""
    dts = [p.dts for p in packets]
    assert all(b > a for a, b in itertools.pairwise(dts)), dts
    assert all(p.pts >= p.dts for p in packets)


def test_a_healthy_camera(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam")
    reading.until(StreamState.ONLINE)
    wait_until(lambda: len(reading.sink.packets) >= 60)
    status = reading.reader.status()
    assert (status.codec, status.width, status.height) == ("h264", 320, 240)
    assert status.packets >= 60
    assert status.keyframes >= 2
    assert status.fps == pytest.approx(25, abs=6)
    assert status.bitrate_kbps > 0
    assert status.last_frame_at is not None
    assert status.last_frame_at >= status.since
    assert status.reconnects == 0
    assert_timeline(reading.sink.packets)
    pictures = [
        [n for n in nal_units(bytes(p)) if n[0] & 31 in (1, 5)] for p in reading.sink.packets
    ]
    sent = [[n for n in nal_units(u) if n[0] & 31 in (1, 5)] for u in make_units()]
    start = sent.index(pictures[0])
    assert pictures == [sent[(start + i) % len(sent)] for i in range(len(pictures))]


def test_a_refused_connection_and_then_a_camera(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    rtsp_server.kill()
    reading = read(rtsp_server, "/cam")
    status = reading.until(StreamState.CONNECTING, ReasonCode.REFUSED)
    assert f"127.0.0.1:{rtsp_server.port}" in status.reason
    rtsp_server.start()
    reading.until(StreamState.ONLINE)


def test_a_wrong_password_is_corrected_at_run_time(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading],
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    configure_logging("debug")
    request.addfinalizer(structlog.reset_defaults)
    rtsp_server.mount("/cam", footage)
    # With the longest delay a minute long only `update` can bring the camera online in time.
    patient = ReaderOptions(backoff_first_s=60, backoff_max_s=60)
    wrong = "wr0ng:p@ss"
    reading = read(rtsp_server, "/cam", password=wrong, options=patient)
    reading.until(StreamState.UNAUTHORISED, ReasonCode.WRONG_CREDENTIALS)
    source = reading.reader.source
    reading.reader.update(
        StreamSource(source.camera_id, "sub", source.url, source.username, rtsp_server.password)
    )
    reading.until(StreamState.ONLINE)
    said = capsys.readouterr().err + repr(source) + "".join(repr(s) for s in reading.states)
    for secret in (wrong, PASSWORD, "wr0ng%3A", "p%40ss"):
        assert secret not in said


def test_a_password_changed_in_the_camera(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam")
    reading.until(StreamState.ONLINE)
    rtsp_server.set_password("another")
    rtsp_server.kick()
    reading.until(StreamState.UNAUTHORISED)
    rtsp_server.set_password(PASSWORD)
    reading.until(StreamState.ONLINE)


def test_a_path_that_is_not_there(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/other")
    reading.until(StreamState.NOT_FOUND, ReasonCode.NO_SUCH_STREAM)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("audio", ReasonCode.NOT_VIDEO), ("jpeg", ReasonCode.CODEC_UNSUPPORTED)],
)
def test_a_stream_that_cannot_be_used(
    rtsp_server: RtspServer, read: Callable[..., Reading], kind: str, code: ReasonCode
) -> None:
    rtsp_server.mount("/cam", kind=kind)
    reading = read(rtsp_server, "/cam")
    reading.until(StreamState.UNSUPPORTED, code)


def test_a_camera_that_stalls_for_ten_seconds(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam", port=fault_proxy.port)
    reading.until(StreamState.ONLINE)
    wait_until(lambda: reading.reader.status().packets >= 30)
    fault_proxy.stall()
    stalled = reading.until(StreamState.STALLED)
    # The watchdog says so before the media library does: it needs twice its timeout.
    assert stalled.last_frame_at is not None
    assert (stalled.since - stalled.last_frame_at).total_seconds() < 2 * OPTIONS.read_timeout_s
    threading.Event().wait(8.5)
    assert reading.reader.status().state is StreamState.STALLED
    fault_proxy.resume()
    reading.until(StreamState.ONLINE)
    assert all(reading.sink.first_after_open_is_keyframe)


def test_a_short_stall_needs_no_new_connection(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    options = ReaderOptions(read_timeout_s=10.0, stall_after_s=0.5)
    reading = read(rtsp_server, "/cam", port=fault_proxy.port, options=options)
    reading.until(StreamState.ONLINE)
    wait_until(lambda: reading.reader.status().packets >= 30)
    fault_proxy.stall()
    reading.until(StreamState.STALLED, ReasonCode.NO_DATA)
    fault_proxy.resume()
    reading.until(StreamState.ONLINE)
    assert reading.sink.events == ["opened"]


def test_a_reset_connection(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam", port=fault_proxy.port)
    reading.until(StreamState.ONLINE)
    fault_proxy.reset()
    wait_until(lambda: reading.sink.events[:3] == ["opened", "closed", "opened"])
    assert reading.until(StreamState.ONLINE).reconnects == 1
    codes = [s.reason_code for s in reading.states]
    assert codes == [ReasonCode.OK, ReasonCode.CLOSED_BY_CAMERA, ReasonCode.OK]


def test_a_camera_killed_and_restarted(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam")
    reading.until(StreamState.ONLINE)
    rtsp_server.kill()
    reading.until(StreamState.STALLED, ReasonCode.REFUSED)
    rtsp_server.start()
    reading.until(StreamState.ONLINE)
    assert all(reading.sink.first_after_open_is_keyframe)


def test_a_change_of_resolution_opens_the_sinks_anew(
    rtsp_server: RtspServer, footage: Path, footage_large: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam")
    wait_until(lambda: reading.sink.infos)
    rtsp_server.change_footage("/cam", footage_large)
    wait_until(lambda: len(reading.sink.infos) == 2)
    assert reading.sink.events == ["opened", "closed", "opened"]
    assert [(i.width, i.height) for i in reading.sink.infos] == [(320, 240), (640, 360)]
    assert reading.reader.status().width == 640
    wait_until(lambda: len(reading.sink.packets) >= 10)
    assert all(reading.sink.first_after_open_is_keyframe)


def test_another_address_opens_the_sinks_anew(
    rtsp_server: RtspServer, footage: Path, footage_large: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/small", footage)
    rtsp_server.mount("/large", footage_large)
    reading = read(rtsp_server, "/small")
    wait_until(lambda: len(reading.sink.packets) >= 5)
    reading.reader.update(replace(reading.reader.source, url=rtsp_server.url("/large")))
    wait_until(lambda: len(reading.sink.infos) == 2)
    assert reading.sink.events == ["opened", "closed", "opened"]
    assert [i.width for i in reading.sink.infos] == [320, 640]
    codes = [s.reason_code for s in reading.states]
    assert codes == [ReasonCode.OK, ReasonCode.STARTING, ReasonCode.OK]


def test_packets_lost_on_the_way(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    fault_proxy.loss = 0.1
    reading = read(rtsp_server, "/cam", port=fault_proxy.port)
    wait_until(lambda: fault_proxy.lost >= 5 and len(reading.sink.packets) >= 50)
    assert reading.reader.status().state is StreamState.ONLINE
    assert reading.reader.status().reconnects == 0
    assert_timeline(reading.sink.packets)


@pytest.mark.parametrize("jump_s", [-30.0, -0.5, 7200.0])
def test_a_camera_whose_clock_jumps(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading],
    jump_s: float,
) -> None:  # fmt: skip
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam", port=fault_proxy.port)
    wait_until(lambda: len(reading.sink.packets) >= 10)
    before = reading.sink.packets[-1].dts
    keyframes = reading.reader.status().keyframes
    fault_proxy.shift_s = jump_s
    wait_until(lambda: reading.reader.status().keyframes >= keyframes + 3)
    assert reading.sink.events == ["opened"]
    assert_timeline(reading.sink.packets)
    # Three keyframes are hardly more than a second: the jump must not be in the timeline.
    assert 0 < reading.sink.packets[-1].dts - before < 10 * 90000


def test_a_camera_whose_clock_stands_still(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server, "/cam", port=fault_proxy.port)
    wait_until(lambda: len(reading.sink.packets) >= 10)
    fault_proxy.freeze = True
    count = len(reading.sink.packets)
    wait_until(lambda: len(reading.sink.packets) >= count + 50)
    fault_proxy.freeze = False
    count = len(reading.sink.packets)
    wait_until(lambda: len(reading.sink.packets) >= count + 10)
    assert_timeline(reading.sink.packets)
    assert reading.sink.events == ["opened"]


class OddPort:
    """A port with something else behind it than a camera; `answer` None stays silent."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._answer is None:
                self._kept.append(connection)
                continue
            if not self._answer:
                connection.close()
                continue
            self._kept.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(4096):
                connection.sendall(self._answer or b"")

    def close(self) -> None:
        self._listener.close()
        for connection in self._kept:
            connection.close()


UNKNOWN_DIGEST = (
    b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="camera", '
    b'nonce="1234", algorithm=SHA3-512, qop="auth"\r\n\r\n'
)


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        (None, StreamState.CONNECTING, ReasonCode.TIMEOUT),
        (b"", StreamState.CONNECTING, ReasonCode.CLOSED_BY_CAMERA),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", StreamState.UNSUPPORTED, ReasonCode.NOT_VIDEO),
        (UNKNOWN_DIGEST, StreamState.UNSUPPORTED, ReasonCode.DIGEST_UNSUPPORTED),
        (b"RTSP/1.0 503 Busy\r\nCSeq: 1\r\n\r\n", StreamState.CONNECTING, ReasonCode.ERROR),
    ],
)
def test_a_port_with_something_else_behind_it(
    rtsp_server: RtspServer, read: Callable[..., Reading],
    answer: bytes | None, state: StreamState, code: ReasonCode,
) -> None:  # fmt: skip
    port = OddPort(answer)
    options = ReaderOptions(open_timeout_s=0.7, read_timeout_s=0.5, backoff_max_s=0.2)
    reading = read(rtsp_server, "/cam", port=port.port, options=options)
    reading.until(state, code)
    port.close()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "concat:/etc/passwd", "rtsp://u:p@127.0.0.1/a", "rtsp:///a", ""]
)
def test_an_address_that_is_no_stream_is_never_opened(
    rtsp_server: RtspServer, read: Callable[..., Reading], url: str
) -> None:
    reading = read(rtsp_server, "/cam", url=url)
    reading.until(StreamState.NOT_FOUND, ReasonCode.ERROR)
    if url:
        assert url not in reading.reader.status().reason


def test_stopping_closes_the_sinks_even_during_a_stall(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    options = ReaderOptions(read_timeout_s=3.0)
    reading = read(rtsp_server, "/cam", port=fault_proxy.port, options=options)
    wait_until(lambda: reading.sink.packets)
    fault_proxy.stall()
    reading.reader.stop()
    assert reading.sink.events == ["opened", "closed"]
    fault_proxy.resume()
    wait_until(lambda: not any(t.name.startswith("read-") for t in threading.enumerate()))
    assert reading.sink.events == ["opened", "closed"]


def test_many_cameras_in_one_process_need_little_memory(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    process = psutil.Process()

    def more(count: int) -> float:
        for reading in [read(rtsp_server, "/cam") for _ in range(count)]:
            reading.until(StreamState.ONLINE)
            wait_until(lambda: len(reading.sink.packets) >= 5)  # noqa: B023 - called at once
        return process.memory_info().rss / 2**20

    before = more(2)
    assert (more(12) - before) / 12 < 4.0, "MB per further camera"
