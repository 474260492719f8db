"""Our own client against cameras: Debian's server, the simulator's, and one of every oddity."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from camera_hub.streams.parameters import nal_units
from camera_hub.streams.reader import ReaderOptions
from camera_hub.streams.rtsp.poller import shared_poller
from camera_hub.streams.types import ReasonCode, StreamSource, StreamState, Transport
from core.clock import SystemClock
from core.ids import new_id
from tests.camera_hub.streams.rtsp.test_ordering import encoded
from tests.camera_hub.streams.test_reader import OPTIONS, Reading, assert_timeline
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units, write_units
from tests.support.media_proxy import FaultProxy
from tests.support.odd_camera import OddCamera, Oddities

pytestmark = pytest.mark.faults


@pytest.fixture
def read() -> Iterator[Callable[..., Reading]]:
    """Begin to read an address; stopped at the end."""
    readings: list[Reading] = []

    def begin(
        url: str, username: str = "", password: str = "", *, options: ReaderOptions = OPTIONS,
        transport: Transport = "tcp",
    ) -> Reading:  # fmt: skip
        source = StreamSource(new_id(), "sub", url, username, password, transport)
        readings.append(Reading(source, options))
        return readings[-1]

    yield begin
    for reading in readings:
        reading.reader.stop()


@pytest.fixture
def odd() -> Iterator[Callable[..., OddCamera]]:
    """Make a camera with oddities; hung up at the end."""
    cameras: list[OddCamera] = []

    def make(units: list[bytes] | None = None, **oddities: Any) -> OddCamera:
        account = {k: oddities.pop(k) for k in ("username", "password") if k in oddities}
        cameras.append(OddCamera(units or UNITS, Oddities(**oddities), **account))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()


UNITS = make_units(frames=20, gop=10)


def slices(data: bytes, kinds: tuple[int, ...] = (1, 5)) -> list[bytes]:
    return [nal for nal in nal_units(data) if nal[0] & 31 in kinds]


def assert_whole(packets: list[Any], units: list[bytes]) -> None:
    """Check that the pictures are those that were sent, none left out."""
    sent = [slices(unit) for unit in units]
    given = [slices(bytes(packet)) for packet in packets]
    start = sent.index(given[0])
    assert given == [sent[(start + i) % len(sent)] for i in range(len(given))]
    assert_timeline(packets)


def use_of(camera: OddCamera, reading: Reading, packets: int = 30) -> list[Any]:
    """Wait for that many packets of one connection and return them."""
    wait_until(lambda: len(reading.sink.packets) >= packets, what=f"packets; {reading.states}")
    return list(reading.sink.packets)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_nothing_is_said_that_need_not_be(
    odd: Callable[..., OddCamera], read: Callable[..., Reading], codec: str
) -> None:
    units = make_units(codec=codec, frames=20, gop=10)
    camera = odd(units, codec=codec)
    reading = read(camera.url)
    packets = use_of(camera, reading, 45)
    assert camera.methods() == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
    # The audio beside the video is never set up.
    assert [uri for method, uri, _ in camera.requests if method == "SETUP"] == [
        camera.url + "/track1"
    ]
    assert [p.is_keyframe for p in packets] == [i % 10 == 0 for i in range(len(packets))]
    assert_timeline(packets)
    # The RTP time passes 2^32 on the way: the steps stay those of the pictures.
    assert {b.pts - a.pts for a, b in itertools.pairwise(packets)} == {3600}
    reading.reader.stop()
    wait_until(lambda: camera.methods()[-1] == "TEARDOWN")
    assert camera.requests[-1][2]["session"] == "12345"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_digest_is_answered_and_a_nonce_that_expires_too(
    odd: Callable[..., OddCamera], read: Callable[..., Reading], algorithm: str
) -> None:
    def expire(camera: OddCamera, method: str) -> None:
        if method == "SETUP" and camera.methods().count("SETUP") == 1:
            camera.renew_nonce(stale=True)

    camera = odd(
        algorithm=algorithm, username="u", password="p:ä", before=expire, timeout=";timeout=1"
    )
    reading = read(camera.url, "u", "p:ä")
    use_of(camera, reading)
    assert camera.methods().count("SETUP") == 2
    # The keep-alive is a request like any other: its nonce may have expired.
    camera.renew_nonce(stale=False)
    count = camera.methods().count("GET_PARAMETER")
    wait_until(lambda: camera.methods().count("GET_PARAMETER") >= count + 3)
    assert reading.sink.events == ["opened"]


def test_a_wrong_password_is_sent_once_and_never_in_clear(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    camera = odd(algorithm="SHA-256", username="u", password="right")
    reading = read(camera.url, "u", "wrong", options=replace(OPTIONS, backoff_max_s=60))
    reading.until(StreamState.UNAUTHORISED, ReasonCode.WRONG_CREDENTIALS)
    said = [headers.get("authorization", "") for _, _, headers in camera.requests]
    assert [bool(text) for text in said] == [False, True]
    assert not any("wrong" in str(request) for request in camera.requests)


@pytest.mark.parametrize("methods", ["OPTIONS, DESCRIBE, SETUP, PLAY", "GET_PARAMETER"])
def test_a_session_of_a_second_is_kept(
    odd: Callable[..., OddCamera], read: Callable[..., Reading], methods: str
) -> None:
    # What offers GET_PARAMETER here refuses it: the session is then kept with OPTIONS.
    refusal = {"GET_PARAMETER": "RTSP/1.0 405 Method Not Allowed\r\nCSeq: {cseq}\r\n\r\n"}
    camera = odd(timeout=";timeout=1", silent_after_s=1.2, methods=methods, answers=refusal)
    reading = read(camera.url)
    wait_until(lambda: len(camera.requests) >= 4 + 4)
    assert reading.sink.events == ["opened"]
    assert reading.reader.status().reconnects == 0
    assert camera.methods()[-1] == "OPTIONS"
    assert "GET_PARAMETER" not in camera.methods()[-3:]


def test_a_session_that_the_camera_forgot_is_begun_anew(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    camera = odd(timeout=";timeout=1")
    reading = read(camera.url)
    use_of(camera, reading)
    stale = "RTSP/1.0 454 Session Not Found\r\nCSeq: {cseq}\r\n\r\n"
    camera.odd.answers["GET_PARAMETER"] = stale
    wait_until(lambda: reading.sink.events[:3] == ["opened", "closed", "opened"])
    assert ReasonCode.CLOSED_BY_CAMERA in [s.reason_code for s in reading.states]


_OK, _SESSION = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n", "Session: 9\r\n\r\n"


@pytest.mark.parametrize(
    "oddities",
    [
        {"control": "rtsp://192.0.2.9:8554/elsewhere/t1", "base": "rtsp://192.0.2.9:8554/cam/"},
        {"sets_in_description": False},
        {"early": True},
        {"channels": "6-7"},
        {"between": b"\r\n\r\n"},
        {"between": b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 9\r\n\r\n"},
        {"between": b"$\x09\x00\x04abcd" + b"$\x00\x00\x03abc" + b"$\x01\x00\x00"},
        {"between": b"$\x01\x00\x08\x80\xc8\xff\xff\x00\x00\x00\x00"},
        {"between": b"RTSP/1.0 200 OK\r\nCSeq: 77\r\nContent-Length: 5\r\n\r\nhello"},
        {"between": b"\x00\xff rubbish $ \x00"},
        {"answers": {"SETUP": f"{_OK}Transport: RTP/AVP;unicast;interleaved=0-1\r\n{_SESSION}"}},
        {"answers": {"SETUP": f"{_OK}{_SESSION}"}},
        {"answers": {"OPTIONS": "RTSP/1.0 501 Not Implemented\r\nCSeq: 5\r\n\r\n"}},
        {"timeout": ""},
        {"timeout": "; timeout = 30"},
    ],
    ids=lambda o: next(iter(o)),
)
def test_oddities_that_cost_no_picture(
    odd: Callable[..., OddCamera], read: Callable[..., Reading], oddities: dict[str, Any]
) -> None:
    camera = odd(**oddities)
    reading = read(camera.url)
    assert_whole(use_of(camera, reading), UNITS)
    assert reading.reader.status().reconnects == 0
    hosts = {uri.split("/")[2] for _, uri, _ in camera.requests if uri.startswith("rtsp")}
    assert hosts == {f"127.0.0.1:{camera.port}"}


def test_keyframes_without_parameter_sets_get_those_of_the_description(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    bare = [b"".join(b"\0\0\0\1" + nal for nal in slices(unit)) for unit in UNITS]
    camera = odd([UNITS[0], *bare])
    reading = read(camera.url)
    packets = use_of(camera, reading, 50)
    for packet in packets:
        sets = slices(bytes(packet), (7, 8))
        assert len(sets) == (2 if packet.is_keyframe else 0)


@pytest.mark.parametrize(
    ("method", "answer", "state", "code"),
    [
        ("DESCRIBE", "302 Moved\r\nLocation: rtsp://192.0.2.1/x", None, ReasonCode.ERROR),
        ("DESCRIBE", "403 Forbidden", StreamState.UNAUTHORISED, ReasonCode.WRONG_CREDENTIALS),
        ("SETUP", "404 Not Found", StreamState.NOT_FOUND, ReasonCode.NO_SUCH_STREAM),
        ("SETUP", "200 OK", StreamState.UNSUPPORTED, ReasonCode.NOT_VIDEO),
        ("PLAY", "500 Oops", None, ReasonCode.ERROR),
        ("OPTIONS", "200 OK\r\nContent-Length: -1", StreamState.UNSUPPORTED, ReasonCode.NOT_VIDEO),
        ("OPTIONS", "200 " + "O" * 40000, StreamState.UNSUPPORTED, ReasonCode.NOT_VIDEO),
        (
            "SETUP", "200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;interleaved=900-901",
            StreamState.UNSUPPORTED, ReasonCode.NOT_VIDEO,
        ),
        ("DESCRIBE", "401 No\r\nWWW-Authenticate: Digest realm=x, nonce=y",
         StreamState.UNAUTHORISED, ReasonCode.WRONG_CREDENTIALS),
    ],
)  # fmt: skip
def test_an_answer_that_is_a_refusal(
    odd: Callable[..., OddCamera], read: Callable[..., Reading],
    method: str, answer: str, state: StreamState | None, code: ReasonCode,
) -> None:  # fmt: skip
    camera = odd(answers={method: f"RTSP/1.0 {answer}\r\nCSeq: {{cseq}}\r\n\r\n"})
    reading = read(camera.url)
    status = reading.until(state or StreamState.CONNECTING, code)
    assert status.reason.count(". ") >= 1
    assert "192.0.2" not in status.reason


def test_b_frames_come_with_rising_decoding_times(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    units, shown = encoded(50, 2)
    camera = odd(units, times=shown)
    reading = read(camera.url)
    packets = use_of(camera, reading, 45)
    assert_timeline(packets)
    assert reading.sink.infos[0].reorder >= 1
    assert any(p.pts - p.dts > 3600 for p in packets)
    times = sorted(p.pts for p in packets)
    assert {b - a for a, b in itertools.pairwise(times[2:-4])} == {3600}


def test_b_frames_of_a_real_encoder(rtsp_server: RtspServer, read: Callable[..., Reading]) -> None:
    rtsp_server.mount("/b", kind="b_frames")
    reading = read(rtsp_server.url("/b"), rtsp_server.username, rtsp_server.password)
    wait_until(lambda: len(reading.sink.packets) >= 12)
    packets = list(reading.sink.packets)
    assert_timeline(packets)
    assert any(b.pts < a.pts for a, b in itertools.pairwise(packets))


def test_audio_before_the_video_changes_nothing(
    rtsp_server: RtspServer, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/av", kind="audio_first")
    reading = read(rtsp_server.url("/av"), rtsp_server.username, rtsp_server.password)
    wait_until(lambda: len(reading.sink.packets) >= 30)
    assert_timeline(reading.sink.packets)
    assert reading.reader.status().width == 160


def test_a_camera_that_only_sends_datagrams_is_read_all_the_same(
    rtsp_server: RtspServer, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/udp", kind="datagrams")
    reading = read(rtsp_server.url("/udp"), rtsp_server.username, rtsp_server.password)
    status = reading.until(StreamState.ONLINE)
    assert "UDP" in status.reason
    wait_until(lambda: len(reading.sink.packets) >= 10)
    asked = read(
        rtsp_server.url("/udp"), rtsp_server.username, rtsp_server.password, transport="udp"
    )
    assert "UDP" not in asked.until(StreamState.ONLINE).reason


def test_a_source_changed_to_datagrams_is_read_anew(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server.url("/cam"), rtsp_server.username, rtsp_server.password)
    wait_until(lambda: reading.sink.packets)
    reading.reader.update(replace(reading.reader.source, transport="udp"))
    wait_until(lambda: reading.sink.events == ["opened", "closed", "opened"])


def test_lost_packets_cost_pictures_and_never_break_one(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage, fps=100)
    fault_proxy.loss = 0.05
    url = rtsp_server.url("/cam", port=fault_proxy.port)
    reading = read(url, rtsp_server.username, rtsp_server.password)
    wait_until(lambda: fault_proxy.lost >= 5 and len(reading.sink.packets) >= 60)
    sent = [slices(unit) for unit in make_units()]
    assert all(slices(bytes(packet)) in sent for packet in reading.sink.packets)
    connection = reading.reader._connection
    assert connection is not None
    assert 0 < connection.lost <= fault_proxy.lost
    assert reading.sink.events == ["opened"]


def test_a_network_that_is_too_slow_is_survived(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage, fps=100)
    url = rtsp_server.url("/cam", port=fault_proxy.port)
    reading = read(url, rtsp_server.username, rtsp_server.password)
    reading.until(StreamState.ONLINE)
    fault_proxy.bytes_per_s = 6000
    count = reading.reader.status().packets
    wait_until(lambda: reading.reader.status().packets >= count + 10)
    fault_proxy.bytes_per_s = 0
    count = reading.reader.status().packets
    wait_until(lambda: reading.reader.status().packets >= count + 40)
    assert reading.sink.events == ["opened"]
    assert_whole(reading.sink.packets, make_units())


def test_another_codec_after_a_restart(
    rtsp_server: RtspServer, footage: Path, tmp_path: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server.url("/cam"), rtsp_server.username, rtsp_server.password)
    wait_until(lambda: reading.sink.infos)
    other = write_units(tmp_path / "h265.aus", make_units(codec="hevc", frames=20))
    rtsp_server.mount("/cam", other, codec="h265")
    rtsp_server.kick()
    wait_until(lambda: len(reading.sink.infos) == 2)
    assert [i.codec for i in reading.sink.infos] == ["h264", "hevc"]


def test_another_codec_on_the_same_connection_is_noticed(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    camera = odd(make_units(frames=60, gop=60), pace_s=0.005)
    reading = read(camera.url)
    use_of(camera, reading, 10)
    camera.odd.codec, camera.units = "hevc", make_units(codec="hevc", frames=60, gop=60)
    wait_until(lambda: [i.codec for i in reading.sink.infos] == ["h264", "hevc"])


def test_keyframes_ten_seconds_apart(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    units = make_units(frames=250, gop=250)
    camera = odd(units, pace_s=0.004)
    reading = read(camera.url)
    packets = use_of(camera, reading, 260)
    assert [i for i, p in enumerate(packets) if p.is_keyframe] == [0, 250]
    assert_whole(packets, units)


def test_stopping_waits_for_nothing_and_says_farewell(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    def readers() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name.startswith("read-")]

    camera = odd()
    wait_until(lambda: not readers())
    silent = odd(before=lambda *_: threading.Event().wait(30))
    reading, waiting = read(camera.url), read(silent.url)
    use_of(camera, reading)
    wait_until(lambda: silent.requests)
    reading.reader.stop()
    waiting.reader.stop(5)
    assert not readers()
    assert reading.sink.events == ["opened", "closed"]
    wait_until(lambda: "TEARDOWN" in camera.methods())
    known = shared_poller()._connections
    wait_until(lambda: not known)


def test_what_the_camera_calls_the_time(
    rtsp_server: RtspServer, footage: Path, read: Callable[..., Reading]
) -> None:
    rtsp_server.mount("/cam", footage)
    reading = read(rtsp_server.url("/cam"), rtsp_server.username, rtsp_server.password)
    wait_until(lambda: reading.sink.packets)
    reader = reading.reader
    wait_until(lambda: reader.camera_time(reading.sink.packets[-1].pts))
    packets = reading.sink.packets
    first, last = packets[0].pts, packets[-1].pts
    begun, now = reader.camera_time(first), reader.camera_time(last)
    assert begun is not None
    assert now is not None
    assert abs(now - SystemClock().now()) < timedelta(seconds=5)
    assert (now - begun).total_seconds() == pytest.approx((last - first) / 90000)


def test_forty_cameras_are_read_by_one_thread(
    odd: Callable[..., OddCamera], read: Callable[..., Reading]
) -> None:
    camera = odd(pace_s=0.04)
    readings = [read(camera.url) for _ in range(40)]
    for reading in readings:
        wait_until(lambda r=reading: len(r.sink.packets) >= 20)  # type: ignore[misc]
    names = [t.name for t in threading.enumerate()]
    assert names.count("poll") == 1
    assert not [n for n in names if n.startswith("read-")]
    for reading in readings:
        assert_timeline(reading.sink.packets)


def test_a_sink_that_fails_ends_its_own_camera_only(
    odd: Callable[..., OddCamera], read: Callable[..., Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = odd()
    good, bad = read(camera.url), read(camera.url)
    use_of(camera, good)
    wait_until(lambda: bad.sink.packets)

    def fail(*_: Any) -> None:
        raise RuntimeError("of the test")

    monkeypatch.setattr(bad.sink, "packet", fail)
    wait_until(lambda: bad.sink.events.count("opened") >= 2)
    assert ReasonCode.ERROR in [s.reason_code for s in bad.states]
    count = len(good.sink.packets)
    wait_until(lambda: len(good.sink.packets) > count + 10)
    assert good.sink.events == ["opened"]
