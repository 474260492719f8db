"""Cameras that say themselves what they see: their words to signals, and their silence."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.pipeline.told import ToldPipeline
from analytics.redaction.paint import MASK_COLOUR
from analytics.rules.signal import Signal
from analytics.zones.schemas import Rule
from camera_hub.simulator.quirks import Quirk, Quirks
from camera_hub.simulator.words import Told, document
from camera_hub.streams.painting import WHOLE_PICTURE
from camera_hub.streams.types import Frame
from core.clock import ManualClock
from core.settings import AnalyticsSettings
from tests.analytics.conftest import CAMERA, frame_of
from tests.analytics.telling import INSIDE, LIES, OUTSIDE, ZONE, person

STEP_S = 0.2


class Rig:
    """A camera that tells what a test says, without threads."""

    def __init__(self, **changes: Any) -> None:
        self.clock = ManualClock()
        self.signals: list[Signal] = []
        self.pictures = 0
        self.moved: list[datetime] = []
        self.pipeline = ToldPipeline(
            CAMERA, self.picture, self.signals.append, clock=self.clock,
            settings=AnalyticsSettings(), time_zone=ZoneInfo("UTC"), source="/workers/media-0",
            on_motion=lambda _camera, at: self.moved.append(at),
            **{"zones": (ZONE,), **changes},
        )  # fmt: skip

    def picture(self) -> Frame | None:
        self.pictures += 1
        return frame_of(np.full((360, 640, 3), 200, np.uint8))

    def say(
        self, *seen: Told, seconds: float = STEP_S, gone: tuple[int, ...] = (), quirks: Quirks = ()
    ) -> None:
        """Say the same thing five times a second for a while."""
        for _ in range(max(1, round(seconds / STEP_S))):
            self.clock.advance(STEP_S)
            words = document(self.clock.now(), seen, gone, quirks)
            self.pipeline.take(words, self.clock.monotonic(), self.clock.now())
            self.pipeline.step()

    def quiet(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.advance(STEP_S)
            self.pipeline.step()

    @property
    def phases(self) -> list[str]:
        return [signal["data"]["phase"] for signal in self.signals]


def test_somebody_in_a_zone_is_a_signal_after_the_dwell_time_and_one_picture_is_decoded() -> None:
    rig = Rig()
    rig.say(person(OUTSIDE), seconds=3)
    rig.say(person(), seconds=0.8)
    assert rig.signals == []
    assert rig.pictures == 0
    rig.say(person(), seconds=1)
    assert rig.phases == ["started"]
    data = rig.signals[0]["data"]
    assert (data["zone_name"], data["rule"]) == ("Yard", "intrusion")
    assert data["model"] == {"name": "camera", "version": "", "backend": "onvif"}
    assert data["objects"] == [
        {"label": "person", "confidence": 0.9, "box": pytest.approx(list(INSIDE), abs=1e-3)}
    ]
    assert data["attachments"][0]["media_type"] == "image/jpeg"
    rig.say(person(), seconds=11)
    rig.say(seconds=4)
    assert rig.phases == ["started", "continuing", "ended"]
    assert rig.pictures == 1
    assert len({signal["data"]["event_key"] for signal in rig.signals}) == 1


def test_no_number_of_the_cameras_is_in_a_signal() -> None:
    rig = Rig()
    rig.say(person(number=987654), seconds=3)
    assert rig.phases == ["started"]
    assert "987654" not in repr(rig.signals)


def test_another_class_another_rule_and_too_little_certainty_are_no_signal() -> None:
    rig = Rig()
    rig.say(Told(1, "Vehicle", INSIDE), Told(2, "HumanFace", INSIDE), seconds=3)
    rig.say(Told(3, "Human", INSIDE, likelihood=0.2), seconds=3)
    assert rig.signals == []
    cars = ZONE.model_copy(update={"rules": (Rule(kind="intrusion", objects=("car",)),)})
    rig.pipeline.set_zones((cars,))
    rig.say(Told(4, "Vehicle", INSIDE), seconds=1)
    assert rig.phases == ["started"]
    assert rig.signals[0]["data"]["headline"].startswith("Car in 'Yard'")


def test_somebody_who_lies_is_a_guess_by_the_shape_of_the_box() -> None:
    down = ZONE.model_copy(update={"rules": (Rule(kind="person_down"),)})
    rig = Rig(zones=(down,))
    rig.say(person(), seconds=2)
    assert rig.signals == []
    rig.say(person(LIES), seconds=2)
    assert rig.phases == ["started"]
    assert rig.signals[0]["data"]["certainty"] == "Possible"


def test_what_is_in_a_mask_is_not_watched_and_no_picture_shows_it() -> None:
    half = ((0.5, 0.0), (1.0, 0.0), (1.0, 0.6), (0.5, 0.6))
    rig = Rig(masks=(half,))
    rig.say(person(), seconds=4)
    assert rig.signals == []
    assert rig.moved == []
    rig.say(person((0.6, 0.55, 0.7, 0.95)), seconds=3)
    assert rig.phases == ["started"]
    assert picture_of(rig.signals[0])[10, 600] == pytest.approx(MASK_COLOUR, abs=12)
    rig.pipeline.set_masks((WHOLE_PICTURE,))
    rig.say(person((0.6, 0.55, 0.7, 0.95)), seconds=4)
    assert rig.phases == ["started", "ended"]


def picture_of(signal: Signal) -> np.ndarray[Any, Any]:
    import base64
    import io

    from PIL import Image

    content = base64.b64decode(signal["data"]["attachments"][0]["content"])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_without_a_picture_the_signal_goes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(rig.pipeline, "_picture", lambda: None)
    rig.say(person(), seconds=3)
    assert rig.phases == []
    rig.say(person(), seconds=1)
    assert rig.phases == ["started"]
    assert rig.signals[0]["data"]["attachments"] == []


def test_an_event_waits_a_moment_for_the_first_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    with monkeypatch.context() as patched:
        patched.setattr(rig.pipeline, "_picture", lambda: None)
        rig.say(person(), seconds=2)
    assert rig.phases == []
    rig.say(person())
    assert rig.phases == ["started"]
    assert len(rig.signals[0]["data"]["attachments"]) == 1
    with monkeypatch.context() as patched:
        patched.setattr(rig.pipeline, "_picture", lambda: None)
        rig.say(seconds=5)
        rig.say(person(), seconds=1.6)
        rig.pipeline.close()
    assert rig.phases == ["started", "ended", "started", "ended"]


def test_one_wrong_word_starts_nothing() -> None:
    immediately = ZONE.model_copy(update={"rules": (Rule(kind="intrusion"),)})
    rig = Rig(zones=(immediately,))
    rig.say(person())
    rig.say(seconds=5)
    assert rig.signals == []


def test_a_camera_that_falls_silent_during_an_event_ends_it_after_a_while() -> None:
    rig = Rig()
    rig.say(person(), seconds=3)
    rig.quiet(25)
    assert rig.phases == ["started"]
    rig.quiet(10)
    assert rig.phases == ["started", "ended"]


def test_garbage_between_words_costs_nothing_but_itself() -> None:
    rig = Rig()
    for _ in range(10):
        rig.say(person())
        rig.say(person(), quirks={Quirk.METADATA_MALFORMED})
        rig.say(person(), quirks={Quirk.METADATA_HUGE})
        rig.say(person(), quirks={Quirk.METADATA_ENTITY_BOMB})
    assert rig.phases == ["started"]
    refused = rig.pipeline.reader.refused
    assert (refused["not-xml"], refused["too-large"], refused["document-type"]) == (10, 10, 10)


def test_a_flood_is_dropped_and_counted() -> None:
    rig = Rig()
    for _ in range(1000):
        rig.pipeline.take(document(rig.clock.now(), [person()]), 0.0, rig.clock.now())
    rig.pipeline.step()
    assert rig.pipeline.counters.frames_dropped > 900
    for _ in range(8):
        rig.pipeline.take(b"x" * 2**20, 0.0, rig.clock.now())
    rig.pipeline.step()
    assert rig.pipeline.reader.refused["too-large"] == 1


def test_a_camera_that_never_stops_talking_is_read_so_much_a_second_and_no_more() -> None:
    rig = Rig()
    words = document(rig.clock.now(), [person(OUTSIDE, number) for number in range(250)])
    for _ in range(50):
        rig.clock.advance(STEP_S)
        for _ in range(1 + 2**20 // len(words)):
            rig.pipeline.take(words, rig.clock.monotonic(), rig.clock.now())
        rig.pipeline.step()
    # Ten seconds at half a megabyte, and a megabyte at once.
    assert rig.pipeline.reader.documents * len(words) < 7 * 2**20
    assert rig.pipeline.counters.frames_dropped > 500
    rig.quiet(3)
    rig.say(person(), seconds=2)
    assert rig.phases == ["started"]


def test_what_moves_is_motion_and_what_is_parked_is_not() -> None:
    rig = Rig()
    rig.say(Told(1, "Vehicle", INSIDE), seconds=10)
    assert len(rig.moved) == 1
    for at in range(10):
        rig.say(Told(1, "Vehicle", (0.1 + at / 50, 0.3, 0.3 + at / 50, 0.5)))
    assert len(rig.moved) == 11


def test_a_fault_nobody_thought_of_is_counted_and_the_camera_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()

    def broken(*_: object) -> None:
        raise RuntimeError("a fault nobody thought of")

    with monkeypatch.context() as patched:
        patched.setattr(rig.pipeline.reader, "read", broken)
        rig.say(person(), seconds=1)
    assert rig.pipeline.counters.failures == 5
    rig.say(person(), seconds=3)
    assert rig.phases == ["started"]


# --- following ---
