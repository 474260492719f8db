"""Faults of pictures, made of real footage: each is found, and an hour of good pictures is none."""

from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from analytics.health.checker import AFTER_S, Change, Fault, PictureChecker
from analytics.health.measures import HEIGHT, WIDTH, Grey
from camera_hub.streams.frames import open_file

CLIPS = Path("/work/shared/clips")
STEP_S = 10.0
Spoil = Callable[[Grey], Grey]
_NOISE = np.random.default_rng(1).normal(0, 1.5, (31, HEIGHT, WIDTH)).astype(np.float32)
"""A sensor's noise, as it comes on top of whatever the lens lets through."""


def _load(name: str) -> list[Grey]:
    """Return a picture a second of a clip."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"{path} is not there: real footage is needed")
    found = []
    with av.open(str(path)) as container:
        due = 0.0
        for frame in container.decode(video=0):
            if float(frame.time or 0) >= due:
                due += 1.0
                grey = frame.to_ndarray(format="gray")
                found.append(np.asarray(cv2.resize(grey, (WIDTH, HEIGHT)), np.uint8))
    return found


@pytest.fixture(scope="module", params=["one-by-one-person-detection.mp4", "car-detection.mp4"])
def clip(request: pytest.FixtureRequest) -> list[Grey]:
    return _load(request.param)


@pytest.fixture(scope="module")
def one_clip() -> list[Grey]:
    """Give one clip, for what does not depend on the scene."""
    return _load("one-by-one-person-detection.mp4")


class Run:
    """A checker that sees a clip for ever, a picture every ten seconds."""

    def __init__(self, clip: list[Grey], checker: PictureChecker | None = None) -> None:
        self.checker = checker or PictureChecker()
        self.at_s = 1000.0
        self._pictures: Iterator[Grey] = cycle(clip)

    def see(self, seconds: float, spoil: Spoil = lambda grey: grey) -> list[Change]:
        """Show pictures for so long, each as `spoil` makes it."""
        changes = []
        for grey in islice(self._pictures, round(seconds / STEP_S)):
            noise = _NOISE[int(self.at_s / STEP_S) % len(_NOISE)]
            noisy = cv2.add(spoil(grey), noise, dtype=cv2.CV_8U)
            changes += self.show(np.asarray(noisy, np.uint8))
        return changes

    def show(self, grey: Grey) -> list[Change]:
        self.at_s += STEP_S
        return self.checker.look(grey, self.at_s)


def scaled(factor: float, plus: float = 0.0) -> Spoil:
    return lambda grey: np.clip(grey * factor + plus, 0, 255).astype(np.uint8)


def blurred(sigma: float) -> Spoil:
    # At a quarter of the size where that is the same: wide kernels are slow.
    shrink = 4 if sigma > 8 else 1

    def spoil(grey: Grey) -> Grey:
        small = cv2.resize(grey, (WIDTH // shrink, HEIGHT // shrink))
        soft = cv2.GaussianBlur(small, (0, 0), sigma / shrink)
        return np.asarray(cv2.resize(soft, (WIDTH, HEIGHT)), np.uint8)

    return spoil


def shifted(columns: int) -> Spoil:
    return lambda grey: np.roll(grey, columns, axis=1)


def fill(value: int) -> Spoil:
    return lambda grey: np.full_like(grey, value)


FAULTS: list[tuple[Fault, Spoil]] = [
    ("black", fill(16)),
    ("black", scaled(0.02, 16)),
    ("overexposed", fill(250)),
    ("covered", fill(110)),
    ("covered", lambda grey: blurred(40)(scaled(0.5, 40)(grey))),
    ("blurred", blurred(2)),
    ("blurred", blurred(3)),
    ("moved", lambda grey: grey[:, ::-1]),
    ("moved", lambda grey: np.asarray(grey[::-1])),
    ("moved", shifted(24)),
    ("moved", shifted(60)),
]


@pytest.mark.parametrize(("fault", "spoil"), FAULTS)
def test_a_fault_is_said_after_its_time_and_taken_back(
    clip: list[Grey], fault: Fault, spoil: Spoil
) -> None:
    run = Run(clip)
    assert run.see(600) == []
    assert run.see(AFTER_S[fault] - STEP_S, spoil) == []
    assert run.see(120, spoil) == [Change(fault, started=True)]
    assert run.see(300, spoil) == []  # and once only
    assert run.see(300) == [Change(fault, started=False)]
    assert run.see(300) == []


def test_a_frozen_picture_is_said(clip: list[Grey]) -> None:
    run = Run(clip)
    assert run.see(600) == []
    (still,) = [clip[0]]
    said = [change for _ in range(40) for change in run.show(still)]
    assert said == [Change("frozen", started=True)]
    assert run.see(60) == [Change("frozen", started=False)]


def test_an_hour_of_good_pictures_is_none(clip: list[Grey]) -> None:
    assert Run(clip).see(3600) == []


def test_a_moment_of_each_fault_is_none(clip: list[Grey]) -> None:
    run = Run(clip)
    run.see(600)
    for fault, spoil in FAULTS:
        assert run.see(AFTER_S[fault] - 2 * STEP_S, spoil) == []
        assert run.see(60) == []


def test_dusk_is_nothing_until_it_is_really_black(clip: list[Grey]) -> None:
    run = Run(clip)
    run.see(600)
    said = []
    for minute in range(30):
        said += run.see(60, scaled(0.9**minute, 16 * (1 - 0.9**minute)))
    dark = [change for change in said if change.fault != "black"]
    assert dark == []
    assert run.see(300, scaled(0.01, 16)) in ([Change("black", started=True)], [])
    assert run.checker.faults == {"black"}
    # Dawn, and nothing else is said on the way.
    said = []
    for minute in range(30, -1, -1):
        said += run.see(60, scaled(0.9**minute, 16 * (1 - 0.9**minute)))
    assert said == [Change("black", started=False)]


@pytest.mark.parametrize(
    "light",
    [
        scaled(0.25, 12),  # lights switched off, a lamp stays
        lambda grey: (255.0 * (grey / 255.0) ** 0.45).astype(np.uint8),  # infra-red at night
        lambda grey: (255 - grey).astype(np.uint8),  # what is dark by day is bright by infra-red
        scaled(0.4, 120),  # fog
    ],
)
def test_another_light_is_no_fault(clip: list[Grey], light: Spoil) -> None:
    run = Run(clip)
    run.see(600)
    assert run.see(1200, light) == []
    assert run.see(600) == []


def test_a_cover_by_day_is_not_over_because_night_falls(one_clip: list[Grey]) -> None:
    run = Run(one_clip)
    run.see(600)
    assert run.see(300, fill(110)) == [Change("covered", started=True)]
    assert run.see(1200, fill(16)) == [Change("black", started=True)]
    assert run.see(1200, fill(110)) == [Change("black", started=False)]
    assert run.checker.faults == {"covered"}
    assert run.see(300) == [Change("covered", started=False)]


def test_what_was_learned_outlives_a_restart(one_clip: list[Grey]) -> None:
    run = Run(one_clip)
    run.see(600)
    after = Run(one_clip, PictureChecker(run.checker.usual, set()))
    assert after.see(300, fill(110)) == [Change("covered", started=True)]


def test_a_gap_is_no_time_of_a_fault(one_clip: list[Grey]) -> None:
    run = Run(one_clip)
    run.see(600)
    assert run.see(20, fill(110)) == []
    run.at_s += 7200
    assert run.see(40, fill(110)) == []
    assert run.see(60, fill(110)) == [Change("covered", started=True)]


def test_a_view_changed_on_purpose_is_learned_anew(one_clip: list[Grey]) -> None:
    run = Run(one_clip)
    run.see(600)
    assert run.checker.relearn() == []
    assert run.see(1800, shifted(60)) == []
    assert run.see(300, shifted(120)) == [Change("moved", started=True)]
    assert run.checker.relearn() == [Change("moved", started=False)]
    assert run.see(600, shifted(120)) == []


def test_a_camera_that_turns_by_itself_is_judged_no_longer(one_clip: list[Grey]) -> None:
    run = Run(one_clip)
    run.see(600)
    said = []
    for _ in range(8):
        said += run.see(300, shifted(60)) + run.see(300)
    assert len([change for change in said if change.started]) == 3


def test_a_new_view_that_stays_a_day_is_the_view(one_clip: list[Grey]) -> None:
    run = Run(one_clip)
    run.see(600)
    assert run.see(300, shifted(60)) == [Change("moved", started=True)]
    run.checker._said_at["moved"] -= 23 * 3600
    assert run.see(4200, shifted(60)) == [Change("moved", started=False)]


def test_frames_of_the_product_can_be_measured() -> None:
    path = CLIPS / "car-detection.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    frame = next(iter(open_file(path)))
    assert frame.luma(WIDTH, HEIGHT).shape == (HEIGHT, WIDTH)
