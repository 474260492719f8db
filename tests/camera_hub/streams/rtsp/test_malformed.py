"""What a camera sends wrongly in ways that fuzzing found; each was once a fault."""

import pytest

from camera_hub.streams.rtsp.depacketizer import H264
from camera_hub.streams.rtsp.sdp import read_description

MANY_DIGITS = "9" * 5000
"""More than Python makes a number of."""


@pytest.mark.parametrize("number", [MANY_DIGITS, "0" * 5000, "128", "-1", "٣"])
def test_a_format_with_an_impossible_number_is_left_out(number: str) -> None:
    body = f"m=video 0 RTP/AVP {number} 96\na=rtpmap:96 H264/90000\n"
    video = read_description(body.encode()).video
    assert video is not None
    assert video.payload_type == 96


@pytest.mark.parametrize("rate", [MANY_DIGITS, "000000000001" + "9" * 20, "0", "10000001", "٣"])
def test_an_impossible_clock_rate_is_the_usual_one(rate: str) -> None:
    body = f"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/{rate}\n"
    video = read_description(body.encode()).video
    assert video is not None
    assert video.clock_rate == 90_000


@pytest.mark.parametrize(
    "message",
    [
        b"\x06\xff\xff\xff",
        b"\x06\x05\xff\xff",
        b"\x06\x05\xff\xff\x80",
        b"\x06\xff\xff\xff\xff\xff",
    ],
)
def test_a_message_that_ends_within_its_size_is_no_recovery_point(message: bytes) -> None:
    taker = H264()
    taker.packet(message, 0, len(message), 0, marker=False)
    taker.packet(b"\x41\x80\x01", 0, 3, 0, marker=True)
    (unit,) = taker.units
    assert not unit.keyframe


def test_a_recovery_point_behind_a_long_message_is_found() -> None:
    message = b"\x06\x05\xff\x01" + bytes(256) + b"\x06\x01\x90\x80"
    taker = H264()
    taker.packet(message, 0, len(message), 0, marker=False)
    taker.packet(b"\x41\x80\x01", 0, 3, 0, marker=True)
    (unit,) = taker.units
    assert unit.keyframe
