"""An index over a store, with one disk of its own and cameras of which little is said."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from access.jurisdictions import Law
from access.ledger.service import Ledger
from camera_hub.devices.models import Camera
from camera_hub.recording.index.schemas import SegmentIn
from camera_hub.recording.index.service import Recordings
from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from core.settings_recording import DiskSettings, RecordingSettings
from tests.support.recorded import write_segment

START = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)


def settings_of(data_dir: Path, **disk: Any) -> Settings:
    """Settings with one disk `main` beside the data directory."""
    given = {"name": "main", "path": data_dir.parent / "disk", "keep_free_gb": 0, **disk}
    return Settings(data_dir=data_dir, recording=RecordingSettings(disks=[DiskSettings(**given)]))


def make_disk(path: Path, name: str = "main") -> Path:
    """Make the folder of a disk as a recorder does."""
    path.mkdir(parents=True)
    (path / ".camera-hub-disk").write_text(f"{name}\n")
    return path


def make_recordings(
    database: Database, clock: ManualClock, settings: Settings, law: Law | None = None
) -> Recordings:
    ledger = Ledger(clock, settings.ledger_dir / "keys")
    return Recordings(database, clock, settings, law=law or Law.load(), ledger=ledger)


@dataclass
class Shelf:
    """The index, its disk, and a way to put recordings there."""

    recordings: Recordings
    database: Database
    clock: ManualClock
    disk: Path

    async def camera(self, **more: Any) -> UUID:
        """Add a camera of a shared space."""
        camera = Camera(
            id=new_id(), name="Gate", area="demo/here", place_kind="shared_space",
            source_kind="rtsp", address="rtsp://127.0.0.1:9/cam", created_at=self.clock.now(),
        )  # fmt: skip
        for name, value in more.items():
            setattr(camera, name, value)
        async with self.database.transaction() as session:
            session.add(camera)
        return camera.id

    async def record(
        self, camera_id: UUID, ages_h: list[float], *, size: int | None = None, file: bool = True
    ) -> list[SegmentIn]:
        """Put one recording of six seconds there for each age in hours, oldest first."""
        made = []
        for number, age in enumerate(sorted(ages_h, reverse=True)):
            at = self.clock.now() - timedelta(hours=age)
            one = write_segment(self.disk, camera_id, at, sequence=number, seconds=1)
            if not file:
                (self.disk / one.path).unlink()
            made.append(one if size is None else one.model_copy(update={"bytes": size}))
        async with self.database.transaction() as session:
            out = await self.recordings.take(session, "test", made)
        assert out.refused == []
        return made

    async def indexed(self, camera_id: UUID) -> list[UUID]:
        """Return the ids of a camera's recordings, by start."""
        async with self.database.read() as session:
            found = await self.recordings.segments(
                session, camera_id, START - timedelta(days=400), START + timedelta(days=400)
            )
        return [one.id for one in found]

    def on_disk(self, segments: list[SegmentIn]) -> list[bool]:
        """Say of each whether its file is there."""
        return [(self.disk / one.path).exists() for one in segments]


@pytest.fixture
def shelf(database: Database, clock: ManualClock, tmp_path: Path) -> Shelf:
    """The index with a disk that has no limit of its own."""
    disk = make_disk(tmp_path / "disk")
    recordings = make_recordings(database, clock, settings_of(tmp_path / "data"))
    return Shelf(recordings, database, clock, disk)
