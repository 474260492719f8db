"""Short ways for tests of how people are told over the API."""

import base64
import json
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from access.accounts.models import Account
from api.hub import Hub
from core.ids import new_id
from governance.deliveries.carriers import signed
from governance.deliveries.models import Delivery
from governance.deliveries.types import Recipient
from tests.support.http import Client

SECRET = "whsec_" + base64.b64encode(b"a secret of a gateway, 24b").decode()
API = "/api/v1"


async def set_up_gateway(admin: Client, channel: str = "sms", **more: Any) -> dict[str, Any]:
    """Set up a gateway over the API."""
    wanted = {
        "channel": channel,
        "name": f"Provider of {channel}",
        "kind": "http",
        "url": "https://sms.example.org/send",
        "secret": SECRET,
        **more,
    }
    answer = await admin.post(f"{API}/gateways", json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def deliveries(hub: Hub) -> list[Delivery]:
    """Return all deliveries in the order they were made."""
    async with hub.database.read() as session:
        return list(await session.scalars(select(Delivery).order_by(Delivery.id)))


def link(hub: Hub, row: Delivery) -> str:
    """Return the secret of a message's link."""
    return hub.governance.delivery_keys.token("answer", row.key)


async def verified_phone(hub: Hub, who: Client, channel: str = "sms") -> None:
    """Give an account a number, and its code back."""
    body = {"channel": channel, "address": "+86 138-0013-8000", "label": "own"}
    added = await who.post(f"{API}/account/contact-points", json=body)
    assert added.status_code == 201, added.text
    point = added.json()["id"]
    code = hub.governance.delivery_keys.digits(point)
    answer = await who.post(f"{API}/account/contact-points/{point}/verify", json={"code": code})
    assert answer.status_code == 200, answer.text


async def alert(
    hub: Hub, incident_id: UUID, account_id: UUID, channels: tuple[str, ...] = ("sms",)
) -> Delivery:
    """Tell an account of an incident; returns the newest row."""
    async with hub.database.transaction() as session:
        account = await session.get(Account, account_id)
        assert account is not None
        incident = await hub.governance.incidents.locked(session, incident_id)
        await hub.governance.deliveries.queue(
            session,
            incident,
            [Recipient("account", account.id, account.display_name, account.locale)],
            channels=channels,
            round_key=f"test:{new_id()}"[:60],
            purpose="alert",
        )
    return (await deliveries(hub))[-1]


async def call_back(
    hub: Hub, client: httpx.AsyncClient, gateway_id: str, *, message_id: str = "", **body: Any
) -> httpx.Response:
    """Report something as the gateway does."""
    content = json.dumps(body).encode()
    headers = signed(SECRET, message_id or str(new_id()), hub.clock.now(), content)
    return await client.post(
        f"{API}/gateways/{gateway_id}/callbacks", content=content, headers=headers
    )
