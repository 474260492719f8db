"""A camera that should tell what it sees, and does not."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.detectors.types import DetectorUnavailableError, ModelInfo, Picture
from analytics.pipeline.host import AnalyticsHost
from analytics.pipeline.silence import SILENT_AFTER_S, WELL_AFTER_S
from analytics.rules.signal import Signal
from analytics.zones.schemas import Rule
from camera_hub.simulator.quirks import Quirk
from camera_hub.simulator.words import document
from camera_hub.streams.types import AssignedCamera, ReasonCode, StreamState, StreamStatus
from core.clock import ManualClock, SystemClock
from core.settings import Settings
from tests.analytics.conftest import CAMERA
from tests.analytics.telling import ZONE, person
from tests.support.media import wait_until


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
