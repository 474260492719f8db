"""The one-key alarm: pressed, followed, located, and called off by a message.

A press is answered after its commit. Everything else about it may come later, or never.
"""

import hashlib
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Path, Request, Response
from starlette.requests import ClientDisconnect

from access.households.service import resource_of
from access.policy.types import Actor
from api.alarm_intake import press_alarm
from api.door import permit, require
from api.hub import HubDep
from core.errors import HubError
from governance.alarms import following, ladder
from governance.alarms.presses import InvalidAlarmError, checked_location
from governance.alarms.schemas import AlarmIn, AlarmOut, CancelIn, LocationIn
from governance.alarms.texts import language

router = APIRouter(tags=["alarms"])

AlarmId = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,200}$", description="The id of the press")]
Accept = Annotated[str, Header(alias="Accept-Language", include_in_schema=False)]
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": AlarmIn.model_json_schema()}},
}


class AlarmCutShortError(HubError):
    """The device is gone (400); nobody reads the answer, but it is no fault of ours either."""

    status = 400
    code = "body-cut-short"


@router.post(
    "/alarms",
    status_code=201,
    response_model=AlarmOut,
    openapi_extra={"requestBody": _BODY},
    responses={200: {"description": "This press was received before"}},
)
async def press(
    request: Request,
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.press")],
    *,
    idempotency_key: Annotated[str, Header(alias="Idempotency-Key")] = "",
    accept_language: Accept = "",
) -> Response:
    """Raise the alarm of the device's household. Sending the same press again is always safe."""
    try:
        raw = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise InvalidAlarmError(
            "The alarm is not JSON.",
            remedy='Send at least {"id": "<a UUID>", "kind": "medical"} as application/json.',
            detail={"errors": [{"field": "", "message": "is not JSON"}]},
        ) from error
    except ClientDisconnect as error:
        raise AlarmCutShortError(
            "The device hung up in the middle of the alarm; nothing was stored.",
            remedy="Send it again.",
        ) from error
    pressed = await press_alarm(hub, actor, raw, key=idempotency_key)
    if pressed.opened:
        found = ladder.raised(pressed.signal, pressed.receipt, pressed.opened)
    else:
        async with hub.database.read() as session:
            found = await following.alarm(
                session, actor.households, pressed.id, language(accept_language)
            )
    status = 201 if pressed.is_new else 200
    return Response(found.model_dump_json(), status, media_type="application/json")


@router.get("/alarms")
async def list_alarms(
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.follow")],
    accept_language: Accept = "",
) -> list[AlarmOut]:
    """List the alarms of the own household within the last 30 days, newest first."""
    async with hub.database.read() as session:
        return await following.recent(
            session, hub.governance, actor.households, language(accept_language)
        )


@router.get(
    "/alarms/{alarm_id}",
    response_model=AlarmOut,
    responses={304: {"description": "Nothing has changed since the ETag of If-None-Match"}},
)
async def read_alarm(
    alarm_id: AlarmId,
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.follow")],
    if_none_match: Annotated[str, Header(alias="If-None-Match", include_in_schema=False)] = "",
    accept_language: Accept = "",
) -> Response:
    """Return an alarm with its ladder; 404 until it has been received."""
    async with hub.database.read() as session:
        found = await following.alarm(
            session, actor.households, alarm_id, language(accept_language)
        )
    content = found.model_dump_json().encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Language"}
    if tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@router.get("/households/{household_id}/alarms")
async def list_household_alarms(
    household_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.follow")],
    accept_language: Accept = "",
) -> list[AlarmOut]:
    """List the alarms of a household within the last 30 days, newest first."""
    async with hub.database.read() as session:
        household = await hub.households.get(session, household_id)
        require(hub, actor, "alarm.follow", resource_of(household))
        return await following.recent(
            session, hub.governance, [household_id], language(accept_language)
        )


@router.post("/alarms/{alarm_id}/location")
async def locate_alarm(
    alarm_id: AlarmId,
    body: LocationIn,
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.follow")],
    accept_language: Accept = "",
) -> AlarmOut:
    """Say where the device is. Everybody who was told of the alarm is told of it."""
    place = checked_location(body, hub.clock.now())
    async with hub.database.transaction() as session:
        await following.locate(hub.governance, session, actor.households, alarm_id, place)
        return await following.alarm(session, actor.households, alarm_id, language(accept_language))


@router.post("/alarms/{alarm_id}/cancel")
async def cancel_alarm(
    alarm_id: AlarmId,
    body: CancelIn,
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.follow")],
    accept_language: Accept = "",
) -> AlarmOut:
    """Say that it is over. A message to everybody who was told: the alarm itself stays open."""
    async with hub.database.transaction() as session:
        await following.call_off(hub.governance, session, actor, alarm_id, body.note)
        return await following.alarm(session, actor.households, alarm_id, language(accept_language))
