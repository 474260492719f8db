"""The pipeline over real footage: it finds who comes in, the same on every run."""

import base64
import io
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import av
import pytest
from PIL import Image

from analytics.detectors.local import LocalDetector
from analytics.pipeline.file import analyse_file
from analytics.rules.signal import Signal
from analytics.zones.schemas import Rule, Zone
from core.clock import SystemClock
from core.errors import InvalidInputError
from core.settings import AnalyticsSettings
from governance.signals.schemas import SignalIn
from tests.analytics.conftest import START, shared_file
from tests.support.media_footage import write_mp4

ZONE = ZoneInfo("UTC")
CLIP = "clips/one-by-one-person-detection.mp4"
# Seconds at which a head first shows at the lower edge, read off the clip by eye.
ENTRIES = (6.0, 22.6)


def zone(**changes: object) -> Zone:
    return Zone.model_validate(
        {
            "id": UUID(int=1),
            "name": "Corridor",
            "polygon": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
            "rules": (Rule(kind="intrusion", cooldown_seconds=0),),
            **changes,
        }
    )


def analyse(
    path: Path, detector: LocalDetector, zones: list[Zone] | None = None, max_fps: float = 2.0
) -> list[Signal]:
    return list(
        analyse_file(
            path,
            detector,
            SystemClock(),
            settings=AnalyticsSettings(max_fps=max_fps),
            time_zone=ZONE,
            zones=zones,
            start=START,
        )
    )


def seconds(signal: Signal) -> float:
    observed = SignalIn.model_validate(signal).data.observed_at
    assert observed is not None
    return (observed - START).total_seconds()


def beginning(path: Path, seconds: float) -> Path:
    """Copy the first seconds of the clip to `path`, packet by packet."""
    with av.open(str(shared_file(CLIP))) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None or float(packet.dts * packet.time_base) > seconds:
                break
            packet.stream = copy
            target.mux(packet)
    return path


@pytest.fixture(scope="module")
def first_entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 14 seconds of the clip: one person comes in."""
    return beginning(tmp_path_factory.mktemp("clip") / "first.mp4", 14)


@pytest.mark.footage
def test_everybody_who_comes_in_is_found_and_nobody_else(
    tmp_path: Path, yolo_detector: LocalDetector
) -> None:
    signals = analyse(beginning(tmp_path / "two.mp4", 40), yolo_detector, [zone()])
    started = [seconds(item) for item in signals if item["data"]["phase"] == "started"]
    assert len(started) == len(ENTRIES)
    for found, expected in zip(started, ENTRIES, strict=True):
        assert found == pytest.approx(expected, abs=1.6)
    phases = [item["data"]["phase"] for item in signals if item["data"]["phase"] != "continuing"]
    assert phases == ["started", "ended"] * len(ENTRIES)


@pytest.mark.footage
def test_the_snapshot_shows_the_picture_that_was_judged(yolo_detector: LocalDetector) -> None:
    import numpy as np

    first = next(
        iter(
            analyse_file(
                shared_file(CLIP), yolo_detector, SystemClock(),
                settings=AnalyticsSettings(), time_zone=ZONE, zones=[zone()],
            )
        )
    )  # fmt: skip
    attachment = first["data"]["attachments"][0]
    picture = Image.open(io.BytesIO(base64.b64decode(attachment["content"])))
    assert picture.size == (attachment["width"], attachment["height"]) == (768, 432)
    x1, y1, x2, y2 = first["data"]["objects"][0]["box"]
    rows = yolo_detector.submit(np.asarray(picture.convert("RGB")), deadline_ms=60_000).result(60)
    best = rows[rows[:, 4].argmax()]
    expected = np.array([x1 * 768, y1 * 432, x2 * 768, y2 * 432])
    np.testing.assert_allclose(best[:4], expected, atol=25)


@pytest.mark.footage
def test_the_same_file_gives_the_same_signals(
    first_entry: Path, yolo_detector: LocalDetector
) -> None:
    def facts() -> list[tuple[object, ...]]:
        found = analyse(first_entry, yolo_detector, [zone()], max_fps=5)
        keys = ("phase", "event_key", "observed_at", "objects")
        return [tuple(item["data"][key] for key in keys) for item in found]

    once = facts()
    assert [item[0] for item in once] == ["started", "ended"]
    assert facts() == once


@pytest.mark.footage
def test_a_zone_nobody_stands_in_stays_quiet(
    first_entry: Path, yolo_detector: LocalDetector
) -> None:
    ceiling = zone(polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 0.3), (0.0, 0.3)))
    assert analyse(first_entry, yolo_detector, [ceiling]) == []


def test_a_video_without_anybody_is_no_event(tmp_path: Path, yolo_detector: LocalDetector) -> None:
    assert analyse(write_mp4(tmp_path / "square.mp4"), yolo_detector) == []


@pytest.mark.faults
def test_a_video_file_that_is_no_video_says_so(
    tmp_path: Path, yolo_detector: LocalDetector
) -> None:
    good = write_mp4(tmp_path / "good.mp4").read_bytes()
    for name, content in {
        "empty.mp4": b"",
        "letter.mp4": b"Dear camera, " * 1000,
        "half.mp4": good[:200],
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InvalidInputError) as refused:
            analyse(path, yolo_detector)
        assert name in refused.value.message
    with pytest.raises(InvalidInputError):
        analyse(tmp_path / "none.mp4", yolo_detector)
    with pytest.raises(InvalidInputError):
        analyse(tmp_path, yolo_detector)
