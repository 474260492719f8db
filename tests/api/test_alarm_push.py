"""What an alarm device hears of its household's alarm while its page is closed."""

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from access.policy.types import Role
from api.hub import Hub
from governance.deliveries.models import Delivery
from tests.api.test_alarms import AREA, Home, a_home, both_stores, press
from tests.support.http import Client, SignIn

ENDPOINT = "https://93.184.215.14/push/one"
SUBSCRIPTION = {"endpoint": ENDPOINT, "keys": {"p256dh": "B" * 87, "auth": "a" * 22}}


async def _heard(hub: Hub) -> list[tuple[str, str, str]]:
    async with hub.database.read() as session:
        rows = await session.scalars(
            select(Delivery).where(Delivery.recipient_kind == "device").order_by(Delivery.id)
        )
        return [(row.channel, row.round_key.partition(":")[0], row.locale) for row in rows]


async def _help(staff: Client, home: Home) -> None:
    """Press, and let the duty desk see it, go there, and close it."""
    pressed = (await home.device.post("/alarms", json=press())).json()
    path = f"/incidents/{pressed['incident_id']}"
    version = (await staff.get(path)).json()["version"]
    assert (await staff.post(f"{path}/acknowledge", json={"version": version})).is_success
    for progress in ("going", "arrived"):
        assert (await staff.post(f"{path}/progress", json={"progress": progress})).is_success
    version = (await staff.get(path)).json()["version"]
    closing = {"version": version, "note": "well", "resolution": "handled"}
    closed = await staff.post(f"{path}/close", json=closing)
    assert closed.is_success, closed.text


@both_stores
async def test_a_device_hears_of_each_step_that_help_takes(
    hub: Hub, app: FastAPI, sign_in: SignIn
) -> None:
    home = await a_home(hub, app, sign_in)
    other = await a_home(hub, app, sign_in, "Building 4, Flat 1")
    staff = await sign_in(Role.DUTY_STAFF, AREA)
    staff.base_url = httpx.URL(f"{staff.base_url}/api/v1")
    refused = await home.device.post("/alarm-devices/me/push", json={"endpoint": "ftp://x"})
    assert refused.status_code == 422
    for device in (other.device, home.device):
        # A browser belongs to whoever subscribed it last.
        made = await device.post("/alarm-devices/me/push", json=SUBSCRIPTION)
        assert made.status_code == 201, made.text
    await _help(staff, other)
    assert await _heard(hub) == []
    await _help(staff, home)
    steps = ["seen", "coming", "arrived", "over"]
    assert [(channel, step) for channel, step, _ in await _heard(hub)] == [
        ("push", step) for step in steps
    ]
    assert {locale for *_, locale in await _heard(hub)} == {"zh-CN"}

    # What is not its own, it cannot end.
    for device, left in ((other.device, 8), (home.device, 8)):
        ended = await device.request(
            "DELETE", "/alarm-devices/me/push", json={"endpoint": ENDPOINT}
        )
        assert ended.status_code == 204
        await _help(staff, home)
        assert len(await _heard(hub)) == left
