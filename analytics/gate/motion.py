"""Motion on a small grey picture: running average, difference, outlines."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.zones.geometry import Box

Grey = NDArray[np.uint8]

GATE_WIDTH = 320
# The background follows the picture with this time constant: slow enough that a walking person
# stands out, fast enough that a parked car is background after half a minute.
_BACKGROUND_S = 8.0
_LEAST_DIFFERENCE = 14.0
_NOISE_FACTOR = 5.0
# Shares of the picture: less than this is noise, more than that is the light or the camera.
_LEAST_AREA = 0.0006
_WHOLE_PICTURE = 0.55
_MOST_BOXES = 16


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved: outer boxes of the moving parts, and whether the whole picture changed."""

    boxes: tuple[Box, ...] = ()
    whole_picture: bool = False

    def __bool__(self) -> bool:
        return bool(self.boxes)


def gate_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the grey picture for a camera's picture, aspect kept."""
    return GATE_WIDTH, max(16, round(GATE_WIDTH * height / max(width, 1) / 2) * 2)


class MotionDetector:
    """Compares each picture with a running average of those before it.

    A change of brightness of the whole picture is taken out before comparing, and the picture's
    own noise raises the threshold. When most of the picture changes at once (light switched,
    camera moved), the background starts anew from that picture: one report, no endless motion.
    """

    def __init__(self) -> None:
        self._background: NDArray[np.float32] | None = None
        self._last_s = 0.0
        self._noise = 0.0
        self._kernel = np.ones((5, 5), np.uint8)

    def update(self, grey: Grey, at_s: float) -> Motion:
        """Take the next picture.

        Args:
            grey: uint8, (height, width); another size than before starts anew.
            at_s: seconds on any clock that does not go backwards.
        """
        # A sensor's noise is in single pixels, what moves is not.
        grey = np.asarray(cv2.blur(grey, (3, 3)), np.uint8)
        background = self._background
        if background is None or background.shape != grey.shape:
            self._restart(grey, at_s)
            return Motion(whole_picture=True)
        shift = float(cv2.mean(grey)[0] - cv2.mean(background)[0])
        level = background + np.float32(shift) if abs(shift) > 1 else background
        difference = cv2.absdiff(grey, cv2.convertScaleAbs(level))
        threshold = max(_LEAST_DIFFERENCE, _NOISE_FACTOR * self._noise)
        _, moved = cv2.threshold(difference, threshold, 255, cv2.THRESH_BINARY)
        share = cv2.countNonZero(moved) / moved.size
        if share > _WHOLE_PICTURE:
            self._restart(grey, at_s)
            return Motion(whole_picture=True)
        # The median of |difference| tells noise from objects, which cover the lesser part.
        self._noise = 0.95 * self._noise + 0.05 * float(np.median(difference[::4, ::4]))
        weight = min(1.0, max(0.0, at_s - self._last_s) / _BACKGROUND_S)
        cv2.accumulateWeighted(grey, background, weight)
        self._last_s = at_s
        if share < _LEAST_AREA / 2:
            return Motion()
        return Motion(boxes=self._boxes(np.asarray(moved, np.uint8)))

    def _restart(self, grey: Grey, at_s: float) -> None:
        self._background = grey.astype(np.float32)
        self._last_s = at_s

    def _boxes(self, moved: Grey) -> tuple[Box, ...]:
        opened = cv2.morphologyEx(moved, cv2.MORPH_OPEN, self._kernel[:2, :2])
        joined = cv2.dilate(opened, self._kernel)
        outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        height, width = moved.shape
        found: list[tuple[float, Box]] = []
        for outline in outlines:
            x, y, w, h = cv2.boundingRect(outline)
            area = w * h / moved.size
            if area >= _LEAST_AREA:
                box = (x / width, y / height, (x + w) / width, (y + h) / height)
                found.append((area, box))
        found.sort(reverse=True)
        return tuple(box for _, box in found[:_MOST_BOXES])
