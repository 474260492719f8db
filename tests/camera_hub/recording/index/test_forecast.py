"""When a disk will be full, by what must be kept on it."""

import pytest

from camera_hub.recording.index.forecast import Load, capacity_of, full_after

GB = 1_000_000_000


def test_a_new_disk_is_full_when_it_cannot_hold_what_must_be_kept() -> None:
    # 10 GB a day for 30 days into 200 GB: on the 20th day.
    growing = Load(used=0, per_day=10 * GB, days_held=0, kept_days=30)
    assert full_after([growing], 200 * GB) == pytest.approx(20, abs=0.01)
    assert full_after([growing], 301 * GB) is None
    # Two cameras share it.
    assert full_after([growing, growing], 200 * GB) == pytest.approx(10, abs=0.01)


def test_a_disk_in_its_steady_state_is_never_full() -> None:
    steady = Load(used=300 * GB, per_day=10 * GB, days_held=30, kept_days=30)
    assert full_after([steady], 301 * GB) is None
    # It writes more than it did: the new must fit beside the old until that has gone.
    more = Load(used=300 * GB, per_day=20 * GB, days_held=30, kept_days=30)
    assert full_after([more], 400 * GB) == pytest.approx(10, abs=0.01)
    assert full_after([more], 601 * GB) is None


def test_what_may_go_for_room_fills_no_disk_but_locks_do() -> None:
    ring = Load(used=90 * GB, per_day=50 * GB, days_held=2, kept_days=0)
    assert full_after([ring], 100 * GB) is None
    assert full_after([Load(0, 0.0, 0, 0, locked=101 * GB)], 100 * GB) == 0
    floor = Load(used=90 * GB, per_day=45 * GB, days_held=2, kept_days=3)
    assert full_after([floor], 100 * GB) == pytest.approx(10 / 45, abs=0.01)


def test_the_smaller_of_quota_and_room_counts() -> None:
    assert capacity_of(0, 40, 60) == 100
    assert capacity_of(70, 40, 60) == 70
    assert capacity_of(200, 40, 60) == 100
    assert capacity_of(0, 40, -5) == 40
