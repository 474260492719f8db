"""Signals: the one way in for detections, faults and alarms. The receipt follows the commit."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from access.policy.types import Actor
from api.door import permit
from api.hub import Hub, HubDep
from api.intake import take_in
from core.errors import HubError
from governance.attachments.store import PictureStore
from governance.signals.reading import (
    MAX_BATCH,
    ReadSignal,
    Unreadable,
    parse,
    read_batch,
    read_signal,
)
from governance.signals.schemas import BatchItemOut, SignalIn, SignalReceipt

router = APIRouter(tags=["signals"])

BATCH_TYPE = "application/cloudevents-batch+json"
TYPES = ("application/cloudevents+json", "application/json", BATCH_TYPE)


class UnsupportedMediaTypeError(HubError):
    """The body is of a kind that is not read here (415)."""

    status = 415
    code = "unsupported-media-type"


class BodyCutShortError(HubError):
    """The sender is gone (400); nobody reads the answer, but it is no fault of ours either."""

    status = 400
    code = "body-cut-short"


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of `model` without references; OpenAPI has no place for `$defs`."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolve(definitions[value["$ref"].rsplit("/", 1)[1]])
            return {key: resolve(item) for key, item in value.items()}
        return [resolve(item) for item in value] if isinstance(value, list) else value

    resolved = resolve(schema)
    assert isinstance(resolved, dict)
    return resolved


_ONE = _inlined(SignalIn)
_MANY = {"type": "array", "items": _ONE, "minItems": 1, "maxItems": MAX_BATCH}
_BODY = {
    "required": True,
    "content": {
        TYPES[0]: {"schema": _ONE},
        TYPES[1]: {"schema": {"oneOf": [_ONE, _MANY]}},
        BATCH_TYPE: {"schema": _MANY},
    },
}


@router.post(
    "/signals",
    status_code=201,
    openapi_extra={"requestBody": _BODY},
    responses={200: {"description": "Stored before (one signal), or the answers to a batch"}},
)
async def post_signals(
    request: Request,
    response: Response,
    hub: HubDep,
    actor: Annotated[Actor, permit("signal.post")],
) -> SignalReceipt | list[BatchItemOut]:
    """Take in one CloudEvent, or a batch. Posting the same event again is always safe."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in TYPES:
        raise UnsupportedMediaTypeError(
            f"'{media_type[:60]}' is not read here.", remedy=f"Send {TYPES[0]} or {BATCH_TYPE}."
        )
    try:
        raw = parse(await request.body())
    except ClientDisconnect as error:
        raise BodyCutShortError(
            "The sender hung up in the middle of the signal; nothing was stored.",
            remedy="Send it again.",
        ) from error
    if media_type == BATCH_TYPE or isinstance(raw, list):
        response.status_code = 200
        return await _post_batch(hub, actor, raw)
    signal = await _prepared(hub, raw)
    (answer,) = await take_in(hub, actor, [signal])
    if isinstance(answer, HubError):
        raise answer
    response.status_code = 201 if answer.is_new else 200
    return answer.body


async def _post_batch(hub: Hub, actor: Actor, raw: Any) -> list[BatchItemOut]:
    def prepare() -> list[ReadSignal | Unreadable]:
        found = read_batch(raw, hub.clock.now())
        for item in found:
            if isinstance(item, ReadSignal):
                _store_pictures(hub.governance.pictures, item)
        return found

    items = await asyncio.to_thread(prepare)
    taken = await take_in(hub, actor, [item for item in items if isinstance(item, ReadSignal)])
    answers, waiting = [], iter(taken)
    for item in items:
        if isinstance(item, Unreadable):
            answers.append(_refusal(item.error, item.id, item.source))
            continue
        answer = next(waiting)
        if isinstance(answer, HubError):
            answers.append(_refusal(answer, item.event.id, item.event.source))
        else:
            status = 201 if answer.is_new else 200
            answers.append(BatchItemOut(status=status, **dict(answer.body)))
    return answers


async def _prepared(hub: Hub, raw: Any) -> ReadSignal:
    """Read a signal; decoding and writing pictures takes long: not on the event loop."""
    data = raw.get("data") if isinstance(raw, dict) else None
    if isinstance(data, dict) and data.get("attachments"):
        return await asyncio.to_thread(_prepare, hub.governance.pictures, raw, hub)
    return read_signal(raw, hub.clock.now())


def _prepare(pictures: PictureStore, raw: Any, hub: Hub) -> ReadSignal:
    signal = read_signal(raw, hub.clock.now())
    _store_pictures(pictures, signal)
    return signal


def _store_pictures(pictures: PictureStore, signal: ReadSignal) -> None:
    for _, picture in signal.pictures:
        pictures.write(picture)


def _refusal(error: HubError, event_id: str | None, source: str | None) -> BatchItemOut:
    return BatchItemOut(
        status=error.status,
        id=event_id,
        source=source,
        code=error.code,
        detail=error.message,
        remedy=error.remedy,
        errors=error.detail.get("errors"),
    )
