"""What a recorder writes: every picture once, in files that begin with a keyframe."""

import itertools
import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from camera_hub.recording.format import (
    Scan,
)
from camera_hub.recording.marks import LATE
from camera_hub.recording.scanning import (
    scan,
)
from camera_hub.streams.parameters import Codec, parameter_sets, read_info
from core.clock import ManualClock
from tests.camera_hub.recording.footage_feed import (
    START,
    Rig,
    disk_at,
    info_of,
    packet,
    stored,
    units_of,
)
from tests.support.media import wait_until

Make = Callable[..., Rig]


def files_of(rig: Rig) -> list[Path]:
    """Return the closed files in the order of their numbers."""
    paths = [disk.path / r.path for disk in rig.disks for r in rig.records if r.disk == disk.name]
    return sorted(paths, key=lambda path: int(path.name.split("-")[1]))


def samples_of(path: Path, found: Scan) -> list[bytes]:
    """Return the samples of a file, read by the boxes' own numbers."""
    data = path.read_bytes()
    samples: list[bytes] = []
    for part in found.parts:
        trun = data.index(b"trun", part.offset)
        count = int.from_bytes(data[trun + 8 : trun + 12], "big")
        at = data.index(b"mdat", trun) + 4
        for number in range(count):
            size = int.from_bytes(data[trun + 20 + 16 * number :][:4], "big")
            samples.append(data[at : at + size])
            at += size
    return samples


def probed(path: Path) -> dict[str, Any]:
    """Return what ffprobe says of a file; fail if it says anything on stderr."""
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_streams", "-of", "json"]
    run = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    stream: dict[str, Any] = json.loads(run.stdout)["streams"][0]
    return stream


def test_every_picture_is_in_one_file_and_each_file_begins_with_a_keyframe(rig_of: Make) -> None:
    rig = rig_of()
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(800)
    rig.recorder.closed()
    rig.settle()

    files = files_of(rig)
    scans = [scan(path) for path in files]
    assert [len(s.keyframes) for s in scans] == [10, 10, 10, 2]
    written = [
        sample for path, s in zip(files, scans, strict=True) for sample in samples_of(path, s)
    ]
    assert written == [stored(units_of()[n % 250]) for n in range(800)]
    assert all(s.closed and all(p.keyframe for p in s.parts) for s in scans)
    assert [s.header.sequence for s in scans] == [1, 2, 3, 4]
    assert [s.header.clock for s in scans] == ["steady"] * 4
    assert scans[0].header.started_at == START
    assert scans[-1].ends_at - START == timedelta(seconds=32)
    for before, after in itertools.pairwise(scans):
        assert before.ends_at == after.header.started_at
    assert files[0].relative_to(files[0].parents[1]).as_posix() == "2026-03-01/115930-1-sub.mp4"
    for record, path in zip(rig.records, files, strict=True):
        assert (record.bytes, record.ends_at) == (path.stat().st_size, scan(path).ends_at)
    assert probed(files[0])["nb_read_frames"] == "250"


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_player_counts_all_pictures(rig_of: Make, codec: Codec) -> None:
    rig = rig_of()
    rig.recorder.opened(info_of(codec))
    rig.recorder.wish("always", 5)
    rig.feed(100, make=lambda n: packet(n, codec))
    rig.recorder.closed()
    rig.settle()
    stream = probed(files_of(rig)[0])
    assert (stream["codec_name"], stream["nb_read_frames"]) == (codec, "100")


def test_pictures_out_of_order_keep_their_order_of_showing(rig_of: Make) -> None:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.max_b_frames = 2
    encoder.options = {"x264-params": "keyint=25:scenecut=0:repeat-headers=1:bframes=2:b-adapt=0"}
    made: list[av.Packet[Any]] = []
    for number in range(75):
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([number * 3]) * plane.buffer_size)
        frame.pts = number
        made += encoder.encode(frame)
    made += encoder.encode(None)
    least = made[0].dts or 0
    for one in made:
        assert one.pts is not None
        assert one.dts is not None
        one.pts, one.dts = (one.pts - least) * 3600, (one.dts - least) * 3600

    first = bytes(made[0])
    info = read_info("h264", parameter_sets("h264", first), first, info_of().time_base)
    rig = rig_of()
    rig.recorder.opened(info)
    rig.recorder.wish("always", 5)
    rig.feed(75, make=lambda n: made[n])
    rig.recorder.closed()
    rig.settle()

    with av.open(str(files_of(rig)[0])) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        assert [(p.pts, p.dts) for p in packets] == [(p.pts, p.dts) for p in made]
        assert any(p.pts != p.dts for p in packets)
    assert probed(files_of(rig)[0])["nb_read_frames"] == "75"


def test_sparse_keyframes_make_longer_files_of_short_parts(rig_of: Make) -> None:
    rig = rig_of(segment_s=5)
    rig.recorder.opened(info_of(gop=250))
    rig.recorder.wish("always", 5)
    rig.feed(600, make=lambda n: packet(n, gop=250))
    rig.recorder.closed()
    rig.settle()
    scans = [scan(path) for path in files_of(rig)]
    assert [len(s.parts) for s in scans] == [10, 10, 4]
    assert all(p.duration <= 2 * 90_000 for s in scans for p in s.parts)


def test_a_camera_without_further_keyframes_is_written_part_by_part(rig_of: Make) -> None:
    rig = rig_of(segment_s=5)
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(25 * 90, make=lambda n: packet(n, gop=10**9))
    assert rig.records == []
    before = rig.recorder.progress().bytes
    rig.feed(50, make=lambda n: packet(n, gop=10**9))
    assert rig.recorder.progress().bytes > before
    rig.recorder.closed()
    rig.settle()
    found = scan(files_of(rig)[0])
    assert found.ends_at - found.header.started_at == timedelta(seconds=92)


def test_parts_wait_a_little_for_a_keyframe_that_is_due(rig_of: Make) -> None:
    rig = rig_of()
    rig.recorder.opened(info_of(gop=30))
    rig.recorder.wish("always", 5)
    rig.feed(240, make=lambda n: packet(n, gop=30))
    rig.recorder.closed()
    rig.settle()
    parts = [part for path in files_of(rig) for part in scan(path).parts]
    # Only the first group is not known beforehand.
    assert [part.keyframe for part in parts].count(False) == 1


def test_an_event_is_recorded_from_before_it_to_after_it(rig_of: Make, manual: ManualClock) -> None:
    rig = rig_of(segment_s=60)
    rig.recorder.opened(info_of())
    rig.recorder.wish(None, 5)
    rig.feed(500)
    assert rig.records == []
    happened = manual.now()
    rig.recorder.trigger(10)
    rig.recorder.motion(happened)
    rig.feed(750)
    assert [r.cause for r in rig.records] == ["event"]
    found = scan(files_of(rig)[0])
    before, after = happened - found.header.started_at, found.ends_at - happened
    assert timedelta(seconds=4) <= before <= timedelta(seconds=7)
    assert timedelta(seconds=9) <= after <= timedelta(seconds=12)
    second = int(happened.timestamp()) - int(found.header.started_at.timestamp())
    assert int(found.motion, 16) == 1 << second == int(rig.records[0].motion, 16)


@pytest.mark.parametrize("ends", ["next file", "stream"])
def test_motion_that_is_learnt_after_a_file_has_ended_is_marked_in_it(
    rig_of: Make, ends: str
) -> None:
    """The file says so itself, so an index that is made anew from the files knows it too."""
    rig = rig_of(segment_s=4, late_s=3)
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(85)
    happened = rig.clock.now()
    rig.feed(60)
    if ends == "stream":
        rig.recorder.closed()
    rig.settle()
    assert rig.records == []
    rig.recorder.motion(happened)
    rig.clock.advance(3.1)
    rig.recorder.settle()
    rig.settle()
    first = rig.records[0]
    found = scan(files_of(rig)[0])
    second = int(happened.timestamp()) - int(first.started_at.timestamp())
    assert found.closed
    assert int(found.motion, 16) == 1 << second == int(first.motion, 16)
    # Later than that it is in no file, and counted.
    late = LATE._value.get()
    rig.recorder.motion(happened - timedelta(seconds=1))
    assert LATE._value.get() == late + 1


def test_a_worker_that_ends_waits_for_nothing(rig_of: Make) -> None:
    rig = rig_of(segment_s=4, late_s=30)
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(250)
    rig.recorder.closed()
    rig.recorder.settle(at_once=True)
    rig.settle()
    assert len(rig.records) == len(files_of(rig)) == 3


def test_two_events_close_together_leave_nothing_out_and_write_nothing_twice(rig_of: Make) -> None:
    rig = rig_of(segment_s=60, pre_s=10)
    rig.recorder.opened(info_of())
    rig.recorder.wish(None, 10)
    rig.feed(500)
    rig.recorder.trigger(5)
    rig.feed(250)
    rig.recorder.trigger(5)
    rig.feed(250)
    rig.recorder.closed()
    rig.settle()
    first, second = (scan(path) for path in files_of(rig))
    assert first.ends_at == second.header.started_at


def test_other_parameters_begin_another_file(rig_of: Make) -> None:
    rig = rig_of()
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(60)
    rig.recorder.closed()
    rig.recorder.opened(info_of("hevc"))
    rig.feed(65, make=lambda n: packet(n, "hevc") if n >= 75 else packet(75, "hevc"))
    rig.recorder.closed()
    rig.settle()
    first, second = (scan(path) for path in files_of(rig))
    assert first.header.codec.startswith("avc1")
    assert second.header.codec.startswith("hvc1")
    assert first.header.started_at < first.ends_at <= second.header.started_at


@pytest.mark.faults
@pytest.mark.parametrize("step_s", [-3600, 3600, 2])
def test_a_clock_that_is_set_ends_the_file_and_marks_the_next(
    rig_of: Make, manual: ManualClock, step_s: int
) -> None:
    rig = rig_of(segment_s=60)
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(90)
    manual.jump(step_s)
    rig.feed(110)
    rig.recorder.closed()
    rig.settle()
    first, second = (scan(path) for path in files_of(rig))
    assert (first.header.clock, second.header.clock) == ("steady", "jumped")
    assert first.ends_at == START + timedelta(seconds=4)
    assert second.header.started_at == START + timedelta(seconds=4 + step_s)
    assert len(first.keyframes) + len(second.keyframes) == 8


def test_what_a_disk_does_not_keep_up_with_is_left_out_up_to_a_keyframe(
    rig_of: Make, tmp_path: Path, manual: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_hub.recording.files.QUEUE_BYTES", 12_000)
    disk = disk_at(tmp_path / "disk", manual)
    rig = rig_of(disk, segment_s=60)
    rig.recorder.opened(info_of(gop=50))
    rig.recorder.wish("always", 5)
    rig.feed(100, make=lambda n: packet(n, gop=50))
    hold = threading.Event()
    held = disk.ask(lambda: hold.wait(20))
    for _ in range(120):  # 4.8 s: it hangs after five
        rig.feed(1, make=lambda n: packet(n, gop=50), settle=False)
    hold.set()
    assert held.result(20)
    rig.settle()
    rig.feed(105, make=lambda n: packet(n, gop=50))
    rig.recorder.closed()
    rig.settle()
    found = scan(files_of(rig)[0])
    assert rig.recorder.progress().lost == found.lost_parts > 0
    times = [part.decode_time for part in found.parts]
    holes = [n for n in range(1, len(times)) if times[n] - times[n - 1] > 100_000]
    assert len(holes) == 1
    assert found.parts[holes[0]].keyframe
    assert len(files_of(rig)) == 1
    stream = probed(files_of(rig)[0])
    assert int(stream["nb_read_frames"]) == len(samples_of(files_of(rig)[0], found))


def test_without_a_disk_the_last_seconds_are_kept_and_written_when_there_is_one(
    rig_of: Make, tmp_path: Path, manual: ManualClock
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "holiday.jpg").write_bytes(b"mine")
    disk = disk_at(tmp_path / "disk", manual)
    rig = rig_of(disk)
    assert not disk.usable
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(500)
    assert rig.recorder.progress().written_at is None
    (tmp_path / "disk" / "holiday.jpg").unlink()
    manual.advance(11)
    wait_until(lambda: disk.usable)
    back = rig.number
    rig.feed(100)
    rig.recorder.closed()
    rig.settle()
    samples = samples_of(files_of(rig)[0], scan(files_of(rig)[0]))
    before = len(samples) - (rig.number - back)
    assert 5 * 25 <= before <= 7 * 25
    assert samples == [stored(units_of()[n % 250]) for n in range(back - before, rig.number)]


def test_the_site_is_in_the_header_and_times_are_utc(rig_of: Make) -> None:
    rig = rig_of()
    rig.recorder.opened(info_of())
    rig.recorder.wish("schedule", 5)
    rig.feed(30)
    rig.recorder.closed()
    rig.settle()
    header = scan(files_of(rig)[0]).header
    assert (header.site, header.cause, header.role) == ("test", "schedule", "sub")
    assert header.started_at == datetime(2026, 3, 1, 11, 59, 30, tzinfo=UTC)
    assert (header.width, header.height, header.camera_id) == (320, 240, rig.camera_id)
