"""What the demo sets up so that an alarm reaches telephones: areas, gateways, numbers, a contact.

Everything here goes through the HTTP interface, as the administrator, the staff and the resident
do it in daily use.
"""

import asyncio

import httpx

from app.demo_home import AREA, Home, succeeded
from app.demo_phones import Phones
from core.clock import Clock
from core.errors import UnavailableError

AREAS = (
    ("demo", "Demo county", "county"),
    ("demo/riverside", "Riverside", "township"),
    (AREA, "Jade Garden", "community"),
)
NUMBERS = {
    "duty": "+8613800000001",
    "patrol": "+8613800000002",
    "supervisor": "+8613800000003",
    "deputy": "+8613800000004",
}
"""Mobile numbers of the staff, by account; nobody else's: they lead to the demo's own page."""
CONTACT = {"name": "Wang Fang", "relation": "daughter", "phone": "+8613800000009", "locale": "en"}
_CODE_WITHIN_S = 20.0


async def make_areas(admin: httpx.AsyncClient) -> None:
    """Draw the tree: from now on only its areas count."""
    for path, name, level in AREAS:
        succeeded(await admin.post("/areas", json={"path": path, "name": name, "level": level}))


async def make_gateways(admin: httpx.AsyncClient, phones: Phones) -> None:
    """Add the demo's phones as gateway for SMS and for calls."""
    for channel, name in (("sms", "SMS of the demo"), ("voice", "Calls of the demo")):
        made = await admin.post(
            "/gateways",
            json={
                "channel": channel,
                "name": name,
                "kind": "http",
                "url": f"{phones.url}/messages",
                "locale": "en",
            },
        )
        succeeded(made)
        phones.secrets.append(made.json()["secret"])


async def verify_number(
    client: httpx.AsyncClient, phones: Phones, channel: str, number: str, clock: Clock
) -> None:
    """Add an own number, and type in the code that arrives there.

    Raises:
        UnavailableError: no code came.
    """
    before = phones.newest_to(number)
    made = await client.post(
        "/account/contact-points", json={"channel": channel, "address": number, "label": "demo"}
    )
    succeeded(made)
    deadline = clock.monotonic() + _CODE_WITHIN_S
    while (message := phones.newest_to(number)) is None or message is before:
        if clock.monotonic() > deadline:
            raise UnavailableError(f"No code arrived at {number}.")
        await asyncio.sleep(0.05)
    # Said by telephone, its digits have blanks between them.
    digits = "".join(c for c in message.text if c.isdigit())
    code = digits[:6]
    point = made.json()["id"]
    succeeded(await client.post(f"/account/contact-points/{point}/verify", json={"code": code}))


async def ask_contact(resident: httpx.AsyncClient, home: Home) -> None:
    """Ask the resident's daughter whether she wants to be told of alarms; she answers herself."""
    succeeded(await resident.post(f"/households/{home.household_id}/contacts", json=CONTACT))
