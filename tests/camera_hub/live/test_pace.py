"""How many pictures of a camera a rendition takes."""

import random

import pytest

from camera_hub.live.rendering import Pace


def taken(arrivals: list[float]) -> list[float]:
    """Return those of `arrivals` (seconds) that a pace of 12 a second takes."""
    pace = Pace(12)
    return [at for at in arrivals if pace.takes(at)]


@pytest.mark.parametrize(("fps", "wanted"), [(5, 50), (10, 100), (12, 120), (25, 120), (60, 120)])
def test_a_stream_gives_twelve_a_second_or_all_it_has(fps: int, wanted: int) -> None:
    clock = random.Random(fps)
    arrivals = [n / fps + clock.uniform(-0.008, 0.008) for n in range(10 * fps)]
    assert abs(len(taken(arrivals)) - wanted) <= 2


def test_after_a_pause_nothing_is_made_up_for() -> None:
    arrivals = [n / 25 for n in range(25)] + [10 + n / 25 for n in range(25)]
    late = [at for at in taken(arrivals) if at >= 10]
    assert len(late) <= 14
