"""Runs the detection pipeline over a video file with this node's settings."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from analytics.detectors.factory import open_detector
from analytics.models.registry import resolve
from analytics.pipeline.file import analyse_file
from analytics.rules.signal import Signal
from analytics.zones.schemas import Zone, ZoneIn
from core.clock import SystemClock
from core.errors import InvalidInputError
from core.ids import new_id
from core.settings import Settings


def read_zones(path: Path) -> list[Zone]:
    """Read a JSON list of zones, in the shape of `PUT /api/v1/cameras/{id}/zones`.

    Raises:
        InvalidInputError: unreadable, no JSON, or not zones; names the first wrong field.
    """
    try:
        drawn = TypeAdapter(list[ZoneIn]).validate_python(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read as JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{path}: zone field '{where}': {first['msg']}.") from error
    return [Zone.model_validate({**dict(zone), "id": zone.id or new_id()}) for zone in drawn]


def analyse_with_settings(
    file: Path, settings: Settings, zones: Sequence[Zone] | None
) -> Iterator[Signal]:
    """Yield the signals of `file` in order; the whole picture is the zone when `zones` is None.

    Raises:
        HubError: no such file, no video, no model.
    """
    clock = SystemClock()
    chosen = settings.analytics
    spec = resolve(chosen.model, settings.models_path)
    detector = open_detector(spec, clock, backend=chosen.backend, threads=chosen.threads)
    try:
        yield from analyse_file(
            file,
            detector,
            clock,
            settings=chosen,
            time_zone=settings.site.zone,
            zones=zones,
        )
    finally:
        detector.close()
