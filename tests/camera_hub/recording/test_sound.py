"""Sound in recordings: beside the pictures, in step with them, and never in their way."""

import json
import random
import struct
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from camera_hub.recording.format import (
    PART_SUFFIX,
    closing,
)
from camera_hub.recording.playback.filled import filled
from camera_hub.recording.reading import SegmentFile, ranges
from camera_hub.recording.recorder import SOUND_BYTES
from camera_hub.recording.scanning import (
    repair,
    scan,
)
from camera_hub.recording.sound import (
    has_sound,
    sound_of,
    with_codec,
    with_sound,
    without_sound,
)
from camera_hub.streams.types import SoundPacket
from core.clock import ManualClock
from tests.camera_hub.recording.footage_feed import TICKS, Rig, disk_at, info_of, packet
from tests.camera_hub.recording.sound_feed import (
    RATE,
    events_in,
    feed,
    footage,
    picture,
    sounds_between,
)
from tests.camera_hub.recording.test_recorder import Make, files_of

IN_STEP_S = 0.06


def recorded(rig: Rig, pictures: int, *, late_ms: int = 80) -> list[Path]:
    rig.recorder.opened(footage().info)
    rig.recorder.wish("always", 5)
    feed(rig, pictures, late_ms=late_ms)
    rig.recorder.closed()
    rig.settle()
    return files_of(rig)


def streams(path: Path) -> list[dict[str, Any]]:
    """Return the streams that ffprobe finds; fail if it says anything on stderr."""
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_streams", "-of", "json"]
    run = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    found: list[dict[str, Any]] = json.loads(run.stdout)["streams"]
    return found


def in_step(path: Path, expected: int) -> None:
    flashes, beeps = events_in(path)
    assert len(flashes) == len(beeps) == expected
    for flash, beep in zip(flashes, beeps, strict=True):
        assert abs(flash - beep) < IN_STEP_S


def without(path: Path, to: Path, *, sound: bool) -> Path:
    """Write what leaves of a file with or without its sound."""
    with SegmentFile(path) as file:
        pieces = [file.read(*where) for where in ranges(file.parts, sound=sound)]
        to.write_bytes(b"".join([file.init if sound else file.silent_init, *pieces]))
    return to


def heard_in(path: Path) -> bytes:
    with SegmentFile(path) as file:
        frames = [one for part in file.parts for one in file.heard(part)]
        return b"".join(file.read(one.position, one.size) for one in frames)


def test_a_file_has_two_tracks_in_step(rig_of: Make, tmp_path: Path) -> None:
    rig = rig_of(segment_s=4)
    files = recorded(rig, 300)
    assert len(files) == 3
    for number, path in enumerate(files):
        video, audio = streams(path)
        assert (video["codec_name"], video["nb_read_frames"]) == ("h264", "100")
        assert (audio["codec_name"], audio["sample_rate"]) == ("aac", str(RATE))
        assert has_sound(rig.records[number].codec)
        assert rig.records[number].codec == f"{scan(path).header.codec}"
        in_step(path, 2)
        in_step(without(path, tmp_path / "with.mp4", sound=True), 2)
    # What came late at the end of a file is in that file: nothing is missing at the seams.
    kept = b"".join(heard_in(path) for path in files)
    given = b"".join(one.data for one in sounds_between(0, 299 * TICKS - 80 * 90 + TICKS))
    assert kept == given


def test_left_out_there_is_not_a_byte_of_it(rig_of: Make, tmp_path: Path) -> None:
    (path,) = recorded(rig_of(segment_s=20), 200)
    silent = without(path, tmp_path / "silent.mp4", sound=False)
    (video,) = streams(silent)
    assert video["nb_read_frames"] == "200"
    content = silent.read_bytes()
    assert b"mp4a" not in content
    assert b"soun" not in content
    frames = [one.data for one in sounds_between(0, 190 * TICKS) if len(one.data) > 16]
    assert len(frames) > 10
    assert all(one in path.read_bytes() for one in frames)
    assert not any(one in content for one in frames)


def test_pictures_are_the_same_with_sound_and_without(
    rig_of: Make, tmp_path: Path, manual: ManualClock
) -> None:
    (path,) = recorded(rig_of(segment_s=20), 150)
    other = rig_of(disk_at(tmp_path / "other", manual, name="second"), segment_s=20)
    other.recorder.opened(replace(footage().info, sound=None))
    other.recorder.wish("always", 5)
    for one in sounds_between(0, 150 * TICKS):
        other.recorder.sound(one)
    other.feed(150, make=picture)
    other.recorder.closed()
    other.settle()
    (silent,) = files_of(other)
    with SegmentFile(path) as loud, SegmentFile(silent) as quiet:
        assert loud.silent_init == quiet.init
        assert not quiet.sounds
        assert [p.sound for p in quiet.parts] == [0] * len(quiet.parts)
        assert all(p.sound for p in loud.parts)
        for ours, theirs in zip(loud.parts, quiet.parts, strict=True):
            assert [(s.time, s.size, s.keyframe) for s in loud.samples(ours)] == [
                (s.time, s.size, s.keyframe) for s in quiet.samples(theirs)
            ]
        assert len(list(loud.decoded(loud.parts))) == 150
        assert loud.keyframe(loud.parts[2].starts_at).at == loud.parts[2].starts_at
    assert b"mp4a" not in silent.read_bytes()


def test_a_stream_without_sound_writes_none_whatever_comes(rig_of: Make) -> None:
    rig = rig_of()
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    for number in range(100):
        rig.recorder.sound(SoundPacket(b"secret words", number * TICKS, 1024))
        rig.feed(1, make=packet)
    rig.recorder.closed()
    rig.settle()
    (path,) = files_of(rig)
    assert b"secret words" not in path.read_bytes()
    assert not has_sound(rig.records[0].codec)
    assert scan(path).parts[0].sound == 0


def test_late_early_and_endless_sound_is_left_out_and_holds_nothing_up(
    rig_of: Make, tmp_path: Path
) -> None:
    rig = rig_of(segment_s=20)
    rig.recorder.opened(footage().info)
    rig.recorder.sound(SoundPacket(b"before", 0, 1024))
    rig.recorder.wish("always", 5)
    big = bytes(SOUND_BYTES // 4)
    for number in range(150):
        now = number * TICKS
        rig.recorder.sound(SoundPacket(b"far too late", now - 400_000, 1024))
        rig.recorder.sound(SoundPacket(b"far too early", now + 400_000, 1024))
        if number > 100:
            rig.recorder.sound(SoundPacket(big, now, 1024))
        rig.feed(1, make=picture)
    rig.recorder.closed()
    rig.settle()
    (path,) = files_of(rig)
    content = path.read_bytes()
    assert b"before" not in content
    assert b"far too" not in content
    found = scan(path)
    assert len(found.keyframes) == 6
    assert max(part.sound for part in found.parts) < 2 * SOUND_BYTES
    (video,) = streams(without(path, tmp_path / "silent.mp4", sound=False))
    assert video["nb_read_frames"] == "150"


def test_sound_that_stops_and_comes_again_stays_in_step(rig_of: Make) -> None:
    rig = rig_of(segment_s=20)
    rig.recorder.opened(footage().info)
    rig.recorder.wish("always", 5)
    for number in range(300):
        now = number * TICKS
        if not 50 <= number < 110:
            for one in sounds_between(now, now + TICKS):
                rig.recorder.sound(one)
        rig.feed(1, make=picture)
    rig.recorder.closed()
    rig.settle()
    (path,) = files_of(rig)
    flashes, beeps = events_in(path)
    assert len(flashes) == 6
    heard = [flash for flash in flashes if not 2 <= flash < 4.4]
    assert len(beeps) == len(heard) == 5
    assert all(abs(f - b) < IN_STEP_S for f, b in zip(heard, beeps, strict=True))


def test_before_an_event_there_is_sound_too(rig_of: Make) -> None:
    rig = rig_of(segment_s=20, pre_s=4)
    rig.recorder.opened(footage().info)
    feed(rig, 200)
    rig.recorder.trigger(2)
    feed(rig, 75)
    rig.recorder.closed()
    rig.settle()
    (path,) = files_of(rig)
    flashes, _ = events_in(path)
    in_step(path, len(flashes))
    assert len(flashes) >= 2


@pytest.mark.faults
def test_cut_at_any_byte_pictures_and_sound_are_whole_up_to_there(
    rig_of: Make, tmp_path: Path
) -> None:
    rig = rig_of(segment_s=20)
    (path,) = recorded(rig, 150)
    content, whole = path.read_bytes(), scan(path)
    chance = random.Random(7)
    edges = [
        edge + shift
        for p in whole.parts
        for edge in (p.offset, p.offset + p.silent, p.offset + p.size)
        for shift in (-1, 0, 1, 40)
    ]
    for cut in [*edges, *(chance.randrange(len(content)) for _ in range(60))]:
        partial = tmp_path / f"{cut}{PART_SUFFIX}"
        partial.write_bytes(content[:cut])
        mended = repair(partial)
        fitting = [p for p in whole.parts if p.offset + p.silent <= cut]
        if not fitting:
            assert mended is None
            continue
        assert mended is not None
        assert mended.closed
        assert len(mended.parts) == len(fitting)
        for ours, theirs in zip(mended.parts, fitting, strict=True):
            assert ours.silent == theirs.silent
            assert ours.sound in (0, theirs.sound) or ours is mended.parts[-1]
        with SegmentFile(partial) as file:
            assert file.silent_init == without_sound(content[: whole.init_bytes])
            assert [len(file.heard(part)) > 0 for part in file.parts[:-1]] == [True] * (
                len(file.parts) - 1
            )


def test_a_file_of_the_first_version_is_read(rig_of: Make, tmp_path: Path) -> None:
    rig = rig_of(segment_s=20)
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(100)
    rig.recorder.closed()
    rig.settle()
    (path,) = files_of(rig)
    found = scan(path)
    new = closing(list(found.parts), list(found.keyframes), motion="", lost=0)
    content = path.read_bytes()
    assert content.endswith(new)
    # As the first version wrote it: six numbers for each part.
    index = new.index(b'{"v":')
    end = new.index(b"}", index) + 1
    listed = json.loads(new[index:end])
    listed["v"], listed["parts"] = 1, [one[:6] for one in listed["parts"]]
    old_index = json.dumps(listed, separators=(",", ":")).encode()
    shorter = len(new[index:end]) - len(old_index)
    at = index - 24
    old = bytearray(new[:index] + old_index + new[end:])
    struct.pack_into(">I", old, at, int.from_bytes(new[at : at + 4], "big") - shorter)
    struct.pack_into(">I", old, 0, len(new) - shorter)
    struct.pack_into(">I", old, len(old) - 4, len(new) - shorter)
    before = tmp_path / "old.mp4"
    before.write_bytes(content[: -len(new)] + bytes(old))
    read = scan(before)
    assert read.closed
    assert read.parts == found.parts
    assert read.keyframes == found.keyframes


@pytest.mark.parametrize("lie", [-1, 10**9, "x", None])
def test_a_list_that_lies_about_sound_is_not_believed(
    rig_of: Make, tmp_path: Path, lie: object
) -> None:
    (path,) = recorded(rig_of(segment_s=20), 60)
    found = scan(path)
    tail = closing(list(found.parts), list(found.keyframes), motion="", lost=0)
    wrong = [replace(part, sound=lie) for part in found.parts]  # type: ignore[arg-type]
    lying = closing(wrong, list(found.keyframes), motion="", lost=0)
    assert path.read_bytes().endswith(tail)
    damaged = tmp_path / "lies.mp4"
    damaged.write_bytes(path.read_bytes()[: -len(tail)] + lying)
    read = scan(damaged)
    assert not read.closed
    assert read.parts == found.parts


def test_an_init_segment_takes_sound_in_and_gives_it_up_again(rig_of: Make) -> None:
    (path,) = recorded(rig_of(segment_s=20), 30)
    with SegmentFile(path) as file:
        silent = without_sound(file.init)
        sound = footage().info.sound
        assert sound is not None
        assert with_sound(silent, sound) == file.init
        assert without_sound(silent) == silent
        assert sound_of(silent) is None
        found = sound_of(file.init)
        assert found is not None
        assert found[1] == RATE
        assert sound.config in found[0]
    for bad in (
        replace(sound, rate=0),
        replace(sound, rate=96_000),
        replace(sound, config=b""),
        replace(sound, config=bytes(100)),
        replace(sound, channels=0),
    ):
        with pytest.raises(ValueError, match="cannot be written"):
            with_sound(silent, bad)
    for cut in range(0, len(silent), 7):
        with pytest.raises(ValueError, match=r"moov|longer"):
            without_sound(silent[:cut])


def test_codecs_name_the_sound() -> None:
    assert with_codec("avc1.640028", sound=True) == "avc1.640028,mp4a.40.2"
    assert with_codec("avc1.640028,mp4a.40.2", sound=False) == "avc1.640028"
    assert with_codec("avc1.640028,mp4a.40.2", sound=True) == "avc1.640028,mp4a.40.2"


def test_a_browser_finds_silence_where_nothing_was_heard(rig_of: Make, tmp_path: Path) -> None:
    rig = rig_of(segment_s=20)
    rig.recorder.opened(footage().info)
    rig.recorder.wish("always", 5)
    for number in range(300):
        now = number * TICKS
        if 20 <= number < 40 or 60 <= number < 170 or number > 280:
            rig.recorder.sound(SoundPacket(b"", now - 400_000, 1024))
        else:
            for one in sounds_between(now, now + TICKS):
                rig.recorder.sound(one)
        rig.feed(1, make=picture)
    rig.recorder.closed()
    rig.settle()
    (path,) = files_of(rig)
    with SegmentFile(path) as file:
        assert any(not part.sound for part in file.parts)
        whole = list(filled(file, file.parts))
        # The same part is the same bytes, whatever is asked for around it.
        assert [piece for part in file.parts for piece in filled(file, [part])] == whole
        silent = [file.read(part.offset, part.silent) for part in file.parts]
        assert all(one.startswith(two) for one, two in zip(whole, silent, strict=True))
        shown = tmp_path / "filled.mp4"
        shown.write_bytes(b"".join([file.init, *whole]))
    with av.open(str(shown)) as container:
        stamps = [p.pts for p in container.demux(audio=0) if p.pts is not None]
    steps = [after - before for before, after in pairwise(stamps)]
    assert min(steps) >= 1024
    assert max(steps) <= 3 * 1024
    assert stamps[0] < 1024
    assert 12 * RATE - stamps[-1] <= 3 * 1024
    flashes, beeps = events_in(shown)
    assert len(flashes) == 6
    assert beeps
    assert all(min(abs(beep - flash) for flash in flashes) < IN_STEP_S for beep in beeps)
