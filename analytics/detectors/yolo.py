"""Reading the output of YOLO models (v8, v9, v11 and the kinds that need no suppression)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.detectors.types import SCORE_FLOOR, Rows, no_rows

_OVERLAP = 0.5
_MOST = 300


def decode(output: NDArray[np.float32], *, floor: float = SCORE_FLOOR) -> Rows:
    """Return the detections in a model's raw output, best first, in pixels of its input.

    Args:
        output: (1, 4 + classes, anchors): centre x, centre y, width, height and a score for each
            class; or (1, n, 6): x1, y1, x2, y2, score, class, from a model with suppression inside.
        floor: lowest score kept.

    Raises:
        ValueError: the shape is neither of the two.
    """
    if output.ndim != 3 or output.shape[0] != 1:
        raise ValueError(f"a detection output of shape {output.shape} is not understood")
    table = output[0]
    if table.shape[1] == 6 and table.shape[0] <= 1000:
        kept = table[table[:, 4] >= floor]
        return np.ascontiguousarray(kept[np.argsort(-kept[:, 4])][:_MOST], dtype=np.float32)
    if table.shape[0] < 5 or table.shape[0] > table.shape[1]:
        raise ValueError(f"a detection output of shape {output.shape} is not understood")
    best = table[4:].max(axis=0)
    candidates = np.flatnonzero(best >= floor)
    if candidates.size == 0:
        return no_rows()
    columns = table[:, candidates]
    classes = columns[4:].argmax(axis=0)
    half = columns[2:4] / 2
    corners = np.concatenate([columns[:2] - half, columns[:2] + half]).T
    return suppress(corners, best[candidates], classes.astype(np.float32))


def suppress(
    corners: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.float32]
) -> Rows:
    """Keep the best of boxes of one class that overlap by more than half (greedy NMS)."""
    sizes = corners[:, 2:] - corners[:, :2]
    boxes = np.concatenate([corners[:, :2], sizes], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(
        boxes.tolist(), scores.tolist(), classes.astype(int).tolist(), 0.0, _OVERLAP, 1.0, _MOST
    )
    index = np.asarray(kept, dtype=np.intp).reshape(-1)
    index = index[np.argsort(-scores[index], kind="stable")]
    return np.concatenate(
        [corners[index], scores[index, None], classes[index, None]], axis=1
    ).astype(np.float32)
