"""A segment's file, whole and cut off anywhere."""

import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_hub.live.muxer import Muxer
from camera_hub.recording.format import (
    BROKEN_SUFFIX,
    FormatError,
    SegmentHeader,
    from_microseconds,
    microseconds,
    prft,
)
from camera_hub.recording.scanning import (
    repair,
    scan,
    scan_head,
)
from camera_hub.recording.writing import SegmentWriter
from core.ids import new_id
from tests.camera_hub.recording.footage_feed import TICKS, info_of, packet, units_of

AT = datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC)


@lru_cache
def made(*, closed: bool = True) -> tuple[bytes, tuple[int, ...], SegmentHeader]:
    """Return a file of four parts, where its parts end, and its header."""
    info = info_of()
    init = Muxer(info, units_of()[0]).init
    header = SegmentHeader(
        "site \u5c0f\u533a", new_id(), "main", new_id(), 7, AT, init.codec, 320, 240, "always"
    )
    writer = SegmentWriter(init.data, info.time_base, 5 * TICKS)
    data, ends = writer.begin(header), []
    for number in range(4):
        packets = [packet(n) for n in range(number * 25, number * 25 + 25)]
        for one in packets:
            assert one.dts is not None
            one.dts = one.pts = one.dts + 5 * TICKS
        at = microseconds(AT) + number * 1_000_100
        data += writer.part(packets, (number * 25 + 30) * TICKS, at)
        ends.append(len(data))
    if closed:
        data += writer.finish(motion="5", lost=3)
    return data, tuple(ends), header


def test_a_closed_file_says_what_it_holds_without_being_walked_through(tmp_path: Path) -> None:
    data, ends, header = made()
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    found = scan(path)
    assert found.header == header
    assert (found.closed, found.whole_bytes, found.motion, found.lost_parts) == (
        True,
        len(data),
        "5",
        3,
    )
    assert [part.offset + part.size for part in found.parts] == list(ends)
    assert [part.decode_time for part in found.parts] == [0, 90_000, 180_000, 270_000]
    assert [microseconds(p.starts_at) - microseconds(AT) for p in found.parts] == [
        0,
        1_000_100,
        2_000_200,
        3_000_300,
    ]
    assert [k.at for k in found.keyframes] == [p.starts_at for p in found.parts]
    assert all(data[k.offset + 4 : k.offset + 8] == b"moof" for k in found.keyframes)
    assert microseconds(found.ends_at) - microseconds(AT) == 4_000_300
    head, init = scan_head(path)
    assert (head, init) == (header, data[: found.init_bytes])
    # What is in the middle does not matter to a closed file, and its length does.
    path.write_bytes(data[:-1])
    assert not scan(path).closed


@given(st.data())
def test_cut_anywhere_the_whole_parts_stay(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole, ends, header = made()
    at = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(max_size=40))
    path = tmp_path_factory.mktemp("cut") / "a.part"
    path.write_bytes(whole[:at] + junk)
    parts = sum(end <= at for end in ends)
    result = repair(path)
    if parts == 0:
        assert result is None
        assert not path.exists()
        assert path.with_name("a.part" + BROKEN_SUFFIX).read_bytes() == whole[:at] + junk
        return
    assert result is not None
    assert result.closed
    assert result.header == header
    assert len(result.parts) == parts
    mended = path.read_bytes()
    assert mended[: ends[parts - 1]] == whole[: ends[parts - 1]]
    assert repair(path) == result
    assert path.read_bytes() == mended


@given(st.binary(max_size=300), st.integers(0, 5000))
def test_bytes_that_are_no_segment_are_told_as_that(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int
) -> None:
    whole = bytearray(made()[0])
    at = min(at, len(whole))
    whole[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("junk") / "a.part"
    path.write_bytes(whole)
    try:
        found = scan(path)
    except FormatError:
        return
    assert found.whole_bytes <= len(whole)
    for part in found.parts:
        assert 0 <= part.offset < part.offset + part.size <= len(whole)


@given(st.integers(0, 2**32 * 10**6 - 2_208_988_800 * 10**6 - 1))
def test_the_wall_clock_of_a_part_is_kept_to_the_microsecond(at: int) -> None:
    box = prft(at, 0)
    ntp, fraction = int.from_bytes(box[16:20], "big"), int.from_bytes(box[20:24], "big")
    assert (ntp - 2_208_988_800) * 10**6 + (fraction * 10**6 >> 32) == at
    assert microseconds(from_microseconds(at)) == at


def test_a_closed_file_is_read_in_two_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(made()[0])
    before = int(Path("/proc/self/io").read_text().split("syscr: ")[1].split()[0])
    scan(path)
    after = int(Path("/proc/self/io").read_text().split("syscr: ")[1].split()[0])
    assert after - before <= 4  # two of them are of /proc/self/io itself
    os.truncate(path, len(made()[0]) - 100)
    assert len(scan(path).parts) == 4
