"""Recordings and disks that fail are told once, and told to be well once."""

from pathlib import Path
from typing import Any

import pytest

from app.recording_faults import RecordingFaults
from camera_hub.recording.disks import DiskReport, DiskState
from camera_hub.recording.service import CameraRecording, Reason, RecordingState
from camera_hub.streams.types import AssignedCamera, ReasonCode, StreamState, StreamStatus
from core.clock import ManualClock
from core.ids import new_id
from governance.incidents.kinds import KINDS, RECOVERING
from governance.signals.schemas import SignalIn

CAMERA = AssignedCamera(new_id(), "Gate", "demo", 1, {})


class Watch:
    """The watch, what it told, and how things are."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.told: list[dict[str, Any]] = []
        self.faults = RecordingFaults(clock, self.told.append, folder / "journal.json", "media-0")

    def see(
        self,
        recording: tuple[RecordingState, Reason],
        *,
        online: bool = True,
        disk: DiskState = DiskState.OK,
        seconds: int = 1,
    ) -> list[tuple[str, str]]:
        """Observe for a while; return kinds and phases of what was told."""
        self.told.clear()
        state = StreamState.ONLINE if online else StreamState.STALLED
        status = StreamStatus(state, ReasonCode.OK, "", self.clock.now())
        report = DiskReport("d1", disk, "It is full.", 10, 5, 5)
        for _ in range(seconds):
            self.faults.observe(
                {CAMERA.id: CAMERA},
                {CAMERA.id: status},
                {CAMERA.id: CameraRecording(*recording)},
                [report],
            )
            self.clock.advance(1)
        for signal in self.told:
            taken = SignalIn.model_validate(signal)
            assert taken.kind in RECOVERING
        return [(KINDS[s["type"]], s["data"]["phase"]) for s in self.told]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Give a watch to which nothing has happened."""
    return Watch(tmp_path, ManualClock())


def test_a_camera_that_is_not_recorded_is_told_once_and_its_end_once(watch: Watch) -> None:
    assert watch.see(("recording", ""), seconds=3) == []
    assert watch.see(("failing", "no_disk"), seconds=5) == [("camera_not_recording", "started")]
    key = watch.told[0]["data"]["event_key"]
    assert "no disk can be written to" in watch.told[0]["data"]["headline"]
    assert watch.see(("waiting", "starting"), seconds=3) == []
    assert watch.see(("recording", ""), seconds=3) == [("camera_not_recording", "ended")]
    assert watch.told[0]["data"]["event_key"] == key


def test_a_camera_that_is_away_is_told_as_that_by_others(watch: Watch) -> None:
    assert watch.see(("failing", "no_video"), online=False, seconds=60) == []
    assert watch.see(("failing", "no_video"), seconds=29) == []
    assert watch.see(("failing", "no_video"), seconds=3) == [("camera_not_recording", "started")]
    assert watch.see(("off", ""), seconds=2) == [("camera_not_recording", "ended")]


def test_a_disk_is_told_of_when_it_stays_bad(watch: Watch) -> None:
    recorded: tuple[RecordingState, Reason] = ("recording", "")
    assert watch.see(recorded, disk=DiskState.FULL, seconds=3) == []
    assert watch.see(recorded, seconds=2) == []
    assert watch.see(recorded, disk=DiskState.GONE, seconds=9) == [("disk_failed", "started")]
    assert watch.see(recorded, seconds=2) == [("disk_failed", "ended")]


@pytest.mark.faults
def test_what_failed_before_a_restart_ends_after_it(tmp_path: Path) -> None:
    clock = ManualClock()
    before = Watch(tmp_path, clock)
    assert before.see(("failing", "disk_slow")) == [("camera_not_recording", "started")]
    key = before.told[0]["data"]["event_key"]
    after = Watch(tmp_path, clock)
    assert after.see(("failing", "disk_slow"), seconds=2) == []
    assert after.see(("recording", "")) == [("camera_not_recording", "ended")]
    assert after.told[0]["data"]["event_key"] == key
    assert Watch(tmp_path, clock).see(("recording", "")) == []
