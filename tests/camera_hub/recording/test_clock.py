"""The wall clock of a stream: monotone, bent by 500 ppm at most, and it says when it cannot be."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from camera_hub.recording.clock import MAX_PPM, WallClock

WALL = 1_800_000_000.0


def run(
    clock: WallClock,
    late: list[float],
    *,
    drift: float = 0.0,
    media0: float = 0.0,
    mono0: float = 0.0,
) -> list[tuple[float, float]]:
    """Feed ten pictures a part, each late by so much; return (media, wall) of the parts."""
    placed = []
    for number in range(len(late) // 10):
        for picture in range(10):
            at = number * 10 + picture
            media = media0 + at * 0.1
            arrives = mono0 + at * 0.1 * (1 + drift) + late[at]
            clock.observe(media, WALL + arrives, arrives)
        placed.append((media0 + float(number), clock.place(media0 + float(number))))
    return placed


@given(
    st.lists(st.floats(0, 30), min_size=10, max_size=400),
    st.floats(-0.01, 0.01),
)
def test_a_run_is_monotone_and_its_slope_within_500_ppm(late: list[float], drift: float) -> None:
    placed = run(WallClock(), late, drift=drift)
    for (media, wall), (media_after, wall_after) in itertools.pairwise(placed):
        passed = media_after - media
        bend = passed * MAX_PPM / 1e6
        # Wall clocks of this size are kept to a quarter of a microsecond.
        assert abs((wall_after - wall) - passed) <= bend + 1e-6
        assert wall_after > wall


@given(st.floats(-0.0004, 0.0004), st.lists(st.floats(0, 0.05), min_size=10, max_size=10))
def test_a_camera_that_runs_fast_or_slow_is_followed(drift: float, jitter: list[float]) -> None:
    clock = WallClock()
    parts = 3600
    placed = run(clock, jitter * parts, drift=drift)
    media, wall = placed[-1]
    assert not clock.jumped
    assert abs(wall - (WALL + media * (1 + drift) + min(jitter))) < 0.06


def test_a_burst_after_a_pause_is_no_jump() -> None:
    clock = WallClock()
    late = [0.0] * 100 + [4.0 - n * 0.1 for n in range(40)] + [0.0] * 100
    placed = run(clock, late)
    assert not clock.jumped
    assert abs(placed[-1][1] - (WALL + placed[-1][0])) < 0.01


def test_a_camera_that_stays_behind_or_runs_ahead_has_jumped() -> None:
    behind = WallClock()
    run(behind, [0.0] * 100 + [3.0] * 200)
    assert behind.jumped
    ahead = WallClock()
    run(ahead, [5.0] * 100 + [0.0] * 20)
    assert ahead.jumped


def test_a_host_clock_that_is_set_has_jumped_and_the_run_goes_on_as_it_was() -> None:
    clock = WallClock()
    run(clock, [0.0] * 50)
    for picture in range(10):
        media = 5 + picture * 0.1
        clock.observe(media, WALL + media - 3600, media)
    jumped = clock.jumped
    assert jumped
    assert abs(clock.place(5.0) - (WALL + 5.0)) < 0.01
    clock.restart()
    assert not clock.jumped
    clock.observe(6.0, WALL + 6.0 - 3600, 6.0)
    assert clock.place(6.0) == WALL + 6.0 - 3600
