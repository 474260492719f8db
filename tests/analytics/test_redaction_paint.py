"""Masks and blurring: which pixels, and that nothing comes back."""

from typing import Any

import cv2
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon as Shape

from analytics.detectors.types import ModelInfo, Picture
from analytics.redaction.cover import covered_labels
from analytics.redaction.paint import BOX_BLOCKS, MASK_COLOUR, blur_boxes, blur_whole, mask
from analytics.redaction.places import MaskedPlaces
from analytics.redaction.tiles import tiles
from camera_hub.streams.painting import WHOLE_PICTURE, read_masks
from tests.support.examples import examples

unit = st.floats(0, 1, allow_nan=False)
SIZES = st.tuples(st.integers(16, 200), st.integers(16, 200))


def noise(width: int, height: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=examples(60), deadline=None)
@given(SIZES, st.lists(st.tuples(unit, unit), min_size=3, max_size=8))
def test_every_pixel_inside_a_mask_is_filled_and_those_far_from_it_are_not(
    size: tuple[int, int], corners: list[tuple[float, float]]
) -> None:
    shape = Shape(corners)
    if not shape.is_valid or shape.area < 1e-4:
        return
    width, height = size
    before = noise(width, height)
    after = mask(before.copy(), (tuple(corners),))
    rows, columns = np.mgrid[:height, :width]
    x, y = (columns + 0.5) / width, (rows + 0.5) / height
    filled = (after == MASK_COLOUR).all(axis=2)
    assert filled[shapely.contains_xy(shape, x, y)].all()
    far = shape.buffer(4 / min(width, height))
    untouched = ~shapely.intersects_xy(far, x, y)
    assert (after[untouched] == before[untouched]).all()


@settings(max_examples=examples(60), deadline=None)
@given(SIZES, st.tuples(unit, unit, unit, unit), st.integers(0, 9))
def test_a_blurred_box_holds_few_values_and_nothing_else_changes(
    size: tuple[int, int], ends: tuple[float, float, float, float], seed: int
) -> None:
    width, height = size
    x1, x2 = sorted(ends[:2])
    y1, y2 = sorted(ends[2:])
    before = noise(width, height, seed)
    after = blur_boxes(before.copy(), [(x1, y1, x2, y2)])
    left, top = int(np.floor(x1 * width)), int(np.floor(y1 * height))
    right, bottom = int(np.ceil(x2 * width)), int(np.ceil(y2 * height))
    outside = np.ones((height, width), bool)
    outside[top:bottom, left:right] = False
    assert (after[outside] == before[outside]).all()
    part = after[top:bottom, left:right]
    if part.size == 0:
        return
    # All of the part is drawn from a grid this small: its rows and columns have no higher rank
    # (rounding to whole numbers apart).
    for channel in range(3):
        values = np.linalg.svd(part[:, :, channel].astype(float), compute_uv=False)
        assert (values[BOX_BLOCKS:] <= 0.5 * np.sqrt(part.shape[0] * part.shape[1]) + 1).all()


def test_a_blurred_box_forgets_what_was_inside_each_block() -> None:
    picture = noise(180, 360)
    shuffled = picture.copy()
    rng = np.random.default_rng(5)
    # Sixty pixels to a block: the same pixels in another order are another picture.
    for y in range(0, 360, 60):
        for x in range(0, 180, 60):
            block = shuffled[y : y + 60, x : x + 60].reshape(-1, 3)
            shuffled[y : y + 60, x : x + 60] = rng.permutation(block).reshape(60, 60, 3)
    assert (picture != shuffled).any()
    everything = [(0.0, 0.0, 1.0, 1.0)]
    assert (blur_boxes(picture, everything) == blur_boxes(shuffled, everything)).all()


def test_sharpening_does_not_bring_a_blurred_text_back() -> None:
    picture = np.full((120, 240, 3), 230, np.uint8)
    cv2.putText(picture, "A 4711", (20, 80), cv2.FONT_HERSHEY_SIMPLEX, 2, (20, 20, 20), 5)
    blurred = blur_whole(picture.copy())
    best = 0.0
    for amount in (1.0, 3.0, 8.0):
        for sigma in (3, 9, 20):
            soft = cv2.GaussianBlur(blurred, (0, 0), sigma)
            sharp = cv2.addWeighted(blurred, 1 + amount, soft, -amount, 0)
            edges = cv2.Laplacian(sharp, cv2.CV_32F).ravel()
            truth = cv2.Laplacian(picture, cv2.CV_32F).ravel()
            if edges.std() > 0:
                best = max(best, abs(float(np.corrcoef(edges, truth)[0, 1])))
    assert best < 0.2


def test_boxes_beyond_the_picture_do_no_harm() -> None:
    picture = noise(64, 48)
    blur_boxes(picture, [(-1.0, -1.0, 2.0, 0.5), (1.2, 1.2, 1.5, 1.5), (0.5, 0.5, 0.4, 0.4)])
    assert (picture[30:] == noise(64, 48)[30:]).all()


def test_a_mask_that_is_not_understood_hides_everything() -> None:
    bad: list[Any] = [
        {"name": "x"},
        {"polygon": [[0, 0], [1, 1]]},
        {"polygon": [[0, 0], [2, 0], [1, 1]]},
        {"polygon": [[0, 0], ["a", 0], [1, 1]]},
        "nonsense",
    ]
    for item in bad:
        assert read_masks([item]) == (WHOLE_PICTURE,)
    picture = mask(noise(40, 30), read_masks([bad[0]]))
    assert (picture == MASK_COLOUR).all()


def test_objects_whose_centre_is_masked_are_nobodys_business() -> None:
    places = MaskedPlaces((((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    rows = np.array(
        [[10, 10, 50, 90, 0.9, 0], [280, 10, 330, 90, 0.9, 0], [400, 10, 500, 90, 0.9, 0]],
        np.float32,
    )
    kept = places.outside(rows, (640, 360))
    assert kept[:, 0].tolist() == [400]


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(16, 4000), st.integers(16, 4000))
def test_tiles_cover_the_picture(width: int, height: int) -> None:
    parts = tiles(width, height)
    assert parts[0] == (0, 0, width, height)
    covered_x, covered_y = np.zeros(width, bool), np.zeros(height, bool)
    for x, y, across, down in parts[1:] or parts:
        assert x >= 0
        assert y >= 0
        assert x + across <= width
        assert y + down <= height
        covered_x[x : x + across] = True
        covered_y[y : y + down] = True
    assert covered_x.all()
    assert covered_y.all()


def test_a_model_that_knows_no_vehicles_covers_nothing_by_itself() -> None:
    def model(*labels: str) -> ModelInfo:
        return ModelInfo("m", "1", labels, (640, 640), "", "")

    falls = model("person", "person_down")
    assert covered_labels(falls, people_suffice=False) is None
    assert covered_labels(falls, people_suffice=True) == {"person", "person_down"}
    assert covered_labels(model("cat", "dog"), people_suffice=True) is None
    coco = model("person", "bicycle", "car", "motorcycle", "bus", "truck", "train", "cat")
    assert covered_labels(coco, people_suffice=False) == set(coco.labels) - {"cat"}
