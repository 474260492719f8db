"""Cameras that say themselves what they see: their words to signals, and their silence."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.detectors.types import DetectorUnavailableError, ModelInfo, Picture
from analytics.pipeline.host import AnalyticsHost
from analytics.pipeline.silence import SILENT_AFTER_S, WELL_AFTER_S
from analytics.pipeline.told import ToldPipeline
from analytics.redaction.paint import MASK_COLOUR
from analytics.rules.signal import Signal
from analytics.tracking.follower import GONE_AFTER_S, MOST, Follower
from analytics.zones.schemas import Rule, Zone
from camera_hub.simulator.quirks import Quirk, Quirks
from camera_hub.simulator.words import Told, document
from camera_hub.streams.metadata import SeenFrame, SeenObject
from camera_hub.streams.painting import WHOLE_PICTURE
from camera_hub.streams.types import AssignedCamera, Frame, ReasonCode, StreamState, StreamStatus
from core.clock import ManualClock, SystemClock
from core.settings import AnalyticsSettings, Settings
from tests.analytics.conftest import CAMERA, frame_of
from tests.support.media import wait_until

ZONE = Zone(
    id=UUID(int=1),
    name="Yard",
    polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),
    rules=(Rule(kind="intrusion", dwell_seconds=1.0, cooldown_seconds=0),),
)
OUTSIDE = (0.1, 0.3, 0.2, 0.7)
INSIDE = (0.6, 0.3, 0.7, 0.7)
LIES = (0.55, 0.6, 0.85, 0.7)
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


def person(box: tuple[float, float, float, float] = INSIDE, number: int = 1) -> Told:
    return Told(number, "Human", box)


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


def test_a_camera_that_tells_of_thousands_is_followed_for_as_many_as_there_is_room() -> None:
    follower = Follower(0.5)
    crowd = [SeenFrame(None, tuple(one(f"{n}-{k}") for k in range(256))) for n in range(40)]
    for at_s in (1.0, 1.2, 1.4):
        assert len(follower.take(crowd, at_s)) == MOST
    assert len(follower.take([SeenFrame(None, (one("late"),))], 1.6)) == 1


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


def seen(
    *objects: SeenObject, gone: tuple[str, ...] = (), renamed: tuple[tuple[str, str], ...] = ()
) -> SeenFrame:
    return SeenFrame(None, objects, gone, renamed)


def one(number: str, label: str = "person", box: Any = INSIDE) -> SeenObject:
    return SeenObject(number, box, label, 0.9)


def test_a_track_lives_as_long_as_the_object_is_in_view() -> None:
    follower = Follower(0.4)
    assert [found.track for found in follower.take([seen(one("5"))], 0.0)] == [None]
    first = follower.take([seen(one("5"))], 0.2)[0].track
    assert first is not None
    assert follower.take([seen(one("5"))], 0.2 + GONE_AFTER_S - 0.1)[0].track == first
    # The number of one that has left may be given to somebody else.
    follower.take([seen(one("5"))], 20.0)
    later = follower.take([seen(one("5"))], 20.2)[0].track
    assert later not in (None, first)
    follower.take([seen(gone=("5",))], 20.4)
    follower.take([seen(one("5"))], 20.6)
    assert follower.take([seen(one("5"))], 20.8)[0].track not in (first, later)


def test_a_renamed_object_is_the_same() -> None:
    follower = Follower(0.4)
    follower.take([seen(one("5"))], 0.0)
    before = follower.take([seen(one("5"))], 0.2)[0].track
    after = follower.take([seen(one("6"), renamed=(("5", "6"),))], 0.4)
    assert [found.track for found in after] == [before]


def test_what_a_camera_leaves_out_is_as_it_was() -> None:
    follower = Follower(0.4)
    follower.take([seen(one("5"))], 0.0)
    bare = SeenObject("5", None, "", 1.0)
    found = follower.take([seen(bare)], 0.2)
    assert [(item.label, item.box, item.confidence) for item in found] == [("person", INSIDE, 0.9)]
    assert follower.take([seen(SeenObject("9", None, "", 1.0))], 0.4) == []


def test_objects_without_numbers_are_followed_by_their_boxes() -> None:
    follower = Follower(0.4)
    tracks = []
    for step in range(6):
        box = (0.1 + step / 100, 0.2, 0.2 + step / 100, 0.6)
        found = follower.take([seen(one("", box=box), one("1"))], step * 0.2)
        tracks.append({item.track for item in found})
    assert len(tracks[-1]) == 2
    assert tracks[-1] == tracks[-2]
    assert any(track is not None and track < 0 for track in tracks[-1])


# --- the host: silence, and nothing decoded ---


class NoDetector:
    """There is none: a camera that tells must not need it."""

    asked = 0

    def describe(self) -> ModelInfo:
        raise DetectorUnavailableError("There is none.")

    def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> Any:
        del picture, deadline_ms, source
        self.asked += 1
        raise DetectorUnavailableError("There is none.")

    def close(self) -> None: ...


ONLINE = StreamStatus(StreamState.ONLINE, ReasonCode.OK, "", datetime(2026, 1, 1, tzinfo=UTC))
AWAY = ONLINE.replace(state=StreamState.STALLED, reason_code=ReasonCode.NO_DATA)


class Silence:
    """A host with one camera that tells, and time that passes a second at a time."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.emitted: list[Signal] = []
        self.folder = folder
        self.host = self.make()

    def make(self) -> AnalyticsHost:
        host = AnalyticsHost(
            NoDetector(), self.emitted.append, clock=self.clock,
            settings=Settings(data_dir=self.folder), time_zone=ZoneInfo("UTC"), worker="media-0",
        )  # fmt: skip
        host.add(telling(), None, lambda: None)
        return host

    def pass_s(
        self, seconds: float, words: Callable[[], bytes] | None = None, status: Any = ONLINE
    ) -> list[str]:
        before = len(self.emitted)
        for _ in range(round(seconds)):
            self.clock.advance(1.0)
            if words is not None:
                self.host.told(CAMERA.id, words(), self.clock.monotonic(), self.clock.now())
            pipeline = self.host._told.get(CAMERA.id)
            assert pipeline is not None
            pipeline.step()
            self.host.observe(CAMERA.id, status)
        return [
            f"{s['type'].rpartition('.')[2]} {s['data']['phase']}" for s in self.emitted[before:]
        ]

    def words(self, *quirks: Quirk) -> Callable[[], bytes]:
        return lambda: document(self.clock.now(), [person()], (), quirks)


def telling(**changes: Any) -> AssignedCamera:
    zone = ZONE.model_dump(mode="json", by_alias=True)
    return AssignedCamera(
        CAMERA.id,
        "Gate 3",
        CAMERA.area,
        1,
        {},
        True,
        **{"zones": (zone,), "analysed_by": "camera", **changes},
    )


@pytest.fixture
def silence(tmp_path: Path) -> Iterator[Silence]:
    made = Silence(tmp_path)
    yield made
    made.host.close()


def test_a_camera_that_falls_silent_is_reported_once_and_again_when_it_tells(
    silence: Silence,
) -> None:
    assert silence.pass_s(60, silence.words()) == [
        "intrusion started",
        *["intrusion continuing"] * 5,
    ]
    silence.emitted.clear()
    said = silence.pass_s(SILENT_AFTER_S + 5)
    assert said == ["intrusion ended", "not_analysed started"]
    assert silence.emitted[-1]["data"]["severity"] == "Severe"
    assert silence.emitted[-1]["data"]["headline"] == "Gate 3 does not say what it sees"
    assert silence.pass_s(100) == []
    assert silence.pass_s(5, silence.words())[-1:] != ["not_analysed ended"]
    assert "not_analysed ended" in silence.pass_s(WELL_AFTER_S, silence.words())
    keys = {s["data"]["event_key"] for s in silence.emitted if "not_analysed" in s["type"]}
    assert len(keys) == 1


def test_a_blink_of_silence_is_nothing(silence: Silence) -> None:
    for _ in range(4):
        assert silence.pass_s(3, lambda: document(silence.clock.now(), [])) == []
        assert silence.pass_s(SILENT_AFTER_S - 2) == []


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [
        (Quirk.METADATA_MALFORMED, "not-xml"),
        (Quirk.METADATA_ENTITY_BOMB, "document-type"),
        (Quirk.METADATA_HUGE, "too-large"),
        (Quirk.METADATA_OUTSIDE, "outside"),
    ],
)
def test_words_that_cannot_be_used_are_no_words(
    silence: Silence, quirk: Quirk, reason: str
) -> None:
    said = silence.pass_s(SILENT_AFTER_S + 2, silence.words(quirk))
    assert said == ["not_analysed started"]
    data = silence.emitted[-1]["data"]
    assert data["detail"] == {"reason": reason}
    assert data["headline"] == "Gate 3 sends what it sees in a form that cannot be read"
    # Words without objects in between do not make it well.
    assert silence.pass_s(SILENT_AFTER_S, silence.words(quirk)) == []
    said = silence.pass_s(WELL_AFTER_S + 6, silence.words(Quirk.METADATA_WRONG_NAMESPACE))
    assert "not_analysed ended" in said


def test_a_camera_that_is_away_is_not_silent(silence: Silence) -> None:
    said = silence.pass_s(100, status=AWAY)
    assert "not_analysed started" not in said
    assert "not_analysed started" not in silence.pass_s(SILENT_AFTER_S - 2)
    assert "not_analysed started" in silence.pass_s(5)


@pytest.mark.faults
def test_a_silence_outlives_the_worker_and_ends_with_the_setting(silence: Silence) -> None:
    silence.pass_s(SILENT_AFTER_S + 2)
    silence.host.close()
    silence.host = silence.make()
    assert silence.pass_s(SILENT_AFTER_S * 2) == []
    silence.host.add(telling(analysed_by="hub"), None)
    assert silence.emitted[-1]["type"] == "org.camerahub.camera.not_analysed"
    assert silence.emitted[-1]["data"]["phase"] == "ended"
    assert len({signal["data"]["event_key"] for signal in silence.emitted}) == 1
    count = len(silence.emitted)
    silence.host.add(telling(), None, lambda: None)
    silence.host.remove(CAMERA.id)
    assert len(silence.emitted) == count


def test_the_thread_of_the_host_works_and_needs_no_detector(tmp_path: Path) -> None:
    clock = SystemClock()
    emitted: list[Signal] = []
    detector = NoDetector()
    host = AnalyticsHost(
        detector, emitted.append, clock=clock, settings=Settings(data_dir=tmp_path),
        time_zone=ZoneInfo("UTC"), worker="media-0",
    )  # fmt: skip
    now = ZONE.model_copy(update={"rules": (Rule(kind="intrusion"),)})
    host.add(telling(zones=(now.model_dump(mode="json", by_alias=True),)), None, lambda: None)

    def started() -> bool:
        host.told(CAMERA.id, document(clock.now(), [person()]), clock.monotonic(), clock.now())
        return bool(emitted)

    wait_until(started)
    counters = host.counters(CAMERA.id)
    assert counters.frames_analysed >= 1
    assert counters.frames_detected == detector.asked == 0
    host.remove(CAMERA.id)
    assert [signal["data"]["phase"] for signal in emitted] == ["started", "ended"]
    host.told(CAMERA.id, document(clock.now(), [person()]), clock.monotonic(), clock.now())
    host.close()
