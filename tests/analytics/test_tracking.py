"""ByteTrack from the library, as the pipeline uses it."""

import numpy as np

from analytics.detectors.types import ModelInfo, Rows, no_rows
from analytics.tracking.tracker import Tracker

MODEL = ModelInfo("m", "1", ("person", "car"), (640, 640), "openvino", "CPU")
SIZE = (640, 360)


def rows(*items: tuple[float, float, float, int]) -> Rows:
    """Boxes of 40x80 pixels at (x, y) with score and class."""
    return np.array([[x, y, x + 40, y + 80, s, c] for x, y, s, c in items], dtype=np.float32)


def test_two_walkers_keep_their_tracks_and_their_labels() -> None:
    tracker = Tracker(0.4)
    seen: list[dict[int | None, str]] = []
    for step in range(10):
        x = step * 12.0
        found = tracker.update(rows((x, 50, 0.9, 0), (500 - x, 200, 0.8, 1)), MODEL, SIZE, step / 5)
        seen.append({item.track: item.label for item in found})
    assert set(seen[0]) == {None}
    assert seen[2].keys() == seen[9].keys()
    assert seen[2] == seen[9]
    assert set(seen[9].values()) == {"person", "car"}


def test_a_single_wrong_detection_never_makes_a_track() -> None:
    tracker = Tracker(0.4)
    assert [item.track for item in tracker.update(rows((100, 100, 0.9, 0)), MODEL, SIZE, 0.0)] == [
        None
    ]
    for step in range(1, 10):
        assert tracker.update(no_rows(), MODEL, SIZE, step / 5) == []
    assert not tracker.holding


def test_an_object_missed_for_two_seconds_is_the_same_one() -> None:
    tracker = Tracker(0.4)
    for step in range(3):
        first = tracker.update(rows((100, 100, 0.9, 0)), MODEL, SIZE, step / 5)
    tracker.update(no_rows(), MODEL, SIZE, 1.0)
    assert tracker.holding
    again = tracker.update(rows((102, 100, 0.9, 0)), MODEL, SIZE, 2.4)
    assert [item.track for item in again] == [item.track for item in first]
    tracker.update(no_rows(), MODEL, SIZE, 3.0)
    tracker.update(no_rows(), MODEL, SIZE, 7.0)
    assert not tracker.holding


def test_weak_detections_go_on_with_a_track_but_start_none() -> None:
    tracker = Tracker(0.5)
    assert all(
        item.track is None
        for step in range(5)
        for item in tracker.update(rows((300, 100, 0.3, 0)), MODEL, SIZE, step / 5)
    )
    for step in range(5, 8):
        sure = tracker.update(rows((100, 100, 0.9, 0)), MODEL, SIZE, step / 5)
    weak = tracker.update(rows((101, 100, 0.2, 0)), MODEL, SIZE, 1.6)
    assert weak[0].track == sure[0].track


def test_only_wanted_labels_are_followed_and_boxes_are_relative() -> None:
    tracker = Tracker(0.4)
    found = tracker.update(
        rows((64, 36, 0.9, 0), (300, 100, 0.9, 1)), MODEL, SIZE, 0.0, wanted={"person"}
    )
    assert [item.label for item in found] == ["person"]
    np.testing.assert_allclose(found[0].box, (0.1, 0.1, 104 / 640, 116 / 360), rtol=1e-5)
