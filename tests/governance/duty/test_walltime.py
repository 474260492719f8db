"""Hours on a wall clock as instants, on the days when the clock changes and on all others."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.duty.walltime import instant, occurrences
from tests.support.examples import examples

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)  # Sundays


@dataclass(frozen=True)
class Hours:
    weekday: int
    starts: str
    ends: str


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "clock", "zone", "expected"),
    [
        (date(2026, 11, 22), "08:00", SHANGHAI, "2026-11-22T00:00"),
        (date(2026, 7, 1), "08:00", BERLIN, "2026-07-01T06:00"),
        # Left out between 02:00 and 03:00: the instant of the change, whatever the minute.
        (SPRING, "02:00", BERLIN, "2026-03-29T01:00"),
        (SPRING, "02:30", BERLIN, "2026-03-29T01:00"),
        (SPRING, "03:00", BERLIN, "2026-03-29T01:00"),
        (SPRING, "01:59", BERLIN, "2026-03-29T00:59"),
        # Shown twice between 02:00 and 03:00: the first time.
        (AUTUMN, "02:00", BERLIN, "2026-10-25T00:00"),
        (AUTUMN, "02:30", BERLIN, "2026-10-25T00:30"),
        (AUTUMN, "03:00", BERLIN, "2026-10-25T02:00"),
        (date(2026, 10, 4), "02:15", LORD_HOWE, "2026-10-03T15:30"),
    ],
)
def test_a_time_of_day_is_the_first_instant_at_which_the_wall_clock_shows_it(
    day: date, clock: str, zone: ZoneInfo, expected: str
) -> None:
    assert instant(day, clock, zone) == utc(expected)


@pytest.mark.parametrize(
    ("night", "hours"),
    [(date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2026, 11, 21), 8)],
)
def test_a_night_is_shorter_or_longer_when_the_clock_changes_in_it(night: date, hours: int) -> None:
    """22:00-06:00 is 7, 9 or 8 hours, and the day shift begins when it ends."""
    around = datetime(night.year, night.month, night.day, 12, tzinfo=BERLIN)
    (found,) = occurrences(
        Hours(night.weekday(), "22:00", "06:00"), around, around + timedelta(days=1), BERLIN
    )
    assert found[1] - found[0] == timedelta(hours=hours)
    (day_shift,) = occurrences(
        Hours((night.weekday() + 1) % 7, "06:00", "14:00"),
        around,
        around + timedelta(days=1),
        BERLIN,
    )
    assert day_shift[0] == found[1]


def test_hours_that_the_clock_leaves_out_do_not_exist_that_week() -> None:
    missing = Hours(6, "02:10", "02:50")
    since = utc("2026-03-22T12:00")
    assert [
        begin for begin, _ in occurrences(missing, since, since + timedelta(days=21), BERLIN)
    ] == [
        utc("2026-04-05T00:10"),
        utc("2026-04-12T00:10"),
    ]


def test_whoever_ends_in_the_hour_shown_twice_is_followed_at_the_same_instant() -> None:
    since, until = utc("2026-10-24T12:00"), utc("2026-10-25T12:00")
    (first,) = occurrences(Hours(6, "00:00", "02:30"), since, until, BERLIN)
    (second,) = occurrences(Hours(6, "02:30", "08:00"), since, until, BERLIN)
    assert first[1] == second[0] == utc("2026-10-25T00:30")
    assert second[1] == utc("2026-10-25T07:00")


def test_equal_times_are_a_whole_day() -> None:
    since = utc("2026-11-23T00:00")
    (found,) = occurrences(Hours(0, "16:00", "16:00"), since, since + timedelta(hours=20), SHANGHAI)
    assert found == (utc("2026-11-23T08:00"), utc("2026-11-24T08:00"))


CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02d}:{t[1]:02d}")


@settings(max_examples=examples(60), deadline=None)
@given(
    edges=st.lists(CLOCKS, min_size=2, max_size=5, unique=True).map(sorted),
    at=st.integers(0, 366 * 24 * 60).map(lambda m: utc("2026-01-01T00:00") + timedelta(minutes=m)),
    zone=st.sampled_from([BERLIN, SHANGHAI, LORD_HOWE]),
)
def test_shifts_that_follow_each_other_leave_nobody_out_and_nobody_twice(
    edges: list[str], at: datetime, zone: ZoneInfo
) -> None:
    """A day cut anywhere, every day of the week: at every instant exactly one shift runs."""
    shifts = [
        Hours(day, starts, ends)
        for day in range(7)
        for starts, ends in zip(edges, [*edges[1:], edges[0]], strict=True)
    ]
    running = [
        shift
        for shift in shifts
        for begin, end in occurrences(shift, at, at + timedelta(microseconds=1), zone)
        if begin <= at < end
    ]
    assert len(running) == 1
