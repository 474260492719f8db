"""Webhooks: other systems that are told what changes. For administrators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from governance.webhooks import repository
from governance.webhooks.models import Webhook
from governance.webhooks.schemas import (
    WebhookCreate,
    WebhookIssued,
    WebhookOut,
    WebhookTested,
    WebhookUpdate,
)

router = APIRouter(tags=["webhooks"])


@router.get("/webhooks")
async def list_webhooks(
    hub: HubDep, actor: Annotated[Actor, permit("webhook.list")]
) -> list[WebhookOut]:
    """List the receivers of the own areas, and how each is doing; never their secrets."""
    async with hub.database.read() as session:
        rows = await repository.listed(session, hub.policy.areas(actor, "webhook.list"))
        return [WebhookOut.of(row, await repository.behind(session, row)) for row in rows]


@router.post("/webhooks", status_code=201)
async def create_webhook(
    body: WebhookCreate, hub: HubDep, actor: Annotated[Actor, permit("webhook.write")]
) -> WebhookIssued:
    """Add a receiver, which hears what happens from now on. Its secret is in this answer only."""
    area = normalise_area(body.area)
    require(hub, actor, "webhook.write", Resource("webhook", area=area))
    async with hub.database.transaction() as session:
        row, secret = await hub.webhooks.create(session, body, actor)
        return WebhookIssued(**WebhookOut.of(row, 0).model_dump(), secret=secret)


@router.patch("/webhooks/{webhook_id}")
async def update_webhook(
    webhook_id: UUID,
    body: WebhookUpdate,
    hub: HubDep,
    actor: Annotated[Actor, permit("webhook.write")],
) -> WebhookOut:
    """Change, pause or resume a receiver; resumed, it goes on where it stopped."""
    async with hub.database.transaction() as session:
        row = await _own(hub, session, actor, webhook_id)
        await hub.webhooks.update(session, row, body, actor)
        return WebhookOut.of(row, await repository.behind(session, row))


@router.post("/webhooks/{webhook_id}/secret")
async def renew_webhook_secret(
    webhook_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("webhook.write")]
) -> WebhookIssued:
    """Give a receiver a new secret, shown in this answer only; the old one counts no more."""
    async with hub.database.transaction() as session:
        row = await _own(hub, session, actor, webhook_id)
        secret = await hub.webhooks.renew_secret(session, row, actor)
        shown = WebhookOut.of(row, await repository.behind(session, row))
        return WebhookIssued(**shown.model_dump(), secret=secret)


@router.post("/webhooks/{webhook_id}/test")
async def test_webhook(
    webhook_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("webhook.write")]
) -> WebhookTested:
    """Post an event of type `org.camerahub.test` now, and say what the receiver answered."""
    async with hub.database.read() as session:
        row = await _own(hub, session, actor, webhook_id)
    status, detail = await hub.webhook_sender.test(row)
    ok = status is not None and 200 <= status < 300
    return WebhookTested(ok=ok, status=status, detail=detail)


@router.delete("/webhooks/{webhook_id}", status_code=204)
async def remove_webhook(
    webhook_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("webhook.write")]
) -> None:
    """Remove a receiver; it hears nothing more."""
    async with hub.database.transaction() as session:
        row = await _own(hub, session, actor, webhook_id)
        await hub.webhooks.remove(session, row, actor)


async def _own(hub: Hub, session: AsyncSession, actor: Actor, webhook_id: UUID) -> Webhook:
    row = await hub.webhooks.get(session, webhook_id)
    require(hub, actor, "webhook.write", Resource("webhook", id=str(row.id), area=row.area))
    return row
