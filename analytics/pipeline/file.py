"""The pipeline over a video file, faster than real time and the same on every run."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from uuid import UUID

import av

from analytics.detectors.types import Detector, Rows
from analytics.pipeline.analysis import CameraAnalysis, Look, snapshot
from analytics.rules.signal import Signal, detection_signal
from analytics.rules.types import CameraRef, RuleEvent
from analytics.zones.schemas import Rule, Zone
from camera_hub.streams.frames import open_file
from camera_hub.streams.types import Frame
from core.clock import Clock, ManualClock
from core.settings import AnalyticsSettings

FILE_CAMERA = UUID(int=0)
# Looks in work at once: enough to keep the inference queue busy. Results are used in order and
# only this much later than a camera's would be, always by the same number of looks.
_AHEAD = 4
_PATIENCE_MS = 120_000
# The hub takes no signals of earlier years.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def whole_picture() -> Zone:
    """Return the zone that is used when none is given: everything, for both rules."""
    return Zone(
        id=UUID(int=0),
        name="Whole picture",
        polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
        rules=(
            Rule(kind="intrusion", objects=("person",), cooldown_seconds=0),
            Rule(kind="person_down", severity="extreme", dwell_seconds=2, cooldown_seconds=0),
        ),
    )


def analyse_file(
    path: Path,
    detector: Detector,
    clock: Clock,
    *,
    settings: AnalyticsSettings,
    time_zone: tzinfo,
    zones: Sequence[Zone] | None = None,
    start: datetime | None = None,
    area: str = "",
) -> Iterator[Signal]:
    """Run the pipeline over a file and yield its signals in order.

    Times in the signals' data are the file's: `start` plus each picture's own timestamp. `start`
    defaults to the recording time in the file, else to 2000-01-01 UTC.

    Args:
        path: any file with a video stream.
        detector: used with several pictures at a time; not closed.
        clock: dates the envelopes only.
        settings: rate and confidence; the deadline does not apply to a file.
        time_zone: for the zones' schedules.
        zones: the whole picture when None.
        start: aware time of the first picture.
        area: of the signals.

    Raises:
        InvalidInputError: there is no such file, or it is no video.
        UnavailableError: the detector failed.
    """
    camera = CameraRef(FILE_CAMERA, path.name, area)
    analysis = CameraAnalysis(
        camera,
        time_zone,
        max_fps=settings.max_fps,
        confidence=settings.confidence,
        # Which parts share an inference depends on the moment; whole pictures never do.
        crops=False,
    )
    model = detector.describe()

    def signals(events: Sequence[RuleEvent], look: Look | None) -> Iterator[Signal]:
        for event in events:
            picture = snapshot(look.frame) if look and event.phase == "started" else None
            yield detection_signal(
                clock,
                source=f"/files/{path.name}",
                camera=camera,
                event=event,
                model=model,
                snapshot=picture,
            )

    work: deque[tuple[Look, Future[Rows]]] = deque()
    last: Frame | None = None
    frames = open_file(path, clock=ManualClock(start or _recorded_at(path) or _EPOCH))
    for frame in frames:
        if last is None:
            chosen = [whole_picture()] if zones is None else zones
            analysis.configure(chosen, frame.arrived_monotonic, frame.arrived_at)
        last = frame
        look = analysis.look(frame)
        if look is None:
            continue
        work.append((look, detector.submit(look.picture, deadline_ms=_PATIENCE_MS)))
        if len(work) > _AHEAD:
            done, future = work.popleft()
            yield from signals(analysis.apply(done, future.result(), model), done)
    for done, future in work:
        yield from signals(analysis.apply(done, future.result(), model), done)
    if last is not None:
        yield from signals(analysis.finish(last.arrived_monotonic, last.arrived_at), None)


def _recorded_at(path: Path) -> datetime | None:
    """Return when the file says it was recorded; None where it does not say."""
    try:
        with av.open(
            str(path.absolute()),
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        ) as container:
            text = container.metadata.get("creation_time")
        at = datetime.fromisoformat(text) if text else None
    except (av.FFmpegError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
