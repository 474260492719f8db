"""The gate on pictures of our own: what moves, what only flickers, and when to look."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.gate.motion import Motion, MotionDetector, gate_size
from analytics.gate.watch import IDLE_INTERVAL_S, SETTLE_S, STILL_INTERVAL_S, Watch

SHAPE = (180, 320)
MOVING = Motion(boxes=((0.1, 0.1, 0.2, 0.2),))
STILL = Motion()


@pytest.fixture
def scene() -> NDArray[np.uint8]:
    """A quiet scene of darker and lighter patches."""
    patches = np.random.default_rng(1).integers(60, 180, (18, 32), dtype=np.uint8)
    return patches.repeat(10, axis=0).repeat(10, axis=1)


def noisy(scene: NDArray[np.uint8], seed: int, sigma: float = 4.0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, sigma, SHAPE)
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


def with_block(scene: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    picture = scene.copy()
    picture[y : y + 40, x : x + 20] = 250
    return picture


def quiet(detector: MotionDetector, scene: NDArray[np.uint8], until_s: float = 2.0) -> float:
    at_s = 0.0
    while at_s < until_s:
        detector.update(noisy(scene, int(at_s * 25)), at_s)
        at_s += 0.04
    return at_s


def test_a_noisy_sensor_is_no_motion(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    at_s = quiet(detector, scene)
    assert not any(
        detector.update(noisy(scene, 1000 + i, sigma=6), at_s + i * 0.04) for i in range(100)
    )


def test_a_moving_block_is_found_where_it_is(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    at_s = quiet(detector, scene)
    for step in range(20):
        x = 20 + step * 10
        motion = detector.update(with_block(noisy(scene, step), x, 60), at_s + step * 0.04)
        assert motion
        assert any(
            left * 320 <= x + 2 and right * 320 >= x + 18 and top * 180 <= 62 and bottom * 180 >= 98
            for left, top, right, bottom in motion.boxes
        )


def test_light_switched_on_is_one_report_and_then_quiet(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    at_s = quiet(detector, scene)
    bright = np.clip(scene.astype(int) * 2 - 60, 0, 255).astype(np.uint8)
    after = [detector.update(noisy(bright, i), at_s + i * 0.04) for i in range(25)]
    assert after[0].whole_picture
    assert not any(motion or motion.whole_picture for motion in after[1:])


def test_dawn_is_no_motion(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    at_s = quiet(detector, scene)
    for step in range(100):
        dawn = np.clip(scene.astype(int) + step // 2, 0, 255).astype(np.uint8)
        assert not detector.update(noisy(dawn, step), at_s + step * 0.04)


def test_a_parked_car_becomes_background(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    at_s = quiet(detector, scene)
    parked = with_block(scene, 100, 60)
    assert detector.update(noisy(parked, 0), at_s)
    while at_s < 60:
        at_s += 0.2
        motion = detector.update(noisy(parked, int(at_s * 5)), at_s)
    assert not motion


def test_another_size_starts_anew(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    quiet(detector, scene)
    assert detector.update(scene[:100, :200].copy(), 3.0).whole_picture
    assert gate_size(1920, 1080) == (320, 180)
    assert gate_size(640, 480) == (320, 240)


def looks(watch: Watch, start_s: float, seconds: float, motion: Motion, *, holding: bool) -> int:
    frames = round(seconds * 25)
    return sum(watch.due(start_s + i * 0.04, motion, holding=holding) for i in range(frames))


def test_motion_is_looked_at_at_full_rate_and_never_faster() -> None:
    watch = Watch(max_fps=5)
    assert 45 <= looks(watch, 0, 10, MOVING, holding=False) <= 51


def test_the_detector_settles_after_motion_and_then_rests() -> None:
    watch = Watch(max_fps=5)
    looks(watch, 0, 1, MOVING, holding=False)
    assert looks(watch, 1, SETTLE_S, STILL, holding=False) >= 5 * (SETTLE_S - 0.5)
    resting = looks(watch, 1 + SETTLE_S + 0.1, 60, STILL, holding=False)
    assert resting == pytest.approx(60 / IDLE_INTERVAL_S, abs=1)


def test_a_person_lying_still_is_never_lost_sight_of() -> None:
    watch = Watch(max_fps=5)
    looks(watch, 0, 1, MOVING, holding=True)
    still = looks(watch, 10, 60, STILL, holding=True)
    assert still == pytest.approx(60 / (STILL_INTERVAL_S + 0.04), abs=4)


def test_the_first_picture_is_always_looked_at() -> None:
    assert Watch(max_fps=1).due(0.0, STILL, holding=False)
