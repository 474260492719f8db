"""Which profiles of a camera may be chosen."""

import pytest

from camera_hub.devices.found import check_chosen
from camera_hub.devices.types import ProbeResult, Profile
from core.errors import InvalidInputError


def profile(token: str, codec: str) -> Profile:
    return Profile(
        token=token,
        name=f"the {token} one",
        codec=codec,
        width=640,
        height=360,
        fps=25.0,
        bitrate_kbps=None,
        gop=None,
        stream_url=f"rtsp://10.0.0.5/{token}",
        snapshot_url="",
    )


FOUND = ProbeResult(
    device=None,
    clock_offset_s=None,
    profiles=(profile("a", "h264"), profile("b", "hevc"), profile("c", "jpeg"), profile("d", "")),
    main="a",
    sub="b",
    warnings=(),
)


def test_h264_and_h265_may_be_chosen_and_what_nobody_has_looked_at() -> None:
    check_chosen(FOUND, ("a", "b"))
    check_chosen(FOUND, (None, "d"))


@pytest.mark.parametrize(
    ("tokens", "code", "says"),
    [
        (("c", None), "profile-unusable", "JPEG"),
        (("a", "c"), "profile-unusable", "the c one"),
        (("x", None), "no-such-profile", "'x'"),
    ],
)
def test_what_can_neither_be_shown_nor_analysed_is_refused(
    tokens: tuple[str | None, ...], code: str, says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says) as refused:
        check_chosen(FOUND, tokens)
    assert refused.value.code == code
    assert refused.value.remedy
