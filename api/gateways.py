"""Gateways: the providers through which people are told, and what they report back."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.answering import take_answer
from api.door import permit, require
from api.hub import Hub, HubDep
from core.errors import ConflictError, HubError, InvalidInputError, NotFoundError
from core.text import cleaned
from governance.deliveries import repository
from governance.deliveries.answering import Answer, incident_of, read_digit, read_reply
from governance.deliveries.models import Delivery, Gateway
from governance.deliveries.schemas import (
    CallbackBody,
    GatewayChange,
    GatewayCreate,
    GatewayMade,
    GatewayOut,
    GatewayTest,
    GatewayTested,
)

router = APIRouter(tags=["gateways"])

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")

Write = Annotated[Actor, permit("gateway.write")]


class CallbackTaken(BaseModel):
    """Whether the report had an effect; `code` says why not."""

    accepted: bool
    code: str = ""


@router.get("/gateways")
async def list_gateways(
    hub: HubDep, actor: Annotated[Actor, permit("gateway.list")]
) -> list[GatewayOut]:
    """List the gateways of the own areas; addresses and secrets are never shown."""
    async with hub.database.read() as session:
        rows = await hub.gateways.list(session, hub.policy.areas(actor, "gateway.list"))
        return [hub.gateways.describe(row) for row in rows]


@router.post("/gateways", status_code=201)
async def create_gateway(body: GatewayCreate, hub: HubDep, actor: Write) -> GatewayMade:
    """Set up a gateway. A secret that the hub makes is shown in this answer and never again."""
    require(hub, actor, "gateway.write", _place(body.area))
    async with hub.database.transaction() as session:
        row, secret = await hub.gateways.create(session, actor, body)
        return GatewayMade(**hub.gateways.describe(row).model_dump(), secret=secret)


@router.patch("/gateways/{gateway_id}")
async def change_gateway(
    gateway_id: UUID, body: GatewayChange, hub: HubDep, actor: Write
) -> GatewayOut:
    """Change a gateway; what is left out stays."""
    if body.area is not None:
        require(hub, actor, "gateway.write", _place(body.area))
    async with hub.database.transaction() as session:
        row = await _writable(hub, session, actor, gateway_id)
        await hub.gateways.change(session, actor, row, body)
        return hub.gateways.describe(row)


@router.delete("/gateways/{gateway_id}", status_code=204)
async def remove_gateway(gateway_id: UUID, hub: HubDep, actor: Write) -> None:
    """Remove a gateway; its address and secret are forgotten."""
    async with hub.database.transaction() as session:
        row = await _writable(hub, session, actor, gateway_id)
        await hub.gateways.remove(session, actor, row)


@router.post("/gateways/{gateway_id}/test")
async def test_gateway(
    gateway_id: UUID, body: GatewayTest, hub: HubDep, actor: Write
) -> GatewayTested:
    """Send a test message now and say how it went."""
    async with hub.database.read() as session:
        row = await _writable(hub, session, actor, gateway_id)
    if not body.to and not row.room:
        raise InvalidInputError(
            "A test message needs somebody to go to.",
            remedy="Enter your own number or address.",
            code="test-recipient-needed",
        )
    outcome = await hub.governance.sender.try_out(row, body.to)
    async with hub.database.transaction() as session:
        hub.gateways.note_test(await _writable(hub, session, actor, gateway_id), outcome)
    return GatewayTested(state=outcome.state, code=outcome.code, detail=outcome.detail)


@router.post(
    "/gateways/{gateway_id}/callbacks",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": CallbackBody.model_json_schema()}},
        }
    },
)
async def take_gateway_callback(gateway_id: UUID, request: Request, hub: HubDep) -> CallbackTaken:
    """Take what a gateway reports: delivered, failed, a reply, a key. Signed with its secret."""
    content = await request.body()
    headers = {name: request.headers.get(name, "") for name in _HEADERS}
    async with hub.database.transaction() as session:
        gateway = await hub.gateways.accept(session, gateway_id, content, headers)
        if gateway is None:
            raise ConflictError(
                "This callback has been taken before.",
                remedy="Give each callback an id of its own (webhook-id).",
                code="callback-repeated",
            )
        body = _read(content)
        row = await repository.by_provider_key(session, gateway.id, body.ref)
        if row is None:
            raise NotFoundError(
                "This gateway was given no message with that id.",
                remedy="`ref` is the `id` of the message.",
                code="no-such-message",
            )
        return await _report(hub, session, row, body)


async def _report(
    hub: Hub, session: AsyncSession, row: Delivery, body: CallbackBody
) -> CallbackTaken:
    """Do what is reported. What cannot be done leaves the callback taken, and is said."""
    try:
        async with session.begin_nested():
            recorder = hub.governance.sender.recorder
            if body.type == "failed":
                counted = await recorder.bounced(session, row, cleaned(body.text)[:200])
                return CallbackTaken(accepted=counted, code="" if counted else "too-late")
            if body.type == "delivered":
                current = await repository.locked(session, row.id)
                if current is not None:
                    await recorder.arrived(session, current)
                return CallbackTaken(accepted=True)
            by_key = body.type == "digit"
            word = read_digit(body.digit) if by_key else read_reply(body.text)
            if word is None:
                return await _note(hub, session, row, body)
            answer = Answer(word, by="digit" if by_key else "reply")
            await take_answer(hub, session, row, answer)
    except HubError as error:
        return CallbackTaken(accepted=False, code=error.code)
    return CallbackTaken(accepted=True)


async def _note(
    hub: Hub, session: AsyncSession, row: Delivery, body: CallbackBody
) -> CallbackTaken:
    incident = await incident_of(session, row)
    if incident is None or not body.text.strip():
        return CallbackTaken(accepted=False, code="no-answer")
    locked = await hub.governance.incidents.locked(session, incident.id)
    await hub.answers.note_text(session, locked, row, body.text)
    return CallbackTaken(accepted=True)


def _read(content: bytes) -> CallbackBody:
    try:
        return CallbackBody.model_validate(orjson.loads(content))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise InvalidInputError(
            "The callback cannot be read.",
            remedy='Send {"type": "delivered" | "failed" | "reply" | "digit", "ref": …}.',
            code="bad-callback",
        ) from error


def _place(area: str) -> Resource:
    return Resource("gateway", area=normalise_area(area))


async def _writable(hub: Hub, session: AsyncSession, actor: Actor, gateway_id: UUID) -> Gateway:
    row = await hub.gateways.get(session, gateway_id)
    require(hub, actor, "gateway.write", Resource("gateway", id=str(row.id), area=row.area))
    return row
