"""What the index of recordings costs: a day of a camera among ten million rows, and a rebuild.

`python -m bench.lib_recording_index [ROWS [FILES]]` prints one line of JSON. `day_query_ms_p95` is
of `Recordings.spans` for a random day of a random camera, on SQLite, in the order in which forty
weeks of twenty cameras would have been written. `rebuild_segments_per_s` makes an empty index from
real files: it reads each head and tail, and writes the rows; no hash.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID

from access.jurisdictions import Law
from access.ledger.service import Ledger
from app.tables import all_tables
from camera_hub.recording.format import (
    HEADER_UUID,
    Keyframe,
    Part,
    SegmentHeader,
    box,
    closing,
    from_microseconds,
    microseconds,
    prft,
)
from camera_hub.recording.index.service import Recordings
from core.clock import SystemClock
from core.database import Database
from core.ids import new_id
from core.settings import Settings

CAMERAS = 20
ROWS = 10_000_000
FILES = 6_000
ASKED = 200
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_PARTS = 60
_TICKS = 90_000
_INSERT = """
INSERT INTO segment (id, camera_id, role, started_at, ends_at, bytes, sha256, disk, path, sequence,
  codec, width, height, cause, clock, motion, deleting)
WITH RECURSIVE minute(n) AS (
  SELECT :first UNION ALL SELECT n + 1 FROM minute WHERE n + 1 < :last
), stamp(n, head, tail, day, start, stop, file) AS (
  SELECT n, printf('%012x7', (:epoch + n * 60) * 1000), printf('%012x', n),
    strftime('%Y-%m-%d', :epoch + n * 60, 'unixepoch'),
    strftime('%Y-%m-%dT%H:%M:%S', :epoch + n * 60, 'unixepoch') || '.120000+00:00',
    strftime('%Y-%m-%dT%H:%M:%S', :epoch + n * 60 + 60, 'unixepoch') || '.080000+00:00',
    strftime('%H%M%S', :epoch + n * 60, 'unixepoch') || '-' || n || '-main.mp4'
  FROM minute
)
SELECT head || camera.middle || tail, camera.hex,
  'main', start, stop, 15000000 + n % 1000000,
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'main',
  camera.text || '/' || day || '/' || file, n, 'avc1.640028', 1920, 1080, 'always', 'steady',
  CASE n % 7 WHEN 0 THEN '00000000000ff000' ELSE '0000000000000000' END, 0
FROM stamp CROSS JOIN camera
"""


async def make_store(path: Path) -> Database:
    """Make a SQLite file with all tables."""
    tables = all_tables()
    database = Database(f"sqlite+aiosqlite:///{path}")
    async with database.engine.begin() as connection:
        await connection.run_sync(tables.create_all)
    return database


def fill(path: Path, rows: int) -> list[UUID]:
    """Write rows as recorders would have, minute by minute; return the cameras."""
    cameras = [new_id() for _ in range(CAMERAS)]
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "temp_store=FILE"):
        connection.execute(f"PRAGMA {pragma}")
    found = connection.execute(
        "SELECT sql, name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'segment' "
        "AND sql IS NOT NULL"
    ).fetchall()
    for _, name in found:
        connection.execute(f'DROP INDEX "{name}"')
    connection.execute("CREATE TEMP TABLE camera (middle TEXT, hex TEXT, text TEXT)")
    connection.executemany(
        "INSERT INTO camera VALUES (?, ?, ?)",
        [(f"{number:03x}8{number:03x}", one.hex, str(one)) for number, one in enumerate(cameras)],
    )
    minutes = rows // CAMERAS
    epoch = int(_FIRST.timestamp())
    connection.execute("BEGIN")
    connection.execute(_INSERT, {"first": 0, "last": minutes, "epoch": epoch})
    connection.execute("COMMIT")
    for sql, _ in found:
        connection.execute(sql)
    connection.execute("PRAGMA analysis_limit=1000")
    connection.execute("ANALYZE")
    connection.close()
    return cameras


async def asked(recordings: Recordings, cameras: list[UUID], days: int) -> list[float]:
    """Return the milliseconds of each of `ASKED` views of a day."""
    chosen = random.Random(8)
    taken = []
    for _ in range(ASKED):
        start = _FIRST + timedelta(days=chosen.randrange(days))
        camera = chosen.choice(cameras)
        begun = time.perf_counter()
        async with recordings.database.read() as session:
            spans = await recordings.spans(session, camera, start, start + timedelta(days=1))
        taken.append((time.perf_counter() - begun) * 1000)
        if len(spans) != 1:
            raise RuntimeError(f"a day has {len(spans)} spans")
    return taken


def write_files(disk: Path, count: int) -> None:
    """Write closed files of sixty parts, with as little film as there can be."""
    disk.mkdir()
    (disk / ".camera-hub-disk").write_text("main\n")
    start = _FIRST
    cameras = [new_id() for _ in range(4)]
    moov = box(b"ftyp", b"iso6\0\0\0\0") + box(b"moov", b"\0" * 600)
    aged = time.time() - 3600  # noqa: TID251  # the age of files is the machine's
    for number in range(count):
        camera = cameras[number % len(cameras)]
        at = start + timedelta(minutes=number // len(cameras))
        header = SegmentHeader(
            "bench", camera, "main", new_id(), number, at, "avc1.640028", 1920, 1080, "always"
        )
        data = moov + box(b"uuid", HEADER_UUID.bytes, header.to_json())
        parts, keyframes, content = [], [], [data]
        offset = len(data)
        for part in range(_PARTS):
            wall = microseconds(at) + part * 1_000_000
            piece = prft(wall, part * _TICKS) + box(b"moof", b"\0" * 100) + box(b"mdat", b"\0" * 64)
            moment = from_microseconds(wall)
            parts.append(Part(offset, len(piece), moment, part * _TICKS, _TICKS, keyframe=True))
            keyframes.append(Keyframe(moment, part * _TICKS, offset + 32, 1))
            content.append(piece)
            offset += len(piece)
        content.append(closing(parts, keyframes, motion="", lost=0))
        path = disk / f"{camera}/{at:%Y-%m-%d}/{at:%H%M%S}-{number}-main.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(content))
        os.utime(path, (aged, aged))


def opened(database: Database, folder: Path) -> Recordings:
    """Return the index over a store."""
    clock = SystemClock()
    return Recordings(
        database,
        clock,
        Settings(data_dir=folder),
        law=Law.load(),
        ledger=Ledger(clock, folder / "keys"),
    )


async def measured(folder: Path, rows: int, files: int) -> dict[str, Any]:
    """Return all figures."""
    database = await make_store(folder / "index.db")
    await database.close()
    begun = time.perf_counter()
    cameras = await asyncio.to_thread(fill, folder / "index.db", rows)
    filled = time.perf_counter() - begun
    database = Database(f"sqlite+aiosqlite:///{folder / 'index.db'}")
    days = max(rows // CAMERAS // 1440 - 1, 1)
    taken = sorted(await asked(opened(database, folder), cameras, days))
    await database.close()
    size = (folder / "index.db").stat().st_size
    (folder / "index.db").unlink()
    await asyncio.to_thread(write_files, folder / "recordings", files)
    database = await make_store(folder / "empty.db")
    begun = time.perf_counter()
    report = await opened(database, folder).check("presence", repair=True)
    rebuilt = time.perf_counter() - begun
    await database.close()
    if report.indexed != files:
        raise RuntimeError(f"{report.indexed} of {files} files were indexed")
    return {
        "index_rows": rows,
        "index_gb": round(size / 1e9, 2),
        "index_filled_s": round(filled, 1),
        "day_query_ms_p50": round(taken[len(taken) // 2], 2),
        "day_query_ms_p95": round(quantiles(taken, n=20)[-1], 2),
        "rebuild_segments_per_s": round(files / rebuilt),
    }


def figures(long: bool = False, *, rows: int = ROWS, files: int = FILES) -> dict[str, Any]:
    """Return the figures by name; `long` rebuilds from ten times as many files."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        return asyncio.run(measured(Path(folder), rows, files * 10 if long else files))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:3]]
    print(json.dumps(figures(**dict(zip(("rows", "files"), given, strict=False)))))
