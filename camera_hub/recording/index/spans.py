"""Segments into spans without gaps; pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from camera_hub.recording.index.schemas import Span

GAP = timedelta(seconds=1.5)
"""What lies between two segments of one run: never nothing, with a clock that is bent."""

Interval = tuple[datetime, datetime]
Labelled = tuple[datetime, datetime, str]


def merged(rows: Iterable[Any], start: datetime, end: datetime) -> list[Span]:
    """Merge neighbouring segments, clipped to [start, end).

    Args:
        rows: (started_at, ends_at, cause, motion), by start; they may overlap.
        start: aware, UTC.
        end: aware, UTC.
    """
    spans: list[Span] = []
    begin = last = start
    of: str | None = None
    moving: list[Interval] = []
    for started_at, ends_at, cause, motion in rows:
        if of is None or started_at - last > GAP or cause != of:
            if of is not None:
                spans.append(Span(begin, last, of, tuple(moving)))
            # Where one cause takes over within a segment, the one before keeps its end.
            begin, of, moving = max(started_at, last), cause, []
        until = min(ends_at, end)
        last = max(last, until)
        if motion and motion.strip("0"):
            _add_motion(moving, started_at, motion, start, end)
    if of is not None:
        spans.append(Span(begin, last, of, tuple(moving)))
    return [span for span in spans if span.start < span.end]


def _add_motion(
    moving: list[Interval], started_at: datetime, bits: str, start: datetime, end: datetime
) -> None:
    """Append the seconds whose bit is set; neighbouring ones are one span."""
    number = int(bits, 16)
    while number:
        first = (number & -number).bit_length() - 1
        rest = number >> first
        count = (~rest & (rest + 1)).bit_length() - 1
        number &= ~(((1 << count) - 1) << first)
        begin = max(start, started_at + timedelta(seconds=first))
        until = min(end, started_at + timedelta(seconds=first + count))
        if begin >= until:
            continue
        if moving and begin - moving[-1][1] <= GAP:
            moving[-1] = (moving[-1][0], max(moving[-1][1], until))
        else:
            moving.append((begin, until))


def gaps(spans: Sequence[Span], start: datetime, end: datetime) -> list[Interval]:
    """Return what of [start, end) no span covers, leaving out what is within `GAP`."""
    found: list[Interval] = []
    at = start
    for span in spans:
        if span.start - at > GAP:
            found.append((at, span.start))
        at = max(at, span.end)
    if end - at > GAP:
        found.append((at, end))
    return found


def explained(gap: Interval, reasons: Sequence[Labelled], otherwise: str) -> list[Labelled]:
    """Cut a gap by what is known of it.

    Args:
        gap: from, to.
        reasons: (from, to, reason), the more certain ones first; they may overlap.
        otherwise: the reason of what nothing explains.
    """
    start, end = gap
    known = [(max(a, start), min(b, end), why) for a, b, why in reasons if a < end and b > start]
    if not known:
        return [(start, end, otherwise)]
    cuts = sorted({start, end, *(a for a, _, _ in known), *(b for _, b, _ in known)})
    found: list[Labelled] = []
    for a, b in pairwise(cuts):
        why = next((why for x, y, why in known if x <= a and b <= y), otherwise)
        if found and (found[-1][2] == why or b - a <= GAP):
            found[-1] = (found[-1][0], b, found[-1][2])
        else:
            found.append((a, b, why))
    return found
