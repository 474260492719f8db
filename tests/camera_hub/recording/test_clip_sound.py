"""Clips with sound: one file in step, over gaps and seams, and silent where nobody asked."""

from dataclasses import asdict, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from camera_hub.recording.clip_painting import Masking
from camera_hub.recording.clip_pieces import Source
from camera_hub.recording.clips import make_clip
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.scanning import (
    scan,
)
from tests.camera_hub.recording.footage_feed import Rig
from tests.camera_hub.recording.sound_feed import events_in, feed, footage
from tests.camera_hub.recording.test_recorder import Make, files_of
from tests.camera_hub.recording.test_sound import IN_STEP_S, in_step, recorded, streams


def sources_of(rig: Rig) -> list[Source]:
    files = {path.name: path for path in files_of(rig)}
    records = sorted(rig.records, key=lambda record: record.sequence)
    return [
        Source(SegmentRow(**asdict(record), deleting=False), files[record.path.split("/")[-1]])
        for record in records
    ]


def span_of(sources: list[Source]) -> tuple:  # type: ignore[type-arg]
    return sources[0].row.started_at, sources[-1].row.ends_at


def test_a_clip_with_sound_is_one_file_in_step(rig_of: Make, tmp_path: Path) -> None:
    rig = rig_of(segment_s=4)
    recorded(rig, 300)
    sources = sources_of(rig)
    clip = make_clip(tmp_path, "clip", sources, span_of(sources), sound=True)
    (one,) = clip.files
    assert one.codec.endswith(",mp4a.40.2")
    video, audio = streams(one.path)
    assert (video["nb_read_frames"], audio["codec_name"]) == ("300", "aac")
    in_step(one.path, 6)
    assert one.frames == 300
    content = one.path.read_bytes()
    for part in one.parts:
        piece = content[part["offset"] : part["offset"] + part["length"]]
        assert sha256(piece).hexdigest() == part["sha256"]
    listed = one.frames_path.read_text().splitlines()
    assert len(listed) == 301
    # From the middle of a file on the sound begins with the pictures.
    begin = sources[1].row.started_at + timedelta(seconds=1.5)
    (later,) = make_clip(
        tmp_path, "later", sources, (begin, sources[-1].row.ends_at), sound=True
    ).files
    flashes, _ = events_in(later.path)
    assert len(flashes) >= 3
    in_step(later.path, len(flashes))


def test_a_clip_that_nobody_asked_sound_of_is_silent(rig_of: Make, tmp_path: Path) -> None:
    rig = rig_of(segment_s=4)
    recorded(rig, 150)
    sources = sources_of(rig)
    span = span_of(sources)
    painted = Masking((((0.0, 0.0), (0.2, 0.0), (0.2, 0.2)),), lambda _picture, _masks: None)
    raw = make_clip(tmp_path, "raw", sources, span)
    blurred = make_clip(tmp_path, "blurred", sources, span, masking=painted, sound=True)
    spoken = [one.data for one in footage().sound if len(one.data) > 16]
    for clip in (raw, blurred):
        (one,) = clip.files
        content = one.path.read_bytes()
        assert "," not in one.codec
        assert b"mp4a" not in content
        assert not any(word in content for word in spoken)
        (video,) = streams(one.path)
        assert video["codec_name"] == "h264"


def test_a_gap_keeps_what_follows_in_step(rig_of: Make, tmp_path: Path) -> None:
    rig = rig_of(segment_s=4)
    recorded(rig, 300)
    sources = sources_of(rig)
    span = span_of(sources)
    clip = make_clip(tmp_path, "clip", [sources[0], sources[2]], span, sound=True)
    (one,) = clip.files
    assert len(clip.gaps) == 1
    in_step(one.path, 4)
    flashes, _ = events_in(one.path)
    assert max(flashes) > 8


def test_where_there_was_no_sound_the_clip_goes_on_in_another_file(
    rig_of: Make, tmp_path: Path
) -> None:
    rig = rig_of(segment_s=20)
    rig.recorder.wish("always", 5)
    for info in (footage().info, replace(footage().info, sound=None), footage().info):
        rig.recorder.opened(info)
        feed(rig, 100)
        rig.recorder.closed()
    rig.settle()
    sources = sources_of(rig)
    assert [len(scan(source.path).parts) for source in sources] == [4, 4, 4]
    span = span_of(sources)
    clip = make_clip(tmp_path, "clip", sources, span, sound=True)
    assert [len(streams(one.path)) for one in clip.files] == [2, 1, 2]
    assert ["mp4a" in one.codec for one in clip.files] == [True, False, True]
    for one in (clip.files[0], clip.files[2]):
        flashes, beeps = events_in(one.path)
        assert len(flashes) == len(beeps) > 0
        pairs = zip(flashes, beeps, strict=True)
        assert all(abs(flash - beep) < IN_STEP_S for flash, beep in pairs)
    (silent,) = make_clip(tmp_path, "silent", sources, span).files
    assert silent.frames == 300
