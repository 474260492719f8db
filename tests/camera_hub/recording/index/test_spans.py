"""Segments become spans, bits become motion, and every gap has a reason."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from camera_hub.recording.index.spans import GAP, explained, gaps, merged

T = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def row(start: float, end: float, cause: str = "always", motion: str = "") -> tuple:  # type: ignore[type-arg]
    return at(start), at(end), cause, motion


def spans(*rows: tuple, start: float = 0, end: float = 1000) -> list:  # type: ignore[type-arg]
    found = merged(rows, at(start), at(end))
    return [((s.start - T).total_seconds(), (s.end - T).total_seconds(), s.cause) for s in found]


def test_neighbours_within_a_second_and_a_half_are_one_span() -> None:
    assert spans(row(0, 60), row(60.2, 120), row(121.5, 180)) == [(0, 180, "always")]
    assert spans(row(0, 60), row(61.6, 120)) == [(0, 60, "always"), (61.6, 120, "always")]
    assert spans(row(0, 60), row(60, 120, "event")) == [(0, 60, "always"), (60, 120, "event")]
    # Cause taking over within a segment, and two streams recorded at once.
    assert spans(row(0, 60), row(30, 90, "event")) == [(0, 60, "always"), (60, 90, "event")]
    assert spans(row(0, 60), row(10, 20), row(30, 90)) == [(0, 90, "always")]


def test_a_span_is_cut_where_it_was_asked_for() -> None:
    assert spans(row(-30, 30), row(30, 1030)) == [(0, 1000, "always")]
    assert spans(row(-30, 0.0)) == []


def test_motion_bits_are_seconds_of_their_segment() -> None:
    (span,) = merged([row(0, 60, motion="7"), row(60, 120, motion=f"{1 << 59 | 1:x}")], T, at(200))
    seconds = [[(t - T).total_seconds() for t in one] for one in span.motion]
    assert seconds == [[0, 3], [60, 61], [119, 120]]
    (span,) = merged([row(0, 64, motion="f" * 16), row(64, 100, motion="1")], at(2), at(99))
    assert [[(t - T).total_seconds() for t in one] for one in span.motion] == [[2, 65]]
    (span,) = merged([row(0, 60, motion="0" * 16)], T, at(60))
    assert span.motion == ()


lengths = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), max_size=30)


@given(lengths, st.integers(0, 300), st.integers(1, 900))
def test_spans_and_gaps_cover_what_was_asked_for_and_no_second_twice(
    pieces: list[tuple[int, int]], start: int, length: int
) -> None:
    rows, now = [], 0
    for pause, seconds in pieces:
        rows.append(row(now + pause, now + pause + seconds))
        now += pause + seconds
    a, b = at(start), at(start + length)
    inside = [one for one in rows if one[0] < b and one[1] > a]
    found = merged(inside, a, b)
    edges = [t for one in found for t in (one.start, one.end)]
    assert edges == sorted(edges)
    recorded = sum((min(y, b) - max(x, a)).total_seconds() for x, y, _, _ in inside)
    covered = sum((one.end - one.start).total_seconds() for one in found)
    assert recorded <= covered <= recorded + len(inside) * GAP.total_seconds()
    left = gaps(found, a, b)
    assert all(y - x > GAP for x, y in left)
    pauses = sum((y - x).total_seconds() for x, y in left)
    assert length - 2 * GAP.total_seconds() <= covered + pauses <= length


def test_a_gap_is_cut_by_its_reasons_and_the_first_counts() -> None:
    reasons = [(at(0), at(10), "deleted"), (at(5), at(30), "offline"), (at(50), at(90), "lost")]
    found = explained((at(2), at(60)), reasons, "unknown")
    assert [((a - T).total_seconds(), (b - T).total_seconds(), why) for a, b, why in found] == [
        (2, 10, "deleted"), (10, 30, "offline"), (30, 50, "unknown"), (50, 60, "lost"),
    ]  # fmt: skip
    assert explained((at(2), at(60)), [], "off") == [(at(2), at(60), "off")]
