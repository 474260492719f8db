"""Blurred copies of recordings: who is covered when, and how often the detector has to look.

The detector here finds what is bright in the pictures that it is given, so it sees what is there.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.detectors.types import DetectorUnavailableError, ModelInfo, Picture, Rows, no_rows
from analytics.redaction.film import FilmRedactor
from analytics.redaction.paint import BOX_BLOCKS
from analytics.redaction.planes import MASK_LUMA, blur_film, mask_film
from camera_hub.streams.painting import FilmShot, Polygon
from core.errors import UnavailableError
from tests.analytics.test_redaction import COCO
from tests.support.examples import examples

START = datetime(2026, 1, 1, tzinfo=UTC)
BRIGHT = 235
CHANCE = 0.1
"""Where it is drawn anew, some of somebody may look as before."""
Where = tuple[int, int, int, int] | None


@dataclass
class Bright:
    """Finds people by their brightness; keeps the sizes of what it was asked."""

    model: ModelInfo = COCO
    asked: list[tuple[int, int]] = field(default_factory=list)
    away_after: int = 1_000_000

    def describe(self) -> ModelInfo:
        return self.model

    def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> "Future[Rows]":
        future: Future[Rows] = Future()
        if len(self.asked) >= self.away_after:
            future.set_exception(DetectorUnavailableError("away"))
            return future
        self.asked.append((picture.shape[1], picture.shape[0]))
        white = (picture.min(axis=2) > 225).astype(np.uint8)
        outlines, _ = cv2.findContours(white, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        boxes = [cv2.boundingRect(one) for one in outlines]
        rows = [[x, y, x + w, y + h, 0.9, 0] for x, y, w, h in boxes if w * h > 30]
        future.set_result(np.array(rows, np.float32) if rows else no_rows())
        return future

    def close(self) -> None: ...


def ground(width: int = 320, height: int = 192) -> NDArray[np.uint8]:
    """A quiet place: coarse shades, without anything bright."""
    rng = np.random.default_rng(3)
    small = rng.integers(60, 150, (height * 3 // 32, width // 16), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height * 3 // 2)), np.uint8)


GROUND = ground()


def film(
    place: Callable[[float], Where], seconds: float, fps: float = 25, of: NDArray[np.uint8] = GROUND
) -> Iterator[FilmShot]:
    """Pictures with somebody bright at `place(seconds)`: left, top, right, bottom in pixels."""
    for number in range(round(seconds * fps)):
        at_s = number / fps
        shot = FilmShot(of.copy(), at_s, START + timedelta(seconds=at_s))
        if (where := place(at_s)) is not None:
            left, top, right, bottom = where
            luma, u, v = shot.planes
            luma[top:bottom, left:right] = BRIGHT
            for plane in (u, v):
                plane[top // 2 : bottom // 2, left // 2 : right // 2] = 128
        yield shot


def redactor(
    detector: Bright, masks: tuple[Polygon, ...] = (), stopped: threading.Event | None = None
) -> FilmRedactor:
    return FilmRedactor(
        detector, masks=masks, people_suffice=False, stopped=stopped or threading.Event()
    )


def uncovered(shot: FilmShot, where: Where) -> float:
    """Return which share of somebody is as it was."""
    if where is None:
        return 0.0
    left, top, right, bottom = where
    return float((shot.planes[0][top:bottom, left:right] == BRIGHT).mean())


def walking(begin: float, speed: float, size: tuple[int, int]) -> Callable[[float], Where]:
    def place(at_s: float) -> Where:
        left = round(begin + speed * at_s)
        right = min(320, left + size[0])
        left = max(0, left)
        return (left, 60, right, 60 + size[1]) if right - left > 4 else None

    return place


@settings(max_examples=examples(4), deadline=None)
@given(
    st.floats(-60, 200),
    st.floats(-90, 90),
    st.tuples(st.integers(12, 60), st.integers(30, 110)),
    st.sampled_from([25, 12, 5]),
)
def test_whoever_walks_is_covered_in_every_picture_whenever_they_come_and_go(
    begin: float, speed: float, size: tuple[int, int], fps: int
) -> None:
    place = walking(begin, speed, size)
    painting = redactor(Bright())
    number = -1
    for number, shot in enumerate(painting.through(film(place, 1.6, fps))):
        assert shot.at_s == number / fps
        assert uncovered(shot, place(shot.at_s)) < CHANCE
    assert number + 1 == painting.covered + painting.blurred == round(1.6 * fps)


def test_a_still_place_is_looked_at_twice_a_second_and_one_where_people_walk_more_often() -> None:
    still, walked, crossed = Bright(), Bright(), Bright()
    list(redactor(still).through(film(lambda _: (100, 60, 130, 130), 6)))
    assert 11 <= len(still.asked) <= 14
    # Steadily there, and all that moves.
    painting = redactor(walked)
    list(painting.through(film(walking(-30, 40, (30, 70)), 6)))
    assert 17 <= len(walked.asked) <= 26
    assert painting.looks == len(walked.asked)

    # Here and gone again three times a second: nearly every look differs from the one before.
    def now_and_then(at_s: float) -> Where:
        return (100, 60, 130, 130) if int(at_s * 3.3) % 2 else None

    shots = list(redactor(crossed).through(film(now_and_then, 4)))
    assert len(crossed.asked) >= 20
    assert all(uncovered(shot, now_and_then(shot.at_s)) < CHANCE for shot in shots)


def test_what_nobody_covers_is_as_it_was() -> None:
    """Painting changes no picture that comes after it, and nothing but what it covers."""
    for shot in redactor(Bright()).through(film(lambda _: (100, 60, 130, 130), 1)):
        assert (shot.planes[0][:, 200:] == GROUND[:192, 200:]).all()
        assert (shot.planes[1] == FilmShot(GROUND, 0, START).planes[1])[:, 100:].all()


def test_a_look_reaches_from_one_file_into_the_next() -> None:
    place = walking(20, 40, (30, 70))
    painting = redactor(Bright())
    shots = list(film(place, 3))
    for first in range(0, 75, 20):
        some = shots[first : first + 20]
        for shot in painting.through(iter(some)):
            at_s = (shot.at - START).total_seconds()
            assert uncovered(shot, place(at_s)) < CHANCE
    assert (painting.covered, painting.blurred) == (75, 0)


def test_pictures_that_are_missing_cost_none_that_is_there() -> None:
    """Half a second is lost: what comes before is decided by looks that are near it."""
    place = walking(20, 40, (30, 70))
    shots = [one for one in film(place, 4) if not 1.4 < one.at_s < 1.9 and not 3 < one.at_s < 3.3]
    painting = redactor(Bright())
    for shot in painting.through(iter(shots)):
        assert uncovered(shot, place(shot.at_s)) < CHANCE
    assert painting.blurred == 0


def test_of_a_large_picture_only_parts_in_which_something_moves_are_looked_at_again() -> None:
    detector = Bright()
    large = ground(1280, 640)
    place = walking(60, 40, (40, 120))
    for shot in redactor(detector).through(film(place, 3, 12, large)):
        assert uncovered(shot, place(shot.at_s)) < CHANCE
    whole = sum(size == (640, 320) for size in detector.asked)
    parts = len(detector.asked) - whole
    # Two parts for each look at the whole, were they all looked at.
    assert whole >= 9
    assert whole <= parts < 1.7 * whole


def test_masks_lie_over_everything_and_a_model_that_knows_too_little_blurs_all_of_it() -> None:
    mask: Polygon = ((0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0))
    falls = Bright(ModelInfo("falls", "1", ("person", "person_down"), (640, 640), "", ""))
    for detector in (Bright(), falls):
        painting = redactor(detector, (mask,))
        for shot in painting.through(film(lambda _: (40, 60, 130, 130), 1)):
            luma, u, v = shot.planes
            assert (luma[:, :80] == MASK_LUMA).all()
            assert (u[:, :40] == 128).all()
            assert (v[:, :40] == 128).all()
            assert uncovered(shot, (80, 60, 130, 130)) < CHANCE
    assert (painting.covered, painting.blurred) == (0, 25)


@pytest.mark.parametrize("looks", [0, 3])
def test_a_detector_that_goes_away_ends_it(looks: int) -> None:
    painting = redactor(Bright(away_after=looks))
    with pytest.raises(UnavailableError) as caught:
        list(painting.through(film(walking(20, 40, (30, 70)), 4)))
    assert caught.value.code == "redaction-away"


def test_nobody_looks_any_more_when_it_is_stopped() -> None:
    stopped, detector = threading.Event(), Bright()
    shots = redactor(detector, stopped=stopped).through(film(walking(0, 40, (30, 70)), 60))
    next(shots)
    stopped.set()
    with pytest.raises(UnavailableError):
        list(shots)
    assert len(detector.asked) < 12


# ---- planes ------------------------------------------------------------------------------------

unit = st.floats(-0.2, 1.2, allow_nan=False)


def noise(width: int, height: int) -> FilmShot:
    data = np.random.default_rng(1).integers(0, 256, (height * 3 // 2, width), dtype=np.uint8)
    return FilmShot(data, 0.0, START)


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.tuples(unit, unit, unit, unit))
def test_a_blurred_box_of_planes_holds_few_values_and_nothing_far_from_it_changes(
    half_width: int, half_height: int, ends: tuple[float, float, float, float]
) -> None:
    width, height = half_width * 2, half_height * 2
    x1, x2 = sorted(ends[:2])
    y1, y2 = sorted(ends[2:])
    before, after = noise(width, height), noise(width, height)
    blur_film(after, [(x1, y1, x2, y2)])
    for number, (was, now) in enumerate(zip(before.planes, after.planes, strict=True)):
        high, wide = was.shape
        left, right = (max(0, min(wide, x * wide)) for x in (x1, x2))
        top, bottom = (max(0, min(high, y * high)) for y in (y1, y2))
        outside = np.ones((high, wide), bool)
        edge = 1 if number else 2
        outside[
            max(0, int(top) - edge) : int(np.ceil(bottom)) + edge,
            max(0, int(left) - edge) : int(np.ceil(right)) + edge,
        ] = False
        assert (now[outside] == was[outside]).all()
        part = now[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        if part.size and x2 > x1 and y2 > y1:
            values = np.linalg.svd(part.astype(float), compute_uv=False)
            assert (values[BOX_BLOCKS:] <= 0.5 * np.sqrt(part.size) + 1).all()


def test_every_pixel_that_a_mask_touches_is_filled_in_planes_of_any_size() -> None:
    for width, height in ((16, 16), (18, 30), (322, 190)):
        shot = mask_film(noise(width, height), [((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))])
        luma, u, v = shot.planes
        assert (luma[: height // 2, : width // 2] == MASK_LUMA).all()
        assert (u[: -(-height // 4), : -(-width // 4)] == 128).all()
        assert (v[: -(-height // 4), : -(-width // 4)] == 128).all()
        assert (luma[height // 2 + 4 :] == noise(width, height).planes[0][height // 2 + 4 :]).all()
