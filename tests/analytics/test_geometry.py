"""Where an object stands, and whether hours are running."""

from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from analytics.zones.geometry import ZoneShape, ground_point
from analytics.zones.schedule import is_active
from analytics.zones.schemas import ScheduleWindow
from core.weekly import Day

UNIT = st.floats(0, 1, allow_nan=False, width=32)
BERLIN = ZoneInfo("Europe/Berlin")
SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


@given(st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=10), UNIT, UNIT)
def test_a_point_is_inside_exactly_where_the_polygon_is(
    points: list[tuple[float, float]], x: float, y: float
) -> None:
    polygon = Polygon(points)
    if polygon.is_valid and polygon.area > 1e-5:
        shape = ZoneShape(points)
        assert shape.contains_point(x, y) == polygon.intersects(Point(x, y))
        if shape.contains_point(x, y):
            assert shape.contains_point(x, y, was_inside=True)


@given(UNIT, UNIT, UNIT, UNIT)
def test_an_object_stands_where_its_box_touches_the_ground(
    a: float, b: float, c: float, d: float
) -> None:
    box = (min(a, b), min(c, d), max(a, b), max(c, d))
    x, y = ground_point(box)
    assert y == box[3]
    assert box[0] <= x <= box[2]
    in_square = 0.25 <= x <= 0.75 and 0.25 <= y <= 0.75
    assert ZoneShape(SQUARE).contains_box(box) == in_square


def test_a_tall_person_behind_a_zone_is_not_in_it() -> None:
    shape = ZoneShape(SQUARE)
    assert not shape.contains_box((0.4, 0.3, 0.6, 0.9))
    assert shape.contains_box((0.4, 0.0, 0.6, 0.5))


def test_who_was_inside_must_leave_clearly() -> None:
    shape = ZoneShape(SQUARE)
    assert not shape.contains_point(0.76, 0.5)
    assert shape.contains_point(0.76, 0.5, was_inside=True)
    assert not shape.contains_point(0.78, 0.5, was_inside=True)


def window(days: list[str], start: str, end: str) -> ScheduleWindow:
    return ScheduleWindow.model_validate({"days": days, "from": start, "to": end})


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


# 2026-11-23 is a Monday.
@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23T21:59:59", False),
        ("2026-11-23T22:00:00", True),
        ("2026-11-24T00:00:00", True),
        ("2026-11-24T05:59:59", True),
        ("2026-11-24T06:00:00", False),
        ("2026-11-24T22:30:00", False),
        ("2026-11-23T03:00:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_starts_on(
    moment: str, expected: bool
) -> None:
    assert is_active([window(["mon"], "22:00", "06:00")], at(moment), BERLIN) is expected


def test_sunday_night_reaches_into_monday() -> None:
    night = [window(["sun"], "22:00", "06:00")]
    assert is_active(night, at("2026-11-23T01:00:00"), BERLIN)


def test_no_windows_is_always_and_equal_times_are_a_whole_day() -> None:
    assert is_active([], at("2026-11-23T12:00:00"), BERLIN)
    day = [window(["mon"], "00:00", "00:00")]
    assert is_active(day, at("2026-11-23T00:00:00"), BERLIN)
    assert is_active(day, at("2026-11-23T23:59:59"), BERLIN)
    assert not is_active(day, at("2026-11-24T00:00:00"), BERLIN)
    shifted = [window(["mon"], "08:00", "08:00")]
    assert is_active(shifted, at("2026-11-24T07:59:00"), BERLIN)
    assert not is_active(shifted, at("2026-11-24T08:00:00"), BERLIN)


def test_the_site_says_which_hour_it_is() -> None:
    night = [window(list(get_args(Day)), "22:00", "06:00")]
    moment = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
    assert is_active(night, moment, ZoneInfo("Asia/Shanghai"))
    assert not is_active(night, moment, BERLIN)


def test_the_hour_shown_twice_counts_twice() -> None:
    # Berlin puts its clock back on 2026-10-25: 02:30 is shown at 00:30 and at 01:30 UTC.
    hour = [window(["sun"], "02:00", "03:00")]
    for utc_hour, expected in ((0, True), (1, True), (2, False)):
        assert is_active(hour, datetime(2026, 10, 25, utc_hour, 30, tzinfo=UTC), BERLIN) is expected


def test_a_night_in_which_the_clock_is_put_forward_has_no_gap() -> None:
    # On 2026-03-29 Berlin goes from 01:59:59 to 03:00.
    night = [window(["sat"], "22:00", "06:00")]
    missing = [window(["sun"], "02:00", "03:00")]
    for minute in range(0, 8 * 60, 5):
        moment = datetime(2026, 3, 28, 21, 0, tzinfo=UTC).timestamp() + minute * 60
        instant = datetime.fromtimestamp(moment, UTC)
        assert is_active(night, instant, BERLIN) is (minute < 7 * 60)
        assert not is_active(missing, instant, BERLIN)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_window_and_its_complement_never_run_together(moment: datetime) -> None:
    if not datetime(1971, 1, 2, tzinfo=UTC) < moment < datetime(2100, 1, 1, tzinfo=UTC):
        return
    every_day = list(get_args(Day))
    night = is_active([window(every_day, "22:00", "06:00")], moment, BERLIN)
    day = is_active([window(every_day, "06:00", "22:00")], moment, BERLIN)
    assert night != day
