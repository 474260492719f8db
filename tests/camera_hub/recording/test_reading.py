"""Recorded files are read a span at a time, and what is whole of a damaged one is given."""

import gc
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.recording.format import TFRA, TFRA_ENTRY
from camera_hub.recording.reading import SegmentFile, SegmentUnreadableError, wall
from core.ids import new_id
from tests.support.examples import examples
from tests.support.recorded import FPS, footage_units, write_segment

START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def made(tmp_path: Path, **options: object) -> Path:
    row = write_segment(tmp_path, new_id(), START, **options)  # type: ignore[arg-type]
    return tmp_path / row.path


def test_a_span_is_the_whole_parts_that_cover_it_and_can_be_decoded_alone(tmp_path: Path) -> None:
    with SegmentFile(made(tmp_path)) as file:
        assert file.closed
        assert len(file.parts) == 6
        parts = file.span(after(1.5), after(3.2))
        assert [p.starts_at for p in parts] == [after(1), after(2), after(3)]
        assert parts[-1].ends_at == after(4)
        content = file.init + b"".join(file.read(p.offset, p.size) for p in parts)
        with av.open(io.BytesIO(content), mode="r", format="mp4") as container:
            frames = list(container.decode(video=0))
        assert len(frames) == 75
        # The ticks of the file are those of its boxes: the third part begins at three seconds.
        assert frames[0].pts == 90_000
        assert file.span(after(6), after(7)) == ()
        assert file.span(after(-2), after(0)) == ()
        assert len(file.span(after(-2), after(0.001))) == 1
        assert len(file.span(after(-2), after(60))) == 6


def test_a_file_that_is_dropped_or_closed_twice_leaves_nothing_open(tmp_path: Path) -> None:
    path = made(tmp_path)

    def held() -> int:
        links = (os.path.realpath(one) for one in Path("/proc/self/fd").iterdir())
        return sum(link == str(path.resolve()) for link in links)

    file = SegmentFile(path)
    assert held() == 1
    del file
    gc.collect()
    assert held() == 0
    with SegmentFile(path) as other:
        other.close()
        handle = os.open(path, os.O_RDONLY)  # the same number
    assert held() == 1
    os.close(handle)
    with pytest.raises(SegmentUnreadableError):
        SegmentFile(tmp_path / "none.mp4")


def test_a_span_begins_where_its_first_picture_can_be_decoded(tmp_path: Path) -> None:
    """Sparse keyframes, parts of a second: the keyframe lies some parts before."""
    with SegmentFile(made(tmp_path, gop=75)) as file:
        assert [p.starts_at for p in file.span(after(5.1), after(5.2))] == [
            after(3), after(4), after(5)
        ]  # fmt: skip
        going_on = file.span(after(5), after(6), keyframe=False)
        assert [p.starts_at for p in going_on] == [after(5)]
        (before,) = file.span(after(4), after(5), keyframe=False)
        assert before.ends_at == going_on[0].starts_at


def test_a_keyframe_in_the_middle_of_a_part_is_found_and_decoded(tmp_path: Path) -> None:
    with SegmentFile(made(tmp_path, gop=10, part_frames=25)) as file:
        near = file.keyframe(after(1.19))
        assert near.at == after(1.2)
        assert file.keyframe(after(1.21), after=True).at == after(1.6)
        assert file.keyframe(after(-5)).at == START
        with pytest.raises(SegmentUnreadableError):
            file.keyframe(after(5.99), after=True)
        every = {p.at: p.frame for p in file.decoded(file.parts)}
    mine = near.frame.to_ndarray(format="rgb24").astype(int)
    same = every[near.at].to_ndarray(format="rgb24").astype(int)
    assert np.abs(mine - same).max() == 0


def test_every_frame_has_the_wall_clock_of_its_part(tmp_path: Path) -> None:
    """A clock bent by 400 ppm: each part says anew where it is, and frames follow."""
    with SegmentFile(made(tmp_path, slower_ppm=400)) as file:
        times = [p.at for p in file.decoded(file.parts)]
        assert len(times) == 6 * FPS
        for number, at in enumerate(times):
            meant = after(number / FPS * 1.0004)
            assert abs(at - meant) < timedelta(milliseconds=1)
        samples = [(part, s) for part in file.parts for s in file.samples(part)]
        assert [wall(part, s.time + s.later) for part, s in samples] == times
        units = footage_units(6 * FPS, 25, 320, 240)
        assert [s.keyframe for _, s in samples] == [n % 25 == 0 for n in range(len(units))]
        _, first = samples[30]
        assert file.read(first.position, first.size)[4:] in units[30]


@settings(max_examples=examples(30), deadline=None)
@given(lost=st.integers(min_value=1, max_value=60_000))
def test_of_a_file_that_was_cut_off_the_whole_parts_are_given(lost: int) -> None:
    path = _whole()
    content = path.read_bytes()
    cut = path.with_name(f"cut-{os.getpid()}.mp4")
    cut.write_bytes(content[: max(0, len(content) - lost)])
    try:
        with SegmentFile(cut) as file:
            kept = file.parts
            assert not file.closed
            for part in kept:
                assert len(file.samples(part)) == 25
            if kept:
                assert kept[-1].offset + kept[-1].size <= len(content) - lost
                assert len(list(file.decoded(kept))) == 25 * len(kept)
            assert file.span(after(59), after(60)) == ()
    except SegmentUnreadableError:
        assert len(content) - lost < 2000


_FOLDER: dict[str, Path] = {}


def _whole() -> Path:
    return _FOLDER["whole"]


@pytest.fixture(scope="module", autouse=True)
def whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    _FOLDER["whole"] = made(tmp_path_factory.mktemp("cut"))


@settings(max_examples=examples(40), deadline=None)
@given(at=st.floats(min_value=0, max_value=0.9999), bit=st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_ends_in_media_or_in_a_clear_error(at: float, bit: int) -> None:
    content = bytearray(_whole().read_bytes())
    content[int(at * len(content))] ^= 1 << bit
    _read_all(bytes(content))


@settings(max_examples=examples(40), deadline=None)
@given(
    back=st.integers(min_value=1, max_value=1500),
    put=st.sampled_from(
        [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"[[{}]]", b"1.5e"]
    ),
    ends=st.booleans(),
)
def test_whatever_stands_in_a_list_ends_in_media_or_in_a_clear_error(
    back: int, put: bytes, ends: bool
) -> None:
    content = bytearray(_whole().read_bytes())
    at = len(content) - back if ends else back
    content[at : at + len(put)] = put
    _read_all(bytes(content))


def _index_of(content: bytes | bytearray) -> int:
    """Return where the list of keyframes of a whole file begins."""
    return content.rindex(b"tfra") - 4


@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_keyframe_that_lies_behind_the_last_part_costs_the_list_and_no_picture(
    number: int,
) -> None:
    content = bytearray(_whole().read_bytes())
    entry = _index_of(content) + TFRA.size + number * TFRA_ENTRY.size
    time, _, *others = TFRA_ENTRY.unpack_from(content, entry)
    TFRA_ENTRY.pack_into(content, entry, time, len(content) * 2, *others)
    assert _read_all(bytes(content)) == 150


@pytest.mark.parametrize("begins", [b"1.5,", b"-100", b"9999", b'"10"', b"null", b"[1],", b"true"])
@pytest.mark.parametrize("key", [b'"parts":[[', b'"lost":', b'"motion":'])
def test_a_list_that_is_not_as_it_was_written_costs_no_picture(key: bytes, begins: bytes) -> None:
    """The parts are found by walking through the file, as in one that was cut off."""
    content = _whole().read_bytes()
    at = content.rindex(key) + len(key)
    assert _read_all(content[:at] + begins + content[at + len(begins) :]) == 150


@pytest.mark.parametrize("name", [b"avc1", b"VideoHandler"])
def test_names_inside_a_file_that_are_no_text_are_survived(name: bytes) -> None:
    content = _whole().read_bytes()
    if name not in content:
        pytest.skip(f"the files of this version have no {name.decode()}")
    _read_all(content.replace(name, b"\xb5\xff" + name[2:], 1))


def _read_all(content: bytes) -> int:
    """Read all that is to be had of a file, by each of the ways; return how many pictures."""
    path = _whole().with_name(f"flipped-{os.getpid()}.mp4")
    path.write_bytes(content)
    pictures = 0
    try:
        with SegmentFile(path) as file:
            parts = file.span(START, after(6))
            for part in parts:
                file.read(part.offset, part.size)
                file.samples(part)
            pictures = len(list(file.decoded(parts)))
            file.keyframe(after(3))
    except SegmentUnreadableError:
        return pictures  # a clear error is as good
    return pictures


def test_what_is_no_recording_and_what_is_gone_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SegmentUnreadableError) as gone:
        SegmentFile(tmp_path / "none.mp4")
    assert gone.value.code == "segment-missing"
    other = tmp_path / "other.mp4"
    other.write_bytes(b"not a recording at all" * 100)
    with pytest.raises(SegmentUnreadableError) as wrong:
        SegmentFile(other)
    assert wrong.value.code == "segment-damaged"
    link = tmp_path / "link.mp4"
    link.symlink_to(_whole())
    with pytest.raises(SegmentUnreadableError):
        SegmentFile(link)
