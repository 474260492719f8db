"""Streams that are legal and unusual, from a real camera."""

import itertools
from pathlib import Path

import pytest

from camera_hub.live.channel import LiveChannel
from camera_hub.live.muxer import Fragment
from camera_hub.live.queue import ViewerQueue
from camera_hub.streams.reader import StreamReader
from camera_hub.streams.types import StreamSource
from core.clock import SystemClock
from core.ids import new_id
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units, write_units

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("name", "width", "height", "fps", "gop"),
    [
        ("five-a-second", 320, 240, 5.0, 40),
        ("odd-size", 318, 178, 25.0, 50),
        ("portrait", 180, 320, 60.0, 120),
    ],
)
async def test_an_unusual_stream_reaches_viewers_whole_and_has_a_snapshot(
    rtsp_server: RtspServer,
    tmp_path: Path,
    name: str,
    width: int,
    height: int,
    fps: float,
    gop: int,
) -> None:
    units = make_units(width=width, height=height, frames=gop, gop=gop)
    rtsp_server.mount(f"/{name}", write_units(tmp_path / "units.aus", units), fps=fps)
    source = StreamSource(
        new_id(), "sub", rtsp_server.url(f"/{name}"), rtsp_server.username, rtsp_server.password
    )
    channel = LiveChannel()
    reader = StreamReader(source, clock=SystemClock())
    reader.add_sink(channel)
    reader.start()
    try:
        picture = wait_until(lambda: channel.snapshot(0.2), what="a snapshot")
        assert (picture.width, picture.height) == (width, height)
        wait_until(lambda: reader.status().packets > 25)
        missed = channel.listen(lambda _item: None)
    finally:
        reader.stop(timeout=5)
    queue = ViewerQueue()
    for item in missed:
        queue.put(item)
    given = [item for item in await queue.get() if isinstance(item, Fragment)]
    assert given
    assert given[0].keyframe
    # Nothing of the group is left out, so that the newest picture can be decoded at once.
    assert given == [item for item in missed if isinstance(item, Fragment)]
    assert all(a.at <= b.at for a, b in itertools.pairwise(given))
