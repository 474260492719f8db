"""Where people are between two looks: an object that moves steadily is never uncovered."""

from hypothesis import given
from hypothesis import strategies as st

from analytics.redaction.sights import HOLD_NAMELESS_S, HOLD_S, Sights
from analytics.tracking.types import TrackedObject
from analytics.zones.geometry import Box

ASPECT = 16 / 9
coordinate = st.floats(0.1, 0.8)
side = st.floats(0.02, 0.2)
# Heights of the picture a second.
speed = st.floats(-0.5, 0.5)


def seen(box: Box, track: int | None = 1) -> TrackedObject:
    return TrackedObject(track, "person", 0.9, box)


def covers(outer: Box, inner: Box) -> bool:
    near = 1e-9
    return (
        outer[0] <= inner[0] + near
        and outer[1] <= inner[1] + near
        and outer[2] >= inner[2] - near
        and outer[3] >= inner[3] - near
    )


@given(coordinate, coordinate, side, side, speed, speed, st.floats(0.05, 0.5), st.floats(0, 1))
def test_whoever_moves_steadily_is_covered_at_every_moment_between_two_looks(
    x: float, y: float, width: float, height: float, vx: float, vy: float, gap: float, share: float
) -> None:
    def at(seconds: float) -> Box:
        left, top = x + vx * seconds / ASPECT, y + vy * seconds
        return left, top, left + width, top + height

    sights = Sights()
    sights.add(0.0, [seen(at(0.0))])
    sights.add(gap, [seen(at(gap))])
    moment = gap * share
    assert any(covers(box, at(moment)) for box in sights.at(moment, ASPECT))


@given(coordinate, coordinate, side, side, st.floats(0, 0.16))
def test_whoever_walks_in_between_two_looks_is_covered_before_the_look(
    x: float, y: float, width: float, height: float, before: float
) -> None:
    # A walking person moves about 0.85 times its height a second.
    longer = max(width * ASPECT, height)
    sights = Sights()
    sights.add(1.0, [seen((x, y, x + width, y + height), None)])
    shift = 0.85 * longer * before / ASPECT
    earlier = (x - shift, y, x + width - shift, y + height)
    assert any(covers(box, earlier) for box in sights.at(1.0 - before, ASPECT))


def test_who_is_lost_is_carried_on_for_a_while_and_no_longer() -> None:
    sights = Sights()
    sights.add(0.0, [seen((0.1, 0.1, 0.2, 0.4))])
    sights.add(0.2, [seen((0.15, 0.1, 0.25, 0.4)), seen((0.6, 0.6, 0.7, 0.8), None)])
    for after in (0.1, 0.5, 0.9):
        carried = (0.15 + 0.25 * after, 0.1, 0.25 + 0.25 * after, 0.4)
        assert any(covers(box, carried) for box in sights.at(0.2 + after, ASPECT))
    nameless = (0.6, 0.6, 0.7, 0.8)
    assert any(covers(box, nameless) for box in sights.at(0.19 + HOLD_NAMELESS_S, ASPECT))
    assert not any(covers(box, nameless) for box in sights.at(0.21 + HOLD_NAMELESS_S, ASPECT))
    assert sights.at(0.21 + HOLD_S, ASPECT) == []
