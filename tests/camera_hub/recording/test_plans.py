"""When a camera records, also on the days on which clocks are changed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from camera_hub.devices.recording_plan import RecordingPlan
from camera_hub.recording.plans import Plan

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = {"days": ["sat", "sun"], "from": "22:00", "to": "03:00"}


def scheduled(*windows: dict[str, Any]) -> Plan:
    """Return a plan of these hours, as it comes over the wire."""
    plan = RecordingPlan.model_validate({"mode": "schedule", "schedule": windows})
    return Plan.from_json(plan.model_dump(mode="json", by_alias=True))


def hours(plan: Plan, start: datetime, end: datetime, zone: ZoneInfo) -> float:
    """Return for how many hours it records, looked at every five minutes."""
    step, total = timedelta(minutes=5), timedelta()
    while start < end:
        total += step if plan.cause(start, zone) == "schedule" else timedelta()
        start += step
    return total / timedelta(hours=1)


def test_hours_over_midnight_belong_to_the_day_they_start_on() -> None:
    plan = scheduled(NIGHT)
    monday = datetime(2026, 6, 1, tzinfo=SHANGHAI)
    assert hours(plan, monday, monday + timedelta(days=7), SHANGHAI) == 10
    assert plan.cause(monday + timedelta(hours=2), SHANGHAI) == "schedule"  # sunday's
    assert plan.cause(monday + timedelta(days=5, hours=2), SHANGHAI) is None


@pytest.mark.parametrize(
    ("sunday", "expected"),
    [
        (datetime(2026, 3, 29, tzinfo=BERLIN), 4),  # 2:00 becomes 3:00
        (datetime(2026, 10, 25, tzinfo=BERLIN), 6),  # 3:00 becomes 2:00
    ],
)
def test_the_hours_are_those_on_the_wall(sunday: datetime, expected: float) -> None:
    plan = scheduled({"days": ["sat"], "from": "22:00", "to": "03:00"})
    start = datetime.fromtimestamp(sunday.timestamp() - 12 * 3600, UTC)
    assert hours(plan, start, start + timedelta(hours=30), BERLIN) == expected


def test_from_equal_to_to_is_the_whole_day() -> None:
    plan = scheduled({"days": ["mon"], "from": "08:00", "to": "08:00"})
    monday = datetime(2026, 6, 1, tzinfo=SHANGHAI)
    assert hours(plan, monday, monday + timedelta(days=3), SHANGHAI) == 24


def test_without_hours_a_schedule_never_runs_and_nothing_said_is_off() -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    assert Plan.from_json({"mode": "schedule"}).cause(at, SHANGHAI) is None
    assert not Plan.from_json({}).reads
    assert Plan.from_json({"mode": "always"}).cause(at, SHANGHAI) == "always"


@pytest.mark.parametrize(
    "bad",
    [
        {"mode": "sometimes"},
        {"mode": "always", "role": "third"},
        {"mode": "schedule", "schedule": [{"days": ["mon"]}]},
        {"mode": "schedule", "schedule": [{"days": ["mon"], "from": "25:00", "to": "3"}]},
    ],
)
def test_a_plan_that_is_not_understood_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        Plan.from_json(bad)
