"""Signals of pictures that are not all right: with pictures, masked, and taken back in the end."""

import base64
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.health.memory import HealthMemory
from analytics.health.rates import ADOPTED_AFTER_S, LEARN_S, LOW_AFTER_S, RateFaults, RateWatch
from analytics.health.watch import HealthWatch, all_over
from analytics.pipeline.analysis import snapshot
from analytics.redaction.paint import MASK_COLOUR
from analytics.rules.signal import Signal
from analytics.rules.types import CameraRef
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import Frame, ReasonCode, StreamState, StreamStatus
from core.clock import ManualClock
from governance.signals.reading import read_signal

CAMERA = CameraRef(UUID(int=7), "Gate {name}", "demo/riverside")
LEFT: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


def scene(seed: int = 1) -> NDArray[np.uint8]:
    """Return a picture with edges all over, as a yard with walls, doors and windows has."""
    random = np.random.default_rng(seed)
    picture = np.full((360, 640, 3), 90, np.uint8)
    for _ in range(60):
        x, y = int(random.integers(0, 600)), int(random.integers(0, 330))
        w, h = int(random.integers(20, 120)), int(random.integers(20, 120))
        colour = [int(value) for value in random.integers(30, 220, 3)]
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1)
    return picture


GOOD, COVER = scene(), np.full((360, 640, 3), 110, np.uint8)


class Yard:
    """A watch with pictures as they would come, one every ten seconds."""

    def __init__(self, directory: Path, masks: tuple[Polygon, ...] = ()) -> None:
        self.clock = ManualClock()
        self.masks = masks
        self.memory = HealthMemory(directory)
        self.watch = self._make()
        self._random = np.random.default_rng(2)

    def _make(self) -> HealthWatch:
        return HealthWatch(
            CAMERA, self.clock, source="/workers/media-0", memory=self.memory,
            picture=lambda frame: snapshot(frame, self.masks),
        )  # fmt: skip

    def restart(self) -> None:
        self.watch = self._make()

    def see(self, picture: NDArray[np.uint8], seconds: float) -> list[Signal]:
        signals: list[Signal] = []
        for _ in range(round(seconds / 10)):
            self.clock.advance(10)
            noisy = picture + self._random.normal(0, 4, picture.shape)
            rgb = np.clip(noisy, 0, 255).astype(np.uint8)
            video = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            now, at_s = self.clock.now(), self.clock.monotonic()
            frame = Frame(video, arrived_at=now, arrived_monotonic=at_s)
            signals += self.watch.look(frame, self.masks)
        return signals


def pictures_of(signal: Signal) -> dict[str, NDArray[np.uint8]]:
    return {
        one["name"]: np.asarray(
            cv2.imdecode(np.frombuffer(base64.b64decode(one["content"]), np.uint8), 1), np.uint8
        )
        for one in signal["data"]["attachments"]
    }


def test_a_cover_is_said_with_pictures_of_before_and_after(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    assert yard.see(GOOD, 300) == []
    (signal,) = yard.see(COVER, 120)
    data = signal["data"]
    assert signal["type"] == "org.camerahub.camera.covered"
    assert (data["phase"], data["severity"]) == ("started", "Severe")
    assert data["headline"] == "Gate {name} is covered"
    pictures = pictures_of(signal)
    assert list(pictures) == ["before.jpg", "after.jpg"]
    assert pictures["before.jpg"].std() > 30 > pictures["after.jpg"].std()
    taken = read_signal(signal, yard.clock.now())
    assert taken.event.kind == "camera_covered"
    (over,) = yard.see(GOOD, 120)
    assert over["data"]["phase"] == "ended"
    assert over["data"]["event_key"] == data["event_key"]
    again = read_signal(over, yard.clock.now())
    assert again.event.dedup_key == taken.event.dedup_key
    assert over["data"]["attachments"] == []


def test_no_picture_shows_what_is_masked(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.see(GOOD, 300)
    yard.masks = (LEFT,)
    yard.watch.forget_pictures()
    yard.see(GOOD, 60)
    yard.watch.relearn()
    yard.see(GOOD, 300)
    (signal,) = yard.see(COVER, 120)
    for picture in pictures_of(signal).values():
        left = picture[:, : picture.shape[1] // 2 - 8]
        assert abs(float(left.mean()) - MASK_COLOUR[0]) < 4
        assert left.std() < 4


def test_what_changes_in_a_mask_only_is_not_judged(tmp_path: Path) -> None:
    yard = Yard(tmp_path, (((0.1, 0.0), (1.0, 0.0), (1.0, 1.0), (0.1, 1.0)),))
    yard.see(GOOD, 300)
    beside = scene(9)
    beside[:, :64] = GOOD[:, :64]
    assert yard.see(beside, 600) == []


def test_a_restart_neither_forgets_nor_repeats(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.see(GOOD, 300)
    (begun,) = yard.see(COVER, 120)
    yard.restart()
    assert yard.see(COVER, 300) == []
    (over,) = yard.see(GOOD, 120)
    assert over["data"]["phase"] == "ended"
    assert over["data"]["event_key"] == begun["data"]["event_key"]


def test_of_a_camera_that_is_no_longer_watched_everything_is_taken_back(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.see(GOOD, 300)
    (begun,) = yard.see(COVER, 120)

    def over() -> list[Signal]:
        return all_over(CAMERA, yard.clock, source="/workers/media-0", memory=yard.memory)

    (ended,) = over()
    assert ended["data"]["event_key"] == begun["data"]["event_key"]
    assert over() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"usual":{"edges":"!"},"faults":[1]}',
        b'{"usual":{"edges":"AAAA","contrast":1},"faults":{"x":1}}',
    ],
)
def test_a_broken_memory_is_none(tmp_path: Path, content: bytes) -> None:
    memory = HealthMemory(tmp_path)
    (tmp_path / f"{CAMERA.id}.json").write_bytes(content)
    assert memory.load(CAMERA.id) == (None, {})


# Rates


def status(fps: float, kbps: float, state: StreamState = StreamState.ONLINE) -> StreamStatus:
    clock = ManualClock()
    return StreamStatus(
        state=state, reason_code=ReasonCode.OK, reason="", since=clock.now(), packets=1, bytes=1,
        keyframes=1, fps=fps, bitrate_kbps=kbps, width=640, height=360, codec="h264",
        last_frame_at=clock.now() + timedelta(seconds=1), reconnects=0,
    )  # fmt: skip


class Stream:
    def __init__(self, watch: RateWatch | None = None) -> None:
        self.watch = watch or RateWatch()
        self.at_s = 0.0

    def send(self, seconds: float, fps: float, kbps: float, **more: Any) -> list[bool]:
        said = []
        for _ in range(round(seconds)):
            self.at_s += 1
            found = self.watch.update(status(fps, kbps, **more), self.at_s)
            said += [] if found is None else [found]
        return said


@pytest.mark.parametrize(("fps", "kbps"), [(5.0, 1000.0), (25.0, 40.0)])
def test_a_rate_far_below_the_usual_one_is_said_and_taken_back(fps: float, kbps: float) -> None:
    stream = Stream()
    assert stream.send(LEARN_S + 60, 25, 1000) == []
    assert stream.send(LOW_AFTER_S - 5, fps, kbps) == []
    assert stream.send(30, fps, kbps) == [True]
    assert stream.send(600, fps, kbps) == []
    assert stream.send(120, 25, 1000) == [False]


def test_a_quiet_night_is_usual() -> None:
    stream = Stream()
    said = []
    for _ in range(3):
        said += stream.send(1800, 25, 2000) + stream.send(1800, 15, 500)
    assert said == []


def test_a_stream_that_is_away_is_not_low() -> None:
    stream = Stream()
    stream.send(LEARN_S + 60, 25, 1000)
    assert stream.send(600, 0, 0, state=StreamState.STALLED) == []
    assert stream.send(600, 25, 1000) == []


def test_a_low_rate_that_stays_a_day_is_the_rate() -> None:
    stream = Stream()
    stream.send(LEARN_S + 60, 25, 1000)
    assert stream.send(LOW_AFTER_S + 20, 8, 300) == [True]
    # One that sways is not meant.
    for _ in range(5):
        assert stream.send(ADOPTED_AFTER_S / 5, 8, 300) + stream.send(60, 4, 300) == []
    assert stream.send(ADOPTED_AFTER_S + 60, 8, 300) == [False]
    # From now on that is what is usual.
    assert stream.send(3600, 8, 300) == []
    assert stream.send(LOW_AFTER_S + 20, 3, 300) == [True]


def test_a_rate_lowered_on_purpose_is_learned_anew(tmp_path: Path) -> None:
    clock = ManualClock()
    rates = RateFaults(clock, source="/workers/media-0", state=tmp_path / "rates.json")
    rates.add(CAMERA)

    def send(seconds: float, fps: float) -> list[str]:
        said = []
        for _ in range(int(seconds)):
            clock.advance(1)
            signal = rates.update(CAMERA.id, status(fps, 900))
            said += [signal["data"]["phase"]] if signal else []
        return said

    send(LEARN_S + 60, 25)
    assert send(LOW_AFTER_S + 20, 10) == ["started"]
    over = rates.relearn(CAMERA.id)
    assert over is not None
    assert over["data"]["phase"] == "ended"
    # The first seconds after the change still show the old rate.
    assert send(5, 25) + send(3600, 10) == []
    assert rates.relearn(CAMERA.id) is None
    assert rates.relearn(UUID(int=9)) is None
    assert send(LEARN_S + 60, 10) == []
    assert send(LOW_AFTER_S + 20, 3) == ["started"]


def test_low_rates_outlive_a_restart_and_end_with_the_camera(tmp_path: Path) -> None:
    clock, state = ManualClock(), tmp_path / "rates.json"

    def made() -> RateFaults:
        return RateFaults(clock, source="/workers/media-0", state=state)

    rates = made()
    rates.add(CAMERA)

    def send(seconds: int, fps: float) -> list[Signal]:
        said = []
        for _ in range(seconds):
            clock.advance(1)
            signal = rates.update(CAMERA.id, replace(status(fps, 900)))
            said += [signal] if signal else []
        return said

    send(int(LEARN_S) + 60, 25)
    (begun,) = send(int(LOW_AFTER_S) + 20, 4)
    assert begun["type"] == "org.camerahub.camera.low_rate"
    assert begun["data"]["detail"] == {"fps": 4, "bitrate_kbps": 900}
    rates.fault.save()
    rates = made()
    rates.add(CAMERA)
    ended = rates.remove(CAMERA.id)
    assert ended is not None
    assert ended["data"]["phase"] == "ended"
    assert ended["data"]["event_key"] == begun["data"]["event_key"]
    assert rates.remove(CAMERA.id) is None
    assert rates.update(CAMERA.id, status(25, 900)) is None
