"""From what a device sends to the signal of an alarm.

A press is refused only where nobody could know what was pressed. What a device adds to it (its
clock, where it is) is kept if it can be true and dropped, with a word of warning, if not.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid5

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from core.errors import InvalidInputError
from governance.alarms.schemas import AlarmIn, AlarmKind, LocationIn
from governance.incidents.kinds import ALARMS
from governance.signals.reading import ReadSignal, read_signal

TYPE = "org.camerahub.alarm."
AHEAD = timedelta(minutes=2)
BEHIND = timedelta(hours=24)
"""A device's clock further off than this is wrong; a phone that was offline is not."""

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_PRESS_OF_KEY = UUID("5f1f4d0e-5d2b-5c3e-9f0a-1f8f6b0c7a11")
_LONGEST_KEY = 200


class InvalidAlarmError(InvalidInputError):
    """What was pressed cannot be understood (422); `detail["errors"]` names the fields."""

    code = "invalid-alarm"


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a key, as the device tells of it. `via`: http, mqtt or dc09."""

    id: str
    kind: AlarmKind
    status: Literal["Actual", "Test", "Exercise"] = "Actual"
    pressed_at: datetime | None = None
    held: bool = False
    location: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    via: str = "http"
    note: str = ""
    about: dict[str, Any] = field(default_factory=dict)


def source_of(device_id: UUID) -> str:
    """Return the source of a device's signals."""
    return f"/devices/{device_id}"


def device_of(source: str) -> UUID | None:
    """Return the device in a signal's source; None for a signal of somebody else."""
    try:
        return UUID(source.removeprefix("/devices/")) if source.startswith("/devices/") else None
    except ValueError:
        return None


def read_press(
    raw: Any, now: datetime, *, device_id: UUID, key: str = "", via: str = "http"
) -> Press:
    """Return the press in `raw` (parsed JSON). `key` is the `Idempotency-Key`, if there was one.

    Raises:
        InvalidAlarmError: it has neither id nor key, or its kind or status is unknown.
    """
    try:
        body = AlarmIn.model_validate(raw)
    except ValidationError as error:
        raise InvalidAlarmError(
            "The alarm cannot be understood.",
            remedy="Correct the fields named in errors and send it with the same id. "
            "If somebody is in danger now, call for help by telephone.",
            detail={
                "errors": [
                    {"field": ".".join(str(p) for p in e["loc"]), "message": e["msg"]}
                    for e in error.errors(include_input=False, include_url=False)
                ]
            },
        ) from error
    warnings: list[str] = []
    location = _location(body.location, warnings)
    pressed_at = _moment(body.pressed_at, now, warnings)
    return Press(
        id=_identity(body, device_id, key),
        kind=body.kind,
        status=body.status,
        pressed_at=pressed_at,
        held=body.held is True,
        location=location,
        warnings=tuple(warnings),
        via=via,
    )


def _identity(body: AlarmIn, device_id: UUID, key: str) -> str:
    if body.id is not None:
        return str(body.id)
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidAlarmError(
            "The alarm has no id, so that a repetition could not be told from a second alarm.",
            remedy="Send an id (a UUID made once per press), or an Idempotency-Key header "
            "that is new for each press and the same for each repetition.",
            detail={"errors": [{"field": "id", "message": "is required without Idempotency-Key"}]},
        )
    return str(uuid5(_PRESS_OF_KEY, f"{device_id}\n{key}"))


def checked_location(location: LocationIn, now: datetime) -> dict[str, Any]:
    """Return a location as an incident keeps it."""
    at = location.at
    if at is None or not now - BEHIND <= at <= now + AHEAD:
        at = now
    return {
        "latitude": location.latitude,
        "longitude": location.longitude,
        "accuracy_m": location.accuracy_m,
        "at": at.isoformat(),
    }


def _location(raw: Any, warnings: list[str]) -> dict[str, Any] | None:
    if raw is None:
        return None
    try:
        return LocationIn.model_validate(raw).model_dump(mode="json")
    except ValidationError:
        warnings.append("location_dropped")
        return None


def _moment(raw: Any, now: datetime, warnings: list[str]) -> datetime | None:
    if raw is None:
        return None
    try:
        moment = _MOMENT.validate_python(raw)
    except ValidationError:
        warnings.append("pressed_at_unread")
        return None
    if not now - BEHIND <= moment <= now + AHEAD:
        warnings.append("clock_off")
    return moment


def signal_of(
    press: Press, *, device_id: UUID, device_name: str, household_id: UUID, household: str,
    now: datetime,
) -> ReadSignal:  # fmt: skip
    """Return the signal of a press of a device of a household.

    Its content counts as the same whenever id, kind, status and household are: a repetition may
    know more (a location) or less, and is the same press all the same.
    """
    observed = press.pressed_at
    if observed is None or "clock_off" in press.warnings:
        observed = now
    label = ALARMS[f"alarm_{press.kind}"]["headline"]
    raw = {
        "specversion": "1.0",
        "id": press.id,
        "source": source_of(device_id),
        "type": TYPE + press.kind,
        "subject": str(device_id),
        "time": now.isoformat(),
        "data": {
            "status": press.status,
            "headline": f"{label}: {household}",
            "household_id": str(household_id),
            "observed_at": min(observed, now).isoformat(),
            "pressed_at": None if press.pressed_at is None else press.pressed_at.isoformat(),
            "device": {"id": str(device_id), "name": device_name, "via": press.via},
            "held": press.held,
            "location": press.location,
            "warnings": list(press.warnings),
            "note": press.note,
            **press.about,
        },
    }
    told = f"{press.id}\n{press.kind}\n{press.status}\n{household_id}"
    return replace(read_signal(raw, now), content_hash=hashlib.sha256(told.encode()).digest())
