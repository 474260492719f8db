"""A recorder on a disk of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camera_hub.recording.disks import Disk
from camera_hub.recording.recorder import RecorderOptions
from core.clock import ManualClock
from tests.camera_hub.recording.footage_feed import START, Rig, disk_at


@pytest.fixture
def manual() -> ManualClock:
    """Give the clock of the test."""
    return ManualClock(START)


@pytest.fixture
def rig_of(manual: ManualClock, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Give a maker of rigs; without disks there is one at `tmp_path/disk`."""
    made: list[Rig] = []

    def make(*disks: Disk, segment_s: float = 10, pre_s: float = 5, late_s: float = 0) -> Rig:
        options = RecorderOptions(segment_s, 1.0, pre_s, late_s)
        given = disks or (disk_at(tmp_path / "disk", manual),)
        made.append(Rig(*given, clock=manual, options=options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
