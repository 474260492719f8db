"""What was recorded is told to the hub until it says that it has it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from camera_hub.recording.care import Caretaker, waiting_markers
from camera_hub.recording.disks import PENDING
from camera_hub.recording.index.schemas import BadSegment, SegmentsIn
from camera_hub.recording.sending import Answer, Sender, read_answer
from core.clock import ManualClock
from core.ids import new_id
from tests.camera_hub.recording.footage_feed import Rig, info_of
from tests.support.waiting import until

Make = Callable[..., Rig]


class Hub:
    """The other end: may be away, takes some, refuses some."""

    def __init__(self) -> None:
        self.away = False
        self.posts = 0
        self.got: list[dict[str, Any]] = []
        self.takes: Callable[[UUID], bool] = lambda _id: True

    async def post(self, segments: list[dict[str, Any]]) -> Answer | None:
        """Take segments as the api does."""
        self.posts += 1
        if self.away:
            return None
        body = SegmentsIn.model_validate({"segments": segments})
        assert not any(isinstance(one, BadSegment) for one in body.segments)
        ids = [UUID(segment["id"]) for segment in segments]
        self.got += [s for s, i in zip(segments, ids, strict=True) if self.takes(i)]
        return read_answer(
            {
                "taken": [str(i) for i in ids if self.takes(i)],
                "refused": [
                    {"id": str(i), "code": "path-taken", "message": "there is another"}
                    for i in ids
                    if not self.takes(i)
                ],
            }
        )


def record_some(rig: Rig, pictures: int = 760) -> None:
    """Record three files and a bit."""
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(pictures)
    rig.recorder.closed()
    rig.settle()


@pytest.mark.faults
async def test_while_the_hub_is_away_segments_wait_and_none_is_forgotten(
    rig_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_hub.recording.sending._FIRST_DELAY_S", 0.01)
    rig = rig_of()
    (disk,) = rig.disks
    hub = Hub()
    hub.away = True
    sender = Sender(hub.post, asyncio.get_running_loop())
    running = asyncio.create_task(sender.run())
    await asyncio.to_thread(record_some, rig)
    sender.add(disk, [record.id for record in rig.records])
    await until(lambda: hub.posts >= 3)
    assert sorted(r.id for r in rig.records) == waiting_markers(disk.path)
    hub.away = False
    await until(lambda: sender.waiting == 0)
    assert [s["sequence"] for s in hub.got] == [1, 2, 3, 4]
    assert hub.got == [record.to_json() for record in rig.records]
    assert waiting_markers(disk.path) == []
    running.cancel()


async def test_only_what_was_taken_is_forgotten(rig_of: Make) -> None:
    rig = rig_of()
    (disk,) = rig.disks
    hub = Hub()
    await asyncio.to_thread(record_some, rig)
    refused = rig.records[1].id
    hub.takes = lambda segment_id: segment_id != refused
    sender = Sender(hub.post, asyncio.get_running_loop())
    sender.add(disk, [record.id for record in rig.records])
    await until(lambda: sender.waiting)
    assert await sender.send_some()
    assert sender.waiting == 0
    assert waiting_markers(disk.path) == [refused]


@pytest.mark.faults
async def test_after_a_restart_what_was_not_told_is_told(rig_of: Make, manual: ManualClock) -> None:
    before = rig_of()
    await asyncio.to_thread(record_some, before, 130)
    before.close()

    after = rig_of()
    (disk,) = after.disks
    hub = Hub()
    sender = Sender(hub.post, asyncio.get_running_loop())
    running = asyncio.create_task(sender.run())
    caretaker = Caretaker(after.disks, manual, on_waiting=sender.add)
    caretaker.start()
    await until(lambda: not waiting_markers(disk.path))
    assert [s["id"] for s in hub.got] == [str(record.id) for record in before.records]
    await asyncio.to_thread(caretaker.stop)
    running.cancel()


async def test_a_marker_without_a_recording_goes_and_one_that_is_unreadable_stays(
    rig_of: Make, tmp_path: Path
) -> None:
    rig = rig_of()
    (disk,) = rig.disks
    await asyncio.to_thread(record_some, rig, 500)
    (disk.path / rig.records[0].path).unlink()
    junk = disk.path / PENDING / f"{new_id()}.json"
    junk.write_bytes(b"{")
    hub = Hub()
    sender = Sender(hub.post, asyncio.get_running_loop())
    sender.add(disk, waiting_markers(disk.path))
    await until(lambda: sender.waiting)
    assert await sender.send_some()
    assert [s["sequence"] for s in hub.got] == [2]
    assert [path.name for path in (disk.path / PENDING).iterdir()] == [junk.name]
