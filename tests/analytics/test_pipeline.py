"""One camera's pipeline, live: pictures from a real clip in real time, a real detector, a spool."""

import base64
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import av
import numpy as np
import orjson
import pytest
from PIL import Image

from analytics.detectors.client import InferenceClient
from analytics.pipeline.camera import CameraPipeline
from analytics.pipeline.host import AnalyticsHost, parse_zones
from analytics.pipeline.offline import OfflineFaults
from analytics.redaction.paint import MASK_COLOUR
from analytics.rules.signal import Signal
from analytics.spool.store import Spool
from analytics.zones.schemas import Rule, Zone
from camera_hub.streams.painting import WHOLE_PICTURE
from camera_hub.streams.types import (
    AssignedCamera,
    Frame,
    ReasonCode,
    StreamState,
    StreamStatus,
)
from core.clock import Clock, ManualClock, SystemClock
from core.settings import AnalyticsSettings, Settings
from tests.analytics.conftest import CAMERA, START, shared_file
from tests.analytics.inference import InferenceProcess
from tests.support.media import wait_until

ZONE = Zone(
    id=UUID(int=1),
    name="Corridor",
    polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
    rules=(Rule(kind="intrusion", cooldown_seconds=0),),
)
BLANK = np.full((360, 640, 3), 90, np.uint8)


class Pictures:
    """A camera: gives the same pictures over and over, ten a second, as if they just arrived."""

    def __init__(self, pictures: list[np.ndarray[Any, Any]], clock: Clock) -> None:
        self.pictures = pictures
        self.clock = clock
        self.given: list[Frame] = []
        self.failures = 0
        self.dropped = 0
        self.age_s = 0.0
        self._pace = threading.Event()

    @property
    def decoded(self) -> int:
        return len(self.given)

    def get(self, timeout: float) -> Frame | None:
        self._pace.wait(0.1)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a fault nobody thought of")
        picture = av.VideoFrame.from_ndarray(
            self.pictures[len(self.given) % len(self.pictures)], format="rgb24"
        )
        frame = Frame(
            picture.reformat(format="yuv420p"),
            arrived_at=self.clock.now(),
            arrived_monotonic=self.clock.monotonic() - self.age_s,
        )
        self.given.append(frame)
        return frame


class Rig:
    """A pipeline with its spool."""

    def __init__(self, pictures: Pictures, detector: Any, folder: Path, zones: list[Zone]) -> None:
        self.spool = Spool(folder)
        self.folder = folder
        self.pictures = pictures
        self.pipeline = CameraPipeline(
            CAMERA, pictures, detector, self.spool.put, clock=pictures.clock,
            settings=AnalyticsSettings(), time_zone=ZoneInfo("UTC"), source="/workers/media-0",
            zones=zones,
        )  # fmt: skip
        self.pipeline.start()

    def signals(self) -> list[Signal]:
        files = sorted(self.folder.glob("*.json"))
        return [orjson.loads(path.read_bytes()) for path in files]

    def wait_for(self, phase: str, count: int = 1) -> Signal:
        def there() -> list[Signal]:
            found = [item for item in self.signals() if item["data"]["phase"] == phase]
            return found if len(found) >= count else []

        found: list[Signal] = wait_until(there, 30, f"a signal {phase}")
        return found[-1]


@pytest.fixture
def walk() -> list[np.ndarray[Any, Any]]:
    """A few seconds in which a person walks into an empty corridor and stays in view."""
    pictures = []
    with av.open(str(shared_file("clips/one-by-one-person-detection.mp4"))) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and 6.0 <= frame.time < 14.0:
                pictures.append(frame.to_ndarray(format="rgb24"))
            if len(pictures) == 60:
                break
    return pictures


@pytest.fixture
def rigs() -> Iterator[list[Rig]]:
    """Rigs whose pipelines are closed at the end."""
    made: list[Rig] = []
    yield made
    for rig in made:
        rig.pipeline.close()


@pytest.mark.footage
def test_a_person_who_walks_in_is_a_signal_with_that_very_picture(
    walk: list[np.ndarray[Any, Any]], client: InferenceClient, tmp_path: Path, rigs: list[Rig]
) -> None:
    pictures = Pictures(walk, SystemClock())
    rig = Rig(pictures, client, tmp_path / "spool", [ZONE])
    rigs.append(rig)
    data = rig.wait_for("started")["data"]
    assert data["headline"] == "Person in 'Corridor' at Gate 3"
    assert data["camera_id"] == str(CAMERA.id)
    assert data["area"] == CAMERA.area
    assert data["model"]["backend"] == "openvino"
    observed = data["observed_at"]
    shown = [
        frame
        for frame in pictures.given
        if frame.arrived_at.isoformat(timespec="milliseconds")[:-6] + "Z" == observed
    ]
    assert len(shown) == 1
    content = base64.b64decode(data["attachments"][0]["content"])
    jpeg = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=int)
    assert np.abs(jpeg - shown[0].rgb().astype(int)).mean() < 6
    counters = rig.pipeline.counters
    assert counters.frames_detected <= counters.frames_analysed <= pictures.decoded
    assert counters.failures == 0
    rig.pipeline.close()
    assert [item["data"]["phase"] for item in rig.signals()][-1] == "ended"


@pytest.mark.footage
def test_zones_are_changed_while_the_camera_runs(
    walk: list[np.ndarray[Any, Any]], client: InferenceClient, tmp_path: Path, rigs: list[Rig]
) -> None:
    rig = Rig(Pictures(walk[-3:], SystemClock()), client, tmp_path / "spool", [])
    rigs.append(rig)
    wait_until(lambda: rig.pipeline.counters.frames_analysed >= 10)
    assert rig.pipeline.counters.frames_detected == 0
    rig.pipeline.set_zones([ZONE])
    started = rig.wait_for("started")
    rig.pipeline.set_zones([])
    ended = rig.wait_for("ended")
    assert ended["data"]["event_key"] == started["data"]["event_key"]


@pytest.mark.footage
def test_nothing_in_a_mask_is_a_signal_and_no_picture_shows_it(
    walk: list[np.ndarray[Any, Any]], client: InferenceClient, tmp_path: Path, rigs: list[Rig]
) -> None:
    rig = Rig(Pictures(walk[-3:], SystemClock()), client, tmp_path / "spool", [])
    rigs.append(rig)
    rig.pipeline.set_masks((WHOLE_PICTURE,))
    rig.pipeline.set_zones([ZONE])
    wait_until(lambda: rig.pipeline.counters.frames_detected >= 5, 40)
    assert rig.signals() == []
    rig.pipeline.set_masks((((0.0, 0.0), (0.2, 0.0), (0.2, 0.2), (0.0, 0.2)),))
    data = rig.wait_for("started")["data"]
    content = base64.b64decode(data["attachments"][0]["content"])
    jpeg = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=int)
    height, width = jpeg.shape[:2]
    corner = jpeg[8 : int(height * 0.18), 8 : int(width * 0.18)]
    assert np.abs(corner - MASK_COLOUR).max() <= 3
    assert jpeg[height // 2 :].std() > 10


@pytest.mark.footage
@pytest.mark.faults
def test_the_detector_may_die_while_the_camera_is_watched(
    walk: list[np.ndarray[Any, Any]],
    client: InferenceClient,
    inference: InferenceProcess,
    tmp_path: Path,
    rigs: list[Rig],
) -> None:
    rig = Rig(Pictures(walk[-20:], SystemClock()), client, tmp_path / "spool", [ZONE])
    rigs.append(rig)
    started = rig.wait_for("started")
    inference.kill()
    before = rig.pipeline.counters.frames_dropped
    wait_until(lambda: rig.pipeline.counters.frames_dropped > before + 3)
    inference.start()
    seen = rig.pipeline.counters.frames_detected
    wait_until(lambda: rig.pipeline.counters.frames_detected > seen + 15, 40)
    assert "ended" not in {item["data"]["phase"] for item in rig.signals()}
    assert {item["data"]["event_key"] for item in rig.signals()} == {started["data"]["event_key"]}
    assert rig.pipeline.counters.failures == 0


def test_old_pictures_are_dropped_and_counted(
    client: InferenceClient, tmp_path: Path, rigs: list[Rig]
) -> None:
    pictures = Pictures([BLANK], SystemClock())
    pictures.age_s = 5.0
    pictures.dropped = 3
    rig = Rig(pictures, client, tmp_path / "spool", [ZONE])
    rigs.append(rig)
    wait_until(lambda: rig.pipeline.counters.frames_dropped >= 4)
    assert rig.pipeline.counters.frames_detected == 0


def test_a_fault_nobody_thought_of_is_counted_and_the_camera_goes_on(
    client: InferenceClient, tmp_path: Path, rigs: list[Rig]
) -> None:
    pictures = Pictures([BLANK], SystemClock())
    pictures.failures = 1
    rig = Rig(pictures, client, tmp_path / "spool", [ZONE])
    rigs.append(rig)
    wait_until(lambda: rig.pipeline.counters.frames_detected)
    assert rig.pipeline.counters.failures == 1


def status(state: StreamState) -> StreamStatus:
    code = ReasonCode.OK if state is StreamState.ONLINE else ReasonCode.REFUSED
    return StreamStatus(state, code, "Nobody answers at that address.", START)


class Away:
    """Whether one camera is said to be away."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        state = folder / "offline.json"
        self.faults = OfflineFaults(clock, source="/workers/media-0", state=state, after_s=10)
        self.faults.add(CAMERA)

    def update(self, now: StreamStatus) -> Signal | None:
        return self.faults.update(CAMERA.id, now)


def test_a_cameras_failure_is_an_incident(tmp_path: Path) -> None:
    clock = ManualClock()
    watch = Away(clock, tmp_path)
    assert watch.update(status(StreamState.ONLINE)) is None
    assert watch.update(status(StreamState.STALLED)) is None
    clock.advance(9.9)
    assert watch.update(status(StreamState.CONNECTING)) is None
    clock.advance(0.1)
    started = watch.update(status(StreamState.CONNECTING))
    assert started is not None
    assert started["type"] == "org.camerahub.camera.offline"
    assert started["data"]["headline"] == "Gate 3 is offline: Nobody answers at that address."
    clock.advance(100)
    assert watch.update(status(StreamState.UNAUTHORISED)) is None
    ended = watch.update(status(StreamState.ONLINE))
    assert ended is not None
    assert ended["data"]["phase"] == "ended"
    assert ended["data"]["event_key"] == started["data"]["event_key"]
    assert watch.update(status(StreamState.ONLINE)) is None


def test_a_camera_that_blinks_or_is_switched_off_is_not_offline(tmp_path: Path) -> None:
    clock = ManualClock()
    watch = Away(clock, tmp_path)
    for _ in range(20):
        assert watch.update(status(StreamState.STALLED)) is None
        clock.advance(6)
        assert watch.update(status(StreamState.ONLINE)) is None
        clock.advance(6)
    for _ in range(20):
        assert watch.update(status(StreamState.DISABLED)) is None
        clock.advance(6)


def make_host(tmp_path: Path, clock: Clock, client: Any, emitted: list[Signal]) -> AnalyticsHost:
    return AnalyticsHost(
        client, emitted.append, clock=clock, settings=Settings(data_dir=tmp_path),
        time_zone=ZoneInfo("UTC"), worker="media-0",
    )  # fmt: skip


def assigned(name: str = "Gate 3", zones: tuple[dict[str, Any], ...] = ()) -> AssignedCamera:
    return AssignedCamera(CAMERA.id, name, CAMERA.area, 1, {}, True, zones)


@pytest.mark.faults
def test_a_camera_that_comes_back_while_its_worker_restarts_is_reported_as_back(
    tmp_path: Path, client: InferenceClient
) -> None:
    clock = ManualClock()
    emitted: list[Signal] = []
    killed = make_host(tmp_path, clock, client, emitted)
    killed.add(assigned(), None)
    killed.observe(CAMERA.id, status(StreamState.STALLED))
    clock.advance(11)
    killed.observe(CAMERA.id, status(StreamState.STALLED))
    restarted = make_host(tmp_path, clock, client, emitted)
    restarted.add(assigned(), None)
    restarted.add(assigned("Gate 3, renamed"), None)
    restarted.observe(CAMERA.id, status(StreamState.CONNECTING))
    restarted.observe(CAMERA.id, status(StreamState.ONLINE))
    assert [item["data"]["phase"] for item in emitted] == ["started", "ended"]
    assert len({item["data"]["event_key"] for item in emitted}) == 1
    again = make_host(tmp_path, clock, client, emitted)
    again.add(assigned(), None)
    again.observe(CAMERA.id, status(StreamState.ONLINE))
    assert len(emitted) == 2


def test_a_camera_that_is_taken_away_leaves_nothing_running(
    tmp_path: Path, client: InferenceClient
) -> None:
    clock = SystemClock()
    emitted: list[Signal] = []
    host = make_host(tmp_path, clock, client, emitted)
    pictures = Pictures([BLANK], clock)
    zone = ZONE.model_dump(mode="json", by_alias=True)
    host.add(assigned(zones=(zone,)), pictures)
    wait_until(lambda: host.counters(CAMERA.id).frames_detected)
    host.set_zones(CAMERA.id, [])
    host.remove(CAMERA.id)
    given = pictures.decoded
    assert host.counters(CAMERA.id).frames_analysed == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("pipeline-")]
    assert pictures.decoded == given
    assert emitted == []
    host.close()


def test_a_zone_of_a_newer_hub_does_not_blind_the_others() -> None:
    known = ZONE.model_dump(mode="json", by_alias=True)
    newer = {**known, "rules": [{"kind": "smoke"}]}
    assert parse_zones([newer, known]) == (ZONE,)
