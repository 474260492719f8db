"""The pipeline over a video file, faster than real time and the same on every run."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from uuid import UUID

import av

from analytics.detectors.types import Detector, Rows
from analytics.pipeline.analysis import CameraAnalysis, Look, snapshot
from analytics.rules.signal import Signal, detection_signal
from analytics.rules.types import CameraRef, RuleEvent
from analytics.zones.schemas import Rule, Zone
from camera_hub.streams.types import Frame
from core.clock import Clock
from core.errors import InvalidInputError, NotFoundError
from core.settings import AnalyticsSettings

FILE_CAMERA = UUID(int=0)
# Looks in work at once: enough to keep the inference queue busy. Results are used in order and
# only this much later than a camera's would be, always by the same number of looks.
_AHEAD = 4
_PATIENCE_MS = 120_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    defaults to the recording time in the file, else to 1970-01-01 UTC.

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
        NotFoundError: there is no such file.
        InvalidInputError: the file is no video, or its first pictures cannot be decoded.
        UnavailableError: the detector failed.
    """
    camera = CameraRef(FILE_CAMERA, path.name, area)
    analysis = CameraAnalysis(
        camera, time_zone, max_fps=settings.max_fps, confidence=settings.confidence
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
    for frame in _frames(path, start):
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


def _frames(path: Path, start: datetime | None) -> Iterator[Frame]:
    """Decode a file; times never go backwards, and a damaged picture is left out."""
    if not path.is_file():
        raise NotFoundError(
            f"The file {path} is not there.", remedy="Check the path.", code="file-not-found"
        )
    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError) as error:
        raise _no_video(path) from error
    with container:
        if not container.streams.video:
            raise _no_video(path)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        begin = start or _recorded_at(container.metadata.get("creation_time")) or _EPOCH
        seen = 0
        last_s = 0.0
        try:
            for packet in container.demux(stream):
                for picture in _decode(packet):
                    at_s = max(last_s, float(picture.time or 0.0))
                    last_s = at_s
                    seen += 1
                    yield Frame(
                        picture,
                        arrived_at=begin + timedelta(seconds=at_s),
                        arrived_monotonic=at_s,
                    )
        except av.FFmpegError as error:
            # A recording that was cut off ends here; what came before it counts.
            if not seen:
                raise _no_video(path) from error
        if not seen:
            raise _no_video(path)


def _decode(packet: "av.Packet[av.VideoStream]") -> "list[av.VideoFrame]":
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []


def _no_video(path: Path) -> InvalidInputError:
    return InvalidInputError(
        f"{path} is not a video that can be decoded.",
        remedy="Give a video file such as .mp4 or .mkv; `ffprobe` shows what a file holds.",
        code="not-a-video",
    )


def _recorded_at(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
