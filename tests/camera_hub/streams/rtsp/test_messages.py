"""Messages and descriptions: what is read, and what is refused."""

import pytest

from camera_hub.streams.rtsp.messages import (
    MAX_HEAD,
    ProtocolError,
    read_message,
    write_request,
)
from camera_hub.streams.rtsp.sdp import read_description, resolve


def test_a_message_is_read_once_it_is_whole() -> None:
    whole = b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: a;timeout=5\r\nContent-Length: 4\r\n\r\nbody"
    for cut in range(len(whole)):
        assert read_message(whole[:cut]) is None
    read = read_message(b"xx" + whole + b"$", 2)
    assert read is not None
    message, end = read
    assert (message.status, message.sequence, message.body, end) == (
        200,
        7,
        b"body",
        2 + len(whole),
    )
    assert message.get("session") == "a;timeout=5"


def test_lines_may_end_in_a_bare_line_feed_and_a_camera_may_ask_too() -> None:
    read = read_message(b"OPTIONS rtsp://x/ RTSP/1.0\nCSeq: 3\n\n")
    assert read is not None
    assert (read[0].method, read[0].status, read[0].sequence) == ("OPTIONS", 0, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"RTSP/1.0 abc\r\n\r\n",
        b"\x00\x01\x02\x03",
        b"hello world, this is no camera\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -4\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 200000\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD,
        b"RTSP/1.0 200 " + b"O" * MAX_HEAD,
        "RTSP/1.0 ²00 OK\r\n\r\n".encode(),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_message(data)


def test_a_challenge_cannot_add_lines_to_a_request() -> None:
    read = read_message(b'RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm="a\rX: y"\r\n\r\n')
    assert read is not None
    assert all(value.isprintable() for _, value in read[0].headers)
    text = write_request("PLAY", "rtsp://c/", 1, (("Session", "s"), ("Empty", "")))
    assert (
        text
        == b"PLAY rtsp://c/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: Camera Hub\r\nSession: s\r\n\r\n"
    )


_SDP = """v=0
o=- 0 0 IN IP4 0.0.0.0
s=x
a=control:*
m=audio 0 RTP/AVP 8
a=control:track0
m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
a=control:track2
m=video 0 RTP/AVP 26
a=control:track3
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; profile-level-id=42E01E; sprop-parameter-sets=Z0LgHtoCgPRA,aM48gA==
a=control:rtsp://192.168.0.9:554/cam/track1
"""


def test_the_first_video_that_can_be_read_is_taken() -> None:
    description = read_description(_SDP.encode())
    track = description.video
    assert track is not None
    assert (track.codec, track.payload_type, track.clock_rate) == ("h264", 96, 90000)
    assert [unit[0] & 31 for unit in track.parameter_sets] == [7, 8]
    assert not track.interleaved_units
    assert description.control == "*"


def test_sets_of_h265_and_units_out_of_order() -> None:
    body = (
        "m=video 0 RTP/AVP 97\na=rtpmap:97 h265/90000\n"
        "a=fmtp:97 sprop-pps=RAHA; sprop-vps=QAEM; sprop-sps=QgEB; sprop-max-don-diff=2\n"
    )
    track = read_description(body.encode()).video
    assert track is not None
    assert [unit[0] >> 1 for unit in track.parameter_sets] == [32, 33, 34]
    assert track.codec == "hevc"
    assert track.interleaved_units


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"m=\na=control\n", b"m=audio 0 RTP/AVP 8\n", b"a=rtpmap:96 H264/90000\n"],
)
def test_a_description_without_video(body: bytes) -> None:
    assert read_description(body).video is None


def test_a_video_of_another_kind_is_named() -> None:
    static = read_description(b"m=video 0 RTP/AVP 26\n").video
    assert static is not None
    assert (static.codec, static.encoding) == (None, "Motion JPEG")
    broken = read_description(
        b"m=video 0 RTP/AVP x 96\na=rtpmap:96 H264/0\na=fmtp:96 sprop-parameter-sets=*,!!\n"
    ).video
    assert broken is not None
    assert (broken.codec, broken.clock_rate, broken.parameter_sets) == ("h264", 90000, ())


@pytest.mark.parametrize(
    ("base", "control", "expected"),
    [
        ("rtsp://h:1/cam", "*", "rtsp://h:1/cam"),
        ("rtsp://h:1/cam", "track1", "rtsp://h:1/cam/track1"),
        ("rtsp://h:1/cam/", "track1", "rtsp://h:1/cam/track1"),
        ("rtsp://h:1/cam?a=1", "track1", "rtsp://h:1/cam?a=1/track1"),
        ("rtsp://h:1/cam", "rtsp://10.0.0.9/other/t1?x=2", "rtsp://h:1/other/t1?x=2"),
        ("rtsp://[::1]:1/cam", "RTSP://evil:99/t", "rtsp://[::1]:1/t"),
    ],
)
def test_a_control_address_stays_on_the_host_that_was_entered(
    base: str, control: str, expected: str
) -> None:
    assert resolve(base, control) == expected


@pytest.mark.parametrize("control", ["a b", "a\r\nX: y", "x" * 3000])
def test_a_control_address_cannot_change_a_request(control: str) -> None:
    with pytest.raises(ValueError, match="control"):
        resolve("rtsp://h/cam", control)
