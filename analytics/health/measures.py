"""What is measured of one small grey picture: brightness, contrast, detail, and where edges are.

The edges are gradients divided by those around them, so that a scene keeps its own at a tenth of
the light; a cover, another direction or a lens out of focus does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camera_hub.streams.painting import Polygon

Grey = NDArray[np.uint8]
Edges = NDArray[np.float32]
Visible = NDArray[np.bool_]

WIDTH, HEIGHT = 320, 180
"""Size of the picture that is measured, whatever the camera's is."""
EDGES = (80, 45)
"""Width and height of the map of edges."""
_AROUND = 61
_FLOOR = 8.0
_BRIGHT = 235
_CHANGED_BY = 2
_LEAST_SHIFT = 1.5


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one picture: brightness from 0 to 255, `bright` the share of white pixels.

    `lights` is the brightness that one pixel of a hundred exceeds; `contrast` the standard
    deviation; `detail` the variance of the Laplacian at half size (Pech-Pacheco et al., "Diatom
    autofocusing in brightfield microscopy", ICPR 2000).
    """

    brightness: float
    lights: float
    bright: float
    contrast: float
    detail: float
    edges: Edges

    @property
    def sharpness(self) -> float:
        """Detail by contrast: the same however much light there is."""
        return self.detail / (self.contrast**2 + 4.0)


def measure(grey: Grey, visible: Visible | None = None) -> Measures:
    """Measure a picture of `HEIGHT` x `WIDTH`, where it is `visible`; edges elsewhere are NaN."""
    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    # At half the size most of a sensor's noise is gone, which is as sharp behind any lens.
    half = cv2.resize(grey, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    fine = cv2.Laplacian(half, cv2.CV_32F)
    strength = cv2.magnitude(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    )
    relative = strength / (cv2.blur(strength, (_AROUND, _AROUND)) + _FLOOR)
    edges = np.asarray(cv2.resize(relative, EDGES, interpolation=cv2.INTER_AREA), np.float32)
    seen = grey
    if visible is not None:
        seen, fine = grey[visible], fine[visible[::2, ::2]]
        cells = cv2.resize(visible.astype(np.uint8), EDGES, interpolation=cv2.INTER_AREA)
        edges[cells == 0] = np.nan
    return Measures(
        brightness=float(seen.mean()),
        lights=float(np.percentile(seen[::2], 99)),
        bright=float(np.count_nonzero(seen >= _BRIGHT)) / seen.size,
        contrast=float(seen.std()),
        detail=float(fine.var()),
        edges=edges,
    )


def visible_outside(masks: Sequence[Polygon]) -> Visible | None:
    """Return where a picture is to be judged; None: everywhere."""
    if not masks:
        return None
    hidden = np.zeros((HEIGHT, WIDTH), np.uint8)
    for polygon in masks:
        corners = np.array(polygon, np.float64) * [WIDTH, HEIGHT]
        cv2.fillPoly(hidden, [corners.astype(np.int32)], (1,))
    return np.asarray(hidden == 0)


def likeness(one: Edges, other: Edges) -> float:
    """Return the correlation of two maps of edges: 1 the same scene, 0 nothing in common."""
    both = np.isfinite(one) & np.isfinite(other)
    if not both.any():
        return 1.0
    a, b = one[both], other[both]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-9))


def shifted_likeness(reference: Edges, edges: Edges) -> float:
    """Return how like `edges` are once the shift between the two is undone; 0 without a shift.

    The shift is found by phase correlation (Kuglin and Hines, 1975).
    """
    window = cv2.createHanningWindow(EDGES, cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(_level(reference), _level(edges), window)
    columns, rows = round(x), round(y)
    if (
        max(abs(x), abs(y)) < _LEAST_SHIFT
        or abs(columns) > EDGES[0] // 2
        or abs(rows) > EDGES[1] // 2
    ):
        return 0.0
    height, width = reference.shape
    left, top = max(0, columns), max(0, rows)
    right, bottom = min(width, width + columns), min(height, height + rows)
    there = edges[top:bottom, left:right]
    here = reference[top - rows : bottom - rows, left - columns : right - columns]
    return likeness(here, there)


def _level(edges: Edges) -> Edges:
    """Return edges around 0, as phase correlation needs them; what is not visible is 0."""
    return np.nan_to_num(edges - np.nanmean(edges))


def changed_share(one: Grey, other: Grey) -> float:
    """Return the share of pixels that differ by more than coding makes them differ."""
    difference = cv2.absdiff(one, other)
    return float(np.count_nonzero(difference > _CHANGED_BY)) / difference.size
