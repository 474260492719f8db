"""Redaction of streams and stills, with a real inference process where somebody is to be found."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from analytics.detectors.client import InferenceClient
from analytics.detectors.types import DetectorUnavailableError, ModelInfo, Picture, Rows, no_rows
from analytics.redaction.cover import PEOPLE
from analytics.redaction.paint import MASK_COLOUR, blur_whole
from analytics.redaction.redactor import (
    ANSWER_WITHIN_S,
    MOST_BETWEEN_LOOKS_S,
    PATIENCE_S,
    Redactor,
)
from analytics.redaction.still import StillRedactor
from analytics.redaction.still_picture import read_picture, write_picture
from camera_hub.streams.frames import open_file
from camera_hub.streams.painting import Shot
from core.clock import ManualClock, SystemClock
from core.errors import InvalidInputError, UnavailableError
from tests.analytics.inference import InferenceProcess, client, inference
from tests.support.media import wait_until

__all__ = ["client", "inference"]

START = datetime(2026, 1, 1, tzinfo=UTC)
COCO = ModelInfo(
    "coco",
    "1",
    ("person", "bicycle", "car", "motorcycle", "bus", "truck", "train"),
    (640, 640),
    "",
    "",
)
CORNER = [{"name": "window", "polygon": [[0, 0], [0.25, 0], [0.25, 0.25], [0, 0.25]]}]


class Answering:
    """A detector whose answers the test gives, one picture at a time."""

    def __init__(self, model: ModelInfo = COCO) -> None:
        self.model = model
        self.asked: list[Future[Rows]] = []
        self.away = False

    def describe(self) -> ModelInfo:
        return self.model

    def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> "Future[Rows]":
        future: Future[Rows] = Future()
        if self.away:
            future.set_exception(DetectorUnavailableError("away"))
        self.asked.append(future)
        return future

    def close(self) -> None:
        self.asked.clear()

    def answer(self, *boxes: tuple[float, float, float, float]) -> None:
        rows = [[*box, 0.9, 0] for box in boxes]
        self.asked[-1].set_result(np.array(rows, np.float32) if rows else no_rows())


def scene(seed: int = 1) -> Picture:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (18, 32, 3), dtype=np.uint8)
    fine = rng.integers(0, 40, (360, 640, 3), dtype=np.uint8)
    large = cv2.resize(small, (640, 360), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.add(large // 2, fine), np.uint8)


SCENE = scene()


class Stream:
    """Puts pictures into a redactor at twelve a second."""

    def __init__(self, detector: Answering, **options: object) -> None:
        self.clock = ManualClock(START)
        self.detector = detector
        self.redactor = Redactor(detector, self.clock, source="t", **options)  # type: ignore[arg-type]
        self.out: list[Shot] = []

    def put(self, picture: Picture = SCENE, seconds: float = 1 / 12) -> None:
        self.clock.advance(seconds)
        self.redactor.put(Shot(picture.copy(), self.clock.monotonic(), self.clock.now()))

    def take(self) -> list[Shot]:
        return self.redactor.take()


def is_whole_blur(picture: Picture, of: Picture = SCENE) -> bool:
    return bool((picture == blur_whole(of.copy())).all())


def changed(picture: Picture, of: Picture = SCENE) -> Picture:
    return np.asarray((picture != of).any(axis=2))


def test_a_picture_waits_for_a_look_that_is_not_older_than_it() -> None:
    stream = Stream(Answering())
    stream.put()
    assert stream.take() == []
    stream.detector.answer((100, 100, 150, 250))
    (first,) = stream.take()
    assert changed(first.picture)[100:250, 100:150].mean() > 0.95
    assert not changed(first.picture)[:, 300:].any()

    stream.put()  # between two looks
    assert len(stream.detector.asked) == 1
    assert stream.take() == []
    stream.put()
    assert len(stream.detector.asked) == 2
    # Somebody is in the picture who was not there at the look before.
    stream.detector.answer((100, 100, 150, 250), (400, 100, 450, 250))
    between, second = stream.take()
    assert changed(between.picture)[100:250, 400:450].mean() > 0.95
    assert changed(second.picture)[100:250, 400:450].mean() > 0.95


def test_whoever_the_detector_loses_for_a_moment_stays_covered() -> None:
    stream = Stream(Answering())
    for look in range(5):
        for _ in range(2 if look else 1):
            stream.put()
        stream.detector.answer(*([(100, 100, 150, 250)] if look < 3 else []))
        shots = stream.take()
        assert shots
        for shot in shots:
            assert changed(shot.picture)[100:250, 100:150].mean() > 0.95


def test_what_moves_is_covered_although_nobody_knows_it() -> None:
    stream = Stream(Answering())
    for number in range(9):
        picture = SCENE.copy()
        picture[200:260, 20 + 40 * number : 80 + 40 * number] = (250, 250, 250)
        stream.put(picture)
        if len(stream.detector.asked) and not stream.detector.asked[-1].done():
            stream.detector.answer()
        for shot in stream.take():
            stream.out.append(shot)
    last = stream.out[-1].picture
    assert len(stream.out) == 9
    assert not (last[210:250, 20 + 320 : 80 + 320] == 250).all(axis=2).any()


@pytest.mark.parametrize("failure", ["slow", "away", "model"])
def test_without_an_answer_the_whole_picture_is_blurred(failure: str) -> None:
    detector = Answering()
    if failure == "model":
        detector.model = ModelInfo("falls", "1", ("person", "person_down"), (640, 640), "", "")
    detector.away = failure == "away"
    stream = Stream(detector)
    stream.put()
    if failure == "model":
        detector.answer()
    if failure == "slow":
        assert stream.take() == []
        stream.clock.advance(PATIENCE_S)
    (shot,) = stream.take()
    assert is_whole_blur(shot.picture)
    assert stream.redactor.blurred == 1


def test_an_answer_that_comes_late_makes_no_older_picture_clear() -> None:
    stream = Stream(Answering())
    stream.put()
    stream.detector.answer()
    stream.take()
    stream.put(seconds=MOST_BETWEEN_LOOKS_S + 0.1)  # a look
    stream.put()
    stream.detector.answer()
    stream.take()
    stream.put(seconds=ANSWER_WITHIN_S)
    late = stream.detector.asked[-1]
    stream.clock.advance(ANSWER_WITHIN_S + PATIENCE_S)
    shots = stream.take()
    assert shots
    assert all(is_whole_blur(shot.picture) for shot in shots)
    late.set_result(no_rows())
    assert stream.take() == []


def test_a_change_of_scene_between_two_looks_is_blurred() -> None:
    stream = Stream(Answering())
    stream.put()
    stream.detector.answer()
    assert not is_whole_blur(stream.take()[0].picture)
    other = scene(7)
    stream.put(other)
    stream.put(SCENE)
    stream.detector.answer()
    strange, _ = stream.take()
    assert is_whole_blur(strange.picture, other)


def test_masks_lie_over_everything() -> None:
    outline = ((0.0, 0.0), (0.25, 0.0), (0.25, 0.25), (0.0, 0.25))
    stream = Stream(Answering(), masks=(outline,))
    stream.put()
    stream.detector.answer((0, 0, 300, 200))
    (shot,) = stream.take()
    assert (shot.picture[:90, :160] == MASK_COLOUR).all()
    stream.detector.away = True
    stream.put()
    stream.put()
    for shot in stream.take():
        assert (shot.picture[:90, :160] == MASK_COLOUR).all()


# ---- with a real inference process ----------------------------------------------------------


def person_clip(shared_clips: Path) -> Path:
    return shared_clips / "one-by-one-person-detection.mp4"


@pytest.fixture(scope="module")
def shared_clips() -> Path:
    import os

    folder = Path(os.environ.get("CAMERA_HUB_SHARED", "/work/shared")) / "clips"
    if not (folder / "one-by-one-person-detection.mp4").is_file():
        pytest.skip("SKIPPED: no shared footage; set CAMERA_HUB_SHARED to its folder")
    return folder


@pytest.mark.footage
def test_people_in_footage_are_covered(
    shared_clips: Path, inference: InferenceProcess, client: InferenceClient
) -> None:
    if "car" not in client.describe().labels:
        pytest.skip("SKIPPED: no COCO model; set CAMERA_HUB_SHARED to the folder with models")

    class Waiting:
        """The client, but every answer is there at once: the clip is not live."""

        def describe(self) -> ModelInfo:
            return client.describe()

        def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> "Future[Rows]":
            future = client.submit(picture, deadline_ms=20_000)
            future.exception()
            return future

        def close(self) -> None: ...

    redactor = Redactor(Waiting(), ManualClock(START), source="t")
    found = covered = 0
    last_s, originals = float("-inf"), {}
    for frame in open_file(person_clip(shared_clips)):
        at_s = frame.arrived_monotonic
        begun = originals.setdefault("begun", at_s)
        if at_s - begun > 20 or at_s - last_s < 1 / 12 - 0.012:  # type: ignore[operator]
            continue
        last_s = at_s
        picture = frame.rgb(640, 360)
        originals[at_s] = picture.copy()
        redactor.put(Shot(picture, at_s, frame.arrived_at))
        for shot in redactor.take():
            if int((shot.at_s - begun) * 12) % 12:  # type: ignore[operator]
                continue
            original = originals[shot.at_s]
            rows = client.submit(original, deadline_ms=20_000).result()
            for x1, y1, x2, y2, score, number in rows.tolist():
                if score >= 0.4 and client.describe().label(number) in PEOPLE:
                    part = changed(shot.picture, original)[int(y1) : int(y2), int(x1) : int(x2)]
                    found += 1
                    covered += part.mean() > 0.9
    assert found >= 10
    assert covered / found >= 0.99


@pytest.mark.faults
def test_with_the_inference_process_killed_nothing_clear_leaves(
    inference: InferenceProcess, client: InferenceClient
) -> None:
    clock = SystemClock()
    redactor = Redactor(client, clock, source="t", people_suffice=True)
    out: list[Shot] = []
    stop = threading.Event()

    def feed() -> Iterator[None]:
        while not stop.is_set():
            redactor.put(Shot(SCENE.copy(), clock.monotonic(), clock.now()))
            yield

    frames = feed()

    def step() -> None:
        next(frames)
        stop.wait(1 / 12)
        out.extend(redactor.take())

    def clear() -> bool:
        step()
        return bool(out) and not is_whole_blur(out[-1].picture)

    wait_until(clear, what="a clear picture of an empty place")
    inference.kill()
    wait_until(lambda: not client.connected, what="the client to notice")
    redactor.take()
    out.clear()
    for _ in range(12):
        step()
    assert out
    assert all(is_whole_blur(shot.picture) for shot in out)
    inference.start()
    wait_until(clear, timeout=60, what="clear pictures again")
    stop.set()


# ---- stills -----------------------------------------------------------------------------------


@pytest.fixture
async def still(
    inference: InferenceProcess,
) -> AsyncIterator[Callable[..., StillRedactor]]:
    made: list[StillRedactor] = []

    def make(path: Path | None = None, *, people_suffice: bool = True) -> StillRedactor:
        socket_path = path or inference.socket_path
        made.append(StillRedactor(socket_path, SystemClock(), people_suffice=people_suffice))
        return made[-1]

    yield make
    for redactor in made:
        redactor.close()


async def test_a_still_is_masked_and_says_nothing_of_the_camera(
    still: Callable[..., StillRedactor],
) -> None:
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Acme camera of flat 12"
    Image.fromarray(SCENE).save(buffer, "JPEG", exif=exif, comment=b"secret remark")
    jpeg = await still().still(buffer.getvalue(), CORNER, False)
    assert b"Acme" not in jpeg
    assert b"secret" not in jpeg
    with Image.open(BytesIO(jpeg)) as image:
        assert not image.getexif()
    masked = read_picture(jpeg)[4:80, 4:150].astype(int)
    assert np.abs(masked - MASK_COLOUR).max() <= 2


@pytest.mark.footage
async def test_people_in_a_still_are_covered(
    shared_clips: Path, client: InferenceClient, still: Callable[..., StillRedactor]
) -> None:
    pictures = [f.rgb() for n, f in enumerate(open_file(person_clip(shared_clips))) if n == 150]
    original = write_picture(pictures[0])
    before = read_picture(original)
    rows = client.submit(before, deadline_ms=20_000).result()
    people = rows[rows[:, 4] > 0.5]
    assert len(people)
    after = read_picture(await still().still(original, [], True))
    for x1, y1, x2, y2 in people[:, :4].astype(int).tolist():
        detail = [cv2.Laplacian(p[y1:y2, x1:x2], cv2.CV_32F).std() for p in (before, after)]
        assert detail[1] < detail[0] / 3


@pytest.mark.faults
async def test_a_still_that_nobody_can_redact_is_not_given_out(
    tmp_path: Path, still: Callable[..., StillRedactor]
) -> None:
    redactor = still(tmp_path / "nobody.sock")
    with pytest.raises(UnavailableError) as caught:
        await redactor.still(write_picture(SCENE), [], True)
    assert caught.value.code == "redaction-away"
    assert caught.value.remedy


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff\xe0 no picture", b"<svg/>"])
async def test_what_is_no_picture_is_refused(
    data: bytes, still: Callable[..., StillRedactor]
) -> None:
    with pytest.raises(InvalidInputError):
        await still().still(data, [], False)
