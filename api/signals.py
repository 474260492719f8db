"""Signals: the one way in for detections, faults and alarms. The receipt follows the commit."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import ClientDisconnect

from access.households import repository as household_rows
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from camera_hub.devices.models import Camera
from core.errors import HubError
from governance.attachments.store import PictureStore
from governance.incidents.kinds import ALARMS
from governance.signals.reading import (
    MAX_BATCH,
    InvalidSignalError,
    ReadSignal,
    Unreadable,
    parse,
    read_batch,
    read_signal,
)
from governance.signals.schemas import BatchItemOut, SignalIn, SignalReceipt
from governance.signals.service import CameraFacts, HouseholdFacts, Receipt

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
    # Decoding and writing pictures takes tens of milliseconds: not on the event loop.
    signal = await asyncio.to_thread(_prepare, hub.governance.pictures, raw, hub)
    async with hub.database.transaction() as session:
        receipt = await _intake(hub, session, actor, signal)
    response.status_code = 201 if receipt.is_new else 200
    return receipt.body


async def _post_batch(hub: Hub, actor: Actor, raw: Any) -> list[BatchItemOut]:
    def prepare() -> list[ReadSignal | Unreadable]:
        found = read_batch(raw, hub.clock.now())
        for item in found:
            if isinstance(item, ReadSignal):
                _store_pictures(hub.governance.pictures, item)
        return found

    answers: list[BatchItemOut] = []
    items = await asyncio.to_thread(prepare)
    async with hub.database.transaction() as session:
        for item in items:
            if isinstance(item, Unreadable):
                answers.append(_refusal(item.error, item.id, item.source))
                continue
            try:
                receipt = await _intake(hub, session, actor, item)
            except HubError as error:
                # Refused before anything of it was written; the others go on.
                answers.append(_refusal(error, item.event.id, item.event.source))
            else:
                status = 201 if receipt.is_new else 200
                answers.append(BatchItemOut(status=status, **dict(receipt.body)))
    return answers


async def _intake(hub: Hub, session: AsyncSession, actor: Actor, signal: ReadSignal) -> Receipt:
    camera = await _camera_facts(session, signal.event.data.camera_id)
    household = await _household_facts(session, signal, camera)
    area = signal.event.data.area
    if camera is not None:
        area = camera.area
    if household is not None:
        area = household.area
    require(hub, actor, "signal.post", Resource("signal", area=area))
    return await hub.governance.signals.intake(
        session, signal, camera=camera, household=household, posted_by=actor.id
    )


async def _household_facts(
    session: AsyncSession, signal: ReadSignal, camera: CameraFacts | None
) -> HouseholdFacts | None:
    """Return the household of an alarm; None for any other signal.

    Raises:
        InvalidSignalError: there is no such household, or the camera named is not one of it.
    """
    household_id = signal.event.data.household_id
    if signal.event.kind not in ALARMS or household_id is None:
        return None
    household = await household_rows.by_id(session, household_id)
    if household is None or household.closed_at is not None:
        raise InvalidSignalError([_fault("data.household_id", "there is no such household")])
    if signal.event.data.camera_id is not None and (
        camera is None or camera.household_id != household_id
    ):
        raise InvalidSignalError([_fault("data.camera_id", "is no camera of this household")])
    return HouseholdFacts(household.id, household.area)


def _fault(field: str, message: str) -> dict[str, str]:
    return {"field": field, "message": message}


async def _camera_facts(session: AsyncSession, camera_id: UUID | None) -> CameraFacts | None:
    if camera_id is None:
        return None
    row = (
        await session.execute(
            select(Camera.name, Camera.area, Camera.household_id).where(Camera.id == camera_id)
        )
    ).one_or_none()
    if row is None:
        return None
    return CameraFacts(name=row.name, area=row.area, household_id=row.household_id)


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
