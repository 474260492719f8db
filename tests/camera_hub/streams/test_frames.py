"""Decoding cameras and files."""

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import av
import numpy as np
import pytest

from camera_hub.streams.frames import FrameDecoder, open_file
from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.reader import StreamReader
from camera_hub.streams.types import Frame, StreamInfo, StreamSource
from core.clock import ManualClock, SystemClock
from core.errors import InvalidInputError
from core.ids import new_id
from tests.support.media import RtspServer, wait_until
from tests.support.media_footage import make_units, packets_of


@pytest.fixture
def decoder() -> Iterator[FrameDecoder]:
    decoder = FrameDecoder(queue_limit=20)
    yield decoder
    decoder.stop()


def feed(decoder: FrameDecoder, units: list[bytes], start: int = 0) -> None:
    """Hand units to the decoder as if they had just arrived, 25 a second from `start`."""
    clock = SystemClock()
    for packet in packets_of(units, start):
        decoder.packet(packet, packet.pts / 90000, clock.now())


def info_of(units: list[bytes]) -> StreamInfo:
    packet = packets_of(units[:1])[0]
    return read_info("h264", parameter_sets("h264", units[0]), units[0], packet.time_base)


def test_the_newest_picture_and_no_older_one(decoder: FrameDecoder) -> None:
    units = make_units(frames=15)
    decoder.opened(info_of(units))
    feed(decoder, units)
    wait_until(lambda: decoder.decoded == 15)
    frame = decoder.get(1.0)
    assert frame is not None
    assert frame.arrived_monotonic == pytest.approx(14 / 25)
    assert frame.arrived_at.tzinfo is UTC
    assert decoder.get(0.01) is None, "a picture is given once"
    assert decoder.latest() is frame


def test_overload_skips_to_the_next_keyframe_and_is_counted(decoder: FrameDecoder) -> None:
    units = make_units(frames=100, gop=25)
    # Nothing is decoded before the stream is opened: the queue of 20 runs over.
    feed(decoder, units[:60])
    assert decoder.dropped >= 20
    dropped = decoder.dropped
    decoder.opened(info_of(units))
    feed(decoder, units[60:90], start=60)
    wait_until(lambda: decoder.decoded == 15)  # 75 to 89
    assert decoder.dropped >= dropped + 15
    assert decoder.errors == 0


def test_patrol_decodes_keyframes_and_wakes_with_what_came_since() -> None:
    decoder = FrameDecoder(keyframes_only=True, queue_limit=200)
    units = make_units(frames=70, gop=25)
    decoder.opened(info_of(units))
    feed(decoder, units[:60])
    wait_until(lambda: decoder.decoded == 3)
    decoder.keyframes_only = False
    feed(decoder, units[60:65], start=60)
    # The third group begins at 50: ten kept ones and the five new ones, and its keyframe again.
    wait_until(lambda: decoder.decoded == 3 + 15)
    frame = decoder.get(1.0)
    assert frame is not None
    assert frame.arrived_monotonic == pytest.approx(64 / 25)
    assert decoder.errors == 0
    decoder.stop()


def test_pictures_of_a_camera_in_the_forms_that_analytics_takes(
    rtsp_server: RtspServer, footage: Path, decoder: FrameDecoder
) -> None:
    rtsp_server.mount("/cam", footage)
    source = StreamSource(new_id(), "sub", rtsp_server.url("/cam"), rtsp_server.username,
                          rtsp_server.password)  # fmt: skip
    clock = SystemClock()
    reader = StreamReader(source, clock=clock)
    reader.add_sink(decoder)
    reader.start()
    frame = decoder.get(10.0)
    assert frame is not None
    assert (frame.width, frame.height) == (320, 240)
    assert 0 <= (clock.now() - frame.arrived_at).total_seconds() < 10
    luma, rgb = frame.luma(160, 120), frame.rgb(160, 120)
    assert (luma.shape, luma.dtype, rgb.shape, rgb.dtype) == (
        (120, 160), np.dtype(np.uint8), (120, 160, 3), np.dtype(np.uint8))  # fmt: skip
    assert abs(int(rgb[3, 3].mean()) - 96) < 12
    assert (rgb[50, :, 0].astype(int) - rgb[50, :, 2] > 100).sum() in range(15, 26)
    assert frame.jpeg()[:2] == b"\xff\xd8"
    reader.stop()
    assert decoder.latest() is None, "what is no longer must not be shown"


def test_a_file_gives_all_its_pictures(mp4_file: Path) -> None:
    clock = ManualClock()
    frames = list(open_file(mp4_file, clock=clock))
    assert len(frames) == 50
    assert all(isinstance(f, Frame) for f in frames)
    assert frames[0].arrived_at == clock.now()
    assert (frames[-1].arrived_at - frames[0].arrived_at).total_seconds() == pytest.approx(49 / 25)
    assert frames[7].luma(64, 48).shape == (48, 64)


def test_a_file_with_a_title_in_gbk_gives_its_pictures(tmp_path: Path, mp4_file: Path) -> None:
    titled = tmp_path / "titled.mp4"
    with av.open(str(mp4_file)) as old, av.open(str(titled), "w", format="mp4") as new:
        new.metadata["title"] = "@" * 8
        track = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                new.mux(packet)
    content = titled.read_bytes()
    assert content.count(b"@" * 8) == 1
    titled.write_bytes(content.replace(b"@" * 8, "小区北门".encode("gbk")))
    assert len(list(open_file(titled))) == 50


@pytest.mark.faults
@pytest.mark.parametrize(
    "content", [b"", b"just text\n" * 500, bytes(range(256)) * 64, "playlist", "half"]
)
def test_a_video_file_that_is_no_video(
    tmp_path: Path, mp4_file: Path, content: bytes | str
) -> None:
    path = tmp_path / "clip.mp4"
    if content == "playlist":
        # The library would follow it; nobody asked for another file to be opened.
        path.write_text(f"#EXTM3U\n#EXTINF:2,\n{mp4_file}\n#EXT-X-ENDLIST\n")
    elif content == "half":
        path.write_bytes(mp4_file.read_bytes()[:900])
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"clip\.mp4") as caught:
        list(open_file(path))
    assert caught.value.code == "not-a-video"
    assert caught.value.remedy


@pytest.mark.faults
def test_a_file_that_is_not_there_and_one_without_video(tmp_path: Path) -> None:
    import wave

    with pytest.raises(InvalidInputError, match="no file"):
        open_file(tmp_path / "nothing.mp4")
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x00\x00" * 8000)
    with pytest.raises(InvalidInputError, match=r"sound\.wav"):
        open_file(sound)
