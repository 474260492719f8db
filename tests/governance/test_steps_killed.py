"""People take steps while the process dies under them; each step happens once, or not at all."""

import asyncio
import contextlib
import signal as signals
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from api.hub import Hub
from core.clock import SystemClock
from governance.incidents.models import Incident, IncidentLog
from governance.outbox.models import OutboxEvent
from governance.timers.models import Timer
from tests.governance.support import AREA, picture, post, signal
from tests.governance.test_durability import mortal_api
from tests.support.http import Client, SignIn

__all__ = ["mortal_api"]
pytestmark = pytest.mark.faults

WALK: list[tuple[str, str, dict[str, Any]]] = [
    ("triage", "triage", {"note": "seen"}),
    ("handle", "handle", {}),
    ("photo", "photos", {}),
    ("suspend", "suspend", {"reason": "parts"}),
    ("resume", "resume", {}),
    ("feedback", "feedback", {"note": "done"}),
    ("verify", "verify", {"passed": True, "note": "good"}),
]
"""Each step: its action in the history, its route, its body."""


@pytest.fixture
def hub_url(store_url: str) -> str:
    """The store of the process that dies."""
    return store_url


@pytest.fixture
def clock() -> SystemClock:
    """The clock of the process that dies."""
    return SystemClock()


async def whole(client: httpx.AsyncClient, incident_id: str) -> dict[str, Any]:
    """Look at an incident, again and again until somebody answers."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = await client.get(f"/api/v1/incidents/{incident_id}")
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        await asyncio.sleep(0.05)


async def walk(client: httpx.AsyncClient, incident_id: str, photo: bytes, until: str) -> None:
    """Take every step as a person does: look whether it is done, and try again if it is not."""
    for action, route, body in WALK:
        while True:
            seen = await whole(client, incident_id)
            if action in {entry["action"] for entry in seen["log"]}:
                break
            url = f"/api/v1/incidents/{incident_id}/{route}"
            with contextlib.suppress(httpx.TransportError):
                if route == "photos":
                    answer = await client.post(url, files={"photo": ("a.jpg", photo)})
                else:
                    rest = {"until": until} if route == "suspend" else {}
                    answer = await client.post(
                        url, json={"version": seen["version"], **body, **rest}
                    )
                assert answer.status_code in {200, 201, 409, 503}, answer.text


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_kill_between_steps_takes_none_back_and_takes_none_twice(
    hub: Hub,
    sign_in: SignIn,
    mortal_api: tuple[str, Path, Path],
) -> None:
    url, obituary, errors = mortal_api
    staff: Client = await sign_in("duty_staff", AREA)
    ids = []
    for number in range(3):
        receipt = await post(hub.governance, signal(zone_name=f"zone {number}"))
        ids.append(str(receipt.body.incident_id))
    headers = {**staff.headers, **staff.cookie_header, "Origin": url}
    headers.pop("host", None)
    until = (hub.clock.now() + timedelta(hours=1)).isoformat()
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        try:
            async with asyncio.timeout(80):
                await asyncio.gather(*(walk(client, i, picture(), until) for i in ids))
        except TimeoutError:
            pytest.fail(f"{obituary.read_text()} {errors.read_text()[-3000:]}")
    assert obituary.read_text().count(f"ended with {signals.SIGKILL}") == 6
    async with hub.database.read() as session:
        incidents = list(await session.scalars(select(Incident)))
        logs = list(await session.scalars(select(IncidentLog).order_by(IncidentLog.id)))
        timers = list(await session.scalars(select(Timer)))
        events = list(await session.scalars(select(OutboxEvent).order_by(OutboxEvent.seq)))
    told = {e.incident_id: e.payload for e in events}
    for incident in incidents:
        mine = [log for log in logs if log.incident_id == incident.id]
        taken = Counter(log.action for log in mine)
        assert all(taken[action] == 1 for action, _, _ in WALK), taken
        moves = [log for log in mine if log.to_state]
        assert [m.from_state for m in moves] == [None, *(m.to_state for m in moves[:-1])]
        assert (incident.state, incident.version) == ("closed", 7)
        assert (told[incident.id]["state"], told[incident.id]["version"]) == ("closed", 7)
        left = [
            t.kind
            for t in timers
            if t.incident_id == incident.id and not t.fired_at and not t.cancelled_at
        ]
        assert left == ["archive"]
