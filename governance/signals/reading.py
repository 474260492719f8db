"""From bytes to checked signals, before any database is touched.

Everything a sender can get wrong is found here, and named by its field.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError

from core.errors import HubError, InvalidInputError
from governance.attachments.store import InvalidPictureError, Picture, check_picture
from governance.signals.schemas import SignalIn

MAX_BATCH = 100
MAX_PAYLOAD = 128 * 1024
"""Bytes of a signal without its pictures."""
MAX_DEPTH = 16
MAX_AHEAD = timedelta(days=1)


class InvalidSignalError(InvalidInputError):
    """A signal cannot be understood (422); `detail["errors"]` names the fields."""

    code = "invalid-signal"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        first = errors[0]
        place = f"{first['field']}: " if first["field"] else ""
        super().__init__(
            f"The signal is not valid: {place}{first['message']}.",
            remedy="Correct the fields named in errors and send it with the same id.",
            detail={"errors": errors},
        )


@dataclass(frozen=True, slots=True)
class ReadSignal:
    """A checked signal: its meaning, its pictures, what to keep of it, and what it hashes to."""

    event: SignalIn
    pictures: list[tuple[str, Picture]]
    payload: dict[str, Any]
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A signal of a batch that cannot be understood."""

    id: str | None
    source: str | None
    error: HubError


def parse(body: bytes) -> Any:
    """Return the JSON value in `body`.

    Raises:
        InvalidSignalError: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidSignalError([_error("", f"the body is not JSON ({error})")]) from error


def read_signal(raw: Any, now: datetime) -> ReadSignal:
    """Check one signal, decoding its pictures. Takes milliseconds of CPU for each picture.

    Raises:
        InvalidSignalError: names every wrong field.
    """
    if not isinstance(raw, dict):
        raise InvalidSignalError([_error("", "a signal is a JSON object (CloudEvents 1.0)")])
    _check_storable(raw)
    try:
        event = SignalIn.model_validate(raw)
    except ValidationError as error:
        raise InvalidSignalError(
            [
                _error(".".join(str(p) for p in e["loc"]), e["msg"].removeprefix("Value error, "))
                for e in error.errors(include_input=False, include_url=False)
            ]
        ) from error
    for name, moment in (("time", event.time), ("data.observed_at", event.data.observed_at)):
        if moment is not None and moment > now + MAX_AHEAD:
            raise InvalidSignalError(
                [_error(name, "lies more than a day in the future; check the sender's clock")]
            )
    content_hash = hashlib.sha256(orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)).digest()
    pictures = _read_pictures(event)
    payload = _without_pictures(raw, pictures)
    if len(orjson.dumps(payload)) > MAX_PAYLOAD:
        raise InvalidSignalError(
            [_error("data", f"is larger than {MAX_PAYLOAD // 1024} KiB without its pictures")]
        )
    return ReadSignal(event, pictures, payload, content_hash)


def read_batch(raw: Any, now: datetime) -> list[ReadSignal | Unreadable]:
    """Check each signal of a batch; one that is wrong does not spoil the others.

    Raises:
        InvalidSignalError: it is no list, is empty or too long.
    """
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_BATCH:
        raise InvalidSignalError([_error("", f"a batch is a list of 1 to {MAX_BATCH} signals")])
    found: list[ReadSignal | Unreadable] = []
    for item in raw:
        try:
            found.append(read_signal(item, now))
        except InvalidSignalError as error:
            known = item if isinstance(item, dict) else {}
            found.append(Unreadable(_short(known.get("id")), _short(known.get("source")), error))
    return found


def _read_pictures(event: SignalIn) -> list[tuple[str, Picture]]:
    pictures = []
    for position, attachment in enumerate(event.data.attachments):
        place = f"data.attachments.{position}"
        try:
            content = base64.b64decode(attachment.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidSignalError([_error(f"{place}.content", "is not base64")]) from error
        try:
            pictures.append((attachment.name, check_picture(content, attachment.media_type)))
        except InvalidPictureError as error:
            raise InvalidSignalError([_error(place, str(error).rstrip("."))]) from error
    return pictures


def _without_pictures(raw: dict[str, Any], pictures: list[tuple[str, Picture]]) -> dict[str, Any]:
    data = dict(raw["data"])
    if pictures:
        data["attachments"] = [
            {**{k: v for k, v in attachment.items() if k != "content"}, "sha256": picture.sha256}
            for attachment, (_, picture) in zip(data["attachments"], pictures, strict=True)
        ]
    return {**raw, "data": data}


def _check_storable(raw: dict[str, Any]) -> None:
    """Refuse what JSON can say and PostgreSQL cannot keep."""
    stack: list[tuple[Any, int]] = [(raw, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise InvalidSignalError([_error("", f"is nested deeper than {MAX_DEPTH} levels")])
        if isinstance(value, dict):
            stack.extend((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in value)
        elif isinstance(value, str) and "\x00" in value:
            raise InvalidSignalError([_error("", "holds a NUL character")])


def _error(field: str, message: str) -> dict[str, str]:
    return {"field": field, "message": message}


def _short(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None
