"""Files whose numbers cannot be: each costs what it concerns, and never the memory or a traceback.

Every case was found by fuzzing and was once a fault.
"""

import struct
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.recording.clip_pieces import Source
from camera_hub.recording.clips import make_clip
from camera_hub.recording.format import BOX, HEADER_UUID, INDEX_UUID, FormatError, box
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.playback.filled import filled
from camera_hub.recording.reading import SegmentFile, SegmentUnreadableError
from camera_hub.recording.scanning import repair, scan
from camera_hub.streams.types import SoundInfo, SoundPacket
from core.ids import new_id
from tests.support.examples import examples
from tests.support.recorded import write_segment
from tests.support.sounding import tone

START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
SPAN = START, START + timedelta(seconds=9)
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"mfra"}

Whole = tuple[bytes, SegmentRow]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Give the bytes of a file of two seconds with sound, and its row."""
    folder = tmp_path_factory.mktemp("forged")
    config, frames = tone(16000, 1, 31)
    packets = [SoundPacket(one, n * 1024 * 90 // 16, 1024) for n, one in enumerate(frames)]
    row = write_segment(
        folder,
        new_id(),
        START,
        seconds=2,
        size=(160, 120),
        sound=(SoundInfo(config, 16000, 1), packets),
    )
    return (folder / row.path).read_bytes(), SegmentRow(**row.model_dump(), deleting=False)


def boxes(data: bytes, at: int = 0, end: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield place, size and kind of each box, those inside others too."""
    end = end or len(data)
    while at + 8 <= end:
        size, kind = BOX.unpack_from(data, at)
        yield at, size, kind
        if kind in _CONTAINERS:
            yield from boxes(data, at + 8, at + size)
        at += size


def with_header(data: bytes, **fields: Any) -> bytes:
    """Return a file with other fields in its header."""
    at, size = next((at, size) for at, size, kind in boxes(data) if kind == b"uuid")
    said = orjson.loads(data[at + 24 : at + size]) | fields
    return data[:at] + box(b"uuid", HEADER_UUID.bytes, orjson.dumps(said)) + data[at + size :]


def with_listed(data: bytes, field: int, value: object) -> bytes:
    """Return a file in which a field of the second part is another one in the list at its end."""
    begin = data.rindex(b"mfra") - 4
    at, size = next(
        (at, size) for at, size, kind in boxes(data, begin, len(data)) if kind == b"uuid"
    )
    said = orjson.loads(data[at + 24 : at + size])
    said["parts"][1][field] = value
    index = box(b"uuid", INDEX_UUID.bytes, orjson.dumps(said))
    inside = data[begin + 8 : at] + index
    length = 8 + len(inside) + 16
    return data[:begin] + BOX.pack(length, b"mfra") + inside + data[-16:-4] + length.to_bytes(4)


def use(data: bytes, row: SegmentRow, folder: Path) -> None:
    """Do with a file whatever is done with files."""
    path = folder / "one.mp4"
    path.write_bytes(data)
    try:
        with SegmentFile(path) as file:
            parts = file.span(*SPAN)
            for part in parts:
                file.samples(part)
                file.heard(part)
            if parts and file.sounds:
                assert sum(len(piece) for piece in filled(file, parts)) < 2 * len(data)
    except SegmentUnreadableError:
        pass
    try:
        clip = make_clip(folder, "clip", [Source(row, path)], SPAN, sound=True)
        assert all(made.path.stat().st_size < 2 * len(data) for made in clip.files)
    except SegmentUnreadableError:
        pass
    path.with_name("clip.mp4").unlink(missing_ok=True)
    repaired = repair(path)
    assert repaired is None or repaired.closed


@pytest.mark.parametrize(
    "fields",
    [
        {"started_at": "9999-12-31T23:59:59Z"},
        {"started_at": "0001-01-01T00:00:00+14:00"},
        {"width": 0},
        {"height": -1},
        {"width": 100_000},
        {"width": "9" * 5000},
        {"camera_id": None},
    ],
    ids=str,
)
def test_a_header_that_cannot_be_makes_no_recording(
    whole: Whole, tmp_path: Path, fields: dict[str, object]
) -> None:
    path = tmp_path / "one.mp4"
    path.write_bytes(with_header(whole[0], **fields))
    with pytest.raises(FormatError):
        scan(path)
    with pytest.raises(SegmentUnreadableError):
        SegmentFile(path)
    assert repair(path) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [(2, 2**62), (2, -(2**62)), (2, 0), (3, 2**63), (3, -1), (4, 2**63), (4, 0), (4, -90_000)],
)
def test_times_that_cannot_be_cost_the_list_and_no_picture(
    whole: Whole, tmp_path: Path, field: int, value: int
) -> None:
    path = tmp_path / "one.mp4"
    path.write_bytes(with_listed(whole[0], field, value))
    with SegmentFile(path) as file:
        assert [part.starts_at for part in file.parts] == [START, START + timedelta(seconds=1)]
        assert file.parts[-1].ends_at == START + timedelta(seconds=2)
    use(with_listed(whole[0], field, value), whole[1], tmp_path)


def test_a_list_of_gigabytes_is_not_taken_into_the_memory(whole: Whole, tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    with path.open("wb") as file:
        file.write(whole[0])
        file.seek(1 << 31)
        file.write(struct.pack(">I4sII", 16, b"mfro", 0, (1 << 31) - 100))
    tracemalloc.start()
    try:
        assert len(scan(path).parts) == 2
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_sound_of_another_age_fills_no_memory_with_silence(whole: Whole, tmp_path: Path) -> None:
    data = bytearray(whole[0])
    # Of the second part: its sound's time, 2**40 samples later.
    tfdt = [at for at, _, kind in boxes(whole[0]) if kind == b"tfdt"][3]
    data[tfdt + 14] = 1
    tracemalloc.start()
    try:
        use(bytes(data), whole[1], tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_a_file_without_the_sound_that_it_names_is_silent(whole: Whole, tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    path.write_bytes(whole[0])
    with SegmentFile(path) as file:
        loud, silent = file.init, file.silent_init
    path.write_bytes(silent + whole[0][len(loud) :])
    with SegmentFile(path) as file:
        assert not file.sounds
        assert file.silent_init == silent
        assert [file.heard(part) for part in file.parts] == [[] for _ in file.parts]
    use(path.read_bytes(), whole[1], tmp_path)


@settings(max_examples=examples(25))
@given(
    box_number=st.integers(0, 200),
    at=st.integers(0, 30),
    put=st.sampled_from([0, 1, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
)
def test_any_number_of_any_box_ends_in_media_or_in_a_clear_error(
    whole: Whole, tmp_path_factory: pytest.TempPathFactory, box_number: int, at: int, put: int
) -> None:
    data = bytearray(whole[0])
    found = [one for one in boxes(whole[0]) if one[2] != b"mdat"]
    place, size, _ = found[box_number % len(found)]
    struct.pack_into(">I", data, place + 4 * (at % (size // 4)), put)
    use(bytes(data), whole[1], tmp_path_factory.mktemp("one"))


def test_a_track_without_its_head_costs_no_traceback(tmp_path: Path) -> None:
    row = write_segment(tmp_path, new_id(), START, seconds=1, size=(160, 120))
    data = bytearray((tmp_path / row.path).read_bytes())
    head = next(at for at, _, kind in boxes(bytes(data)) if kind == b"tkhd")
    data[head + 4] ^= 1
    use(bytes(data), SegmentRow(**row.model_dump(), deleting=False), tmp_path)
