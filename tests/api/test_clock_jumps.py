"""A clock that is put an hour forward or back: what is over stays over, in its order."""

import json

import pytest
from sqlalchemy import select

from access.ledger.keys import LedgerKeys
from access.ledger.models import LedgerCheckpoint, LedgerEntry
from access.ledger.reading import verify
from access.ledger.times import to_us
from access.policy.types import Actor
from access.sessions.service import ABSOLUTE_LIMIT, IDLE_LIMIT
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from tests.api.test_consent import Home, home
from tests.api.test_residents import DIGEST, Site, site
from tests.support.http import SignIn
from tests.support.live import AREA, camera_server, closed, reading, receive_media, scene

__all__ = ["camera_server", "home", "reading", "scene", "site"]

pytestmark = pytest.mark.faults

HOUR = 3600.0
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


async def test_a_clock_put_forward_closes_and_one_put_back_reopens_no_withdrawn_share(
    home: Home, sign_in: SignIn, clock: ManualClock
) -> None:
    """Ends and hours go by the corrected clock; what somebody ended stays ended."""
    by_end, by_hours, withdrawn = [
        await sign_in("resident", AREA, at=home.scene.server) for _ in range(3)
    ]
    await home.share(by_end, ends_at="2026-01-01T08:30:00Z")
    local = clock.now().astimezone(home.scene.hub.settings.site.zone)
    window = {"days": DAYS, "from": f"{local.hour:02d}:00", "to": f"{local.hour:02d}:59"}
    await home.share(by_hours, hours=[window])
    grant = await home.share(withdrawn)
    for guest in (by_end, by_hours, withdrawn):
        assert await home.looks(guest) == 200
    async with home.scene.watch(by_end) as first, home.scene.watch(by_hours) as second:
        await receive_media(first)
        await receive_media(second)
        clock.jump(HOUR)
        for socket in (first, second):
            assert (await closed(socket))[0] == 4403
    for guest in (by_end, by_hours):
        assert await home.looks(guest) == 404
    gone = await home.member.post(f"/api/v1/grants/{grant['id']}/withdraw")
    assert gone.json()["state"] == "ended"

    clock.jump(-2 * HOUR)  # an hour before the start
    assert await home.looks(withdrawn) == 404
    assert await home.looks(by_hours) == 404
    grants = (await home.member.get("/api/v1/grants?state=all")).json()["items"]
    states = {g["id"]: (g["state"], g["open_now"]) for g in grants}
    assert states[grant["id"]] == ("ended", False)
    live = (await home.member.get("/api/v1/grants?state=live")).json()["items"]
    assert grant["id"] not in {g["id"] for g in live}


async def test_a_session_ended_stays_ended_and_its_limits_hold(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    """Neither a forward nor a backward jump prolongs one by more than the jump."""
    used, idle, left = [await sign_in("operator", AREA) for _ in range(3)]
    async with hub.database.transaction() as session:
        await hub.sessions.end(session, left.session_id, "signed out")
    path = "/api/v1/sessions/current"
    clock.jump(HOUR)
    assert (await used.get(path)).status_code == 200
    clock.jump(-HOUR)
    for client, status in ((used, 200), (idle, 200), (left, 401)):
        assert (await client.get(path)).status_code == status
    clock.jump(IDLE_LIMIT.total_seconds())
    assert (await idle.get(path)).status_code == 401
    for _ in range(int(ABSOLUTE_LIMIT.total_seconds() / HOUR) - 12):
        await used.get(path)
        clock.jump(HOUR)
    assert (await used.get(path)).status_code == 401
    clock.jump(-HOUR)
    clock.jump(HOUR)
    assert (await used.get(path)).status_code == 401


async def test_a_seal_holds_until_its_end_by_the_clock_as_it_is(
    site: Site, sign_in: SignIn
) -> None:
    """Put back, it holds the longer; nothing is told before."""
    incident = await site.incident()
    first = str(await site.look("lift", incident=incident))
    asks, agrees = await sign_in("supervisor", "demo/jade"), await sign_in("supervisor", "demo")
    until = site.clock.now().replace(minute=30)
    body = {"incident_id": str(incident.id), "reason": "Case 7", "until": until.isoformat()}
    seal = (await asks.post("/api/v1/seals", json=body)).json()
    assert (await agrees.post(f"/api/v1/seals/{seal['id']}/approve")).json()["state"] == "sealed"

    async def told() -> bool:
        return first in {row["id"] for row in await site.listed()}

    for jump, expected in ((-HOUR, False), (HOUR, False), (HOUR, True)):
        site.clock.jump(jump)
        assert await told() is expected, jump


async def test_a_viewing_is_never_told_as_shorter_than_nothing(site: Site) -> None:
    """One during which the clock was put back takes no time from the others."""
    await site.look("lift", kind="live", seconds=60)
    await site.look("lift", kind="live", seconds=-HOUR)
    site.clock.advance(2 * HOUR)
    (digest,) = (await site.member.get(DIGEST, params={"month": "2026-01"})).json()
    assert [(c["viewings"], c["seconds"]) for c in digest["cameras"]] == [(2, 60)]
    async with site.hub.database.read() as session:
        told = list(await session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq)))
    seconds = [json.loads(e.body)["seconds"] for e in told if e.kind == "view.closed"]
    assert seconds == [60, 0]


async def test_checkpoints_follow_the_chain_whatever_the_clock_says(
    hub: Hub, clock: ManualClock
) -> None:
    """Signed in the order of entries, and everything verifies, also under a clock put back."""
    actor = Actor(kind="account", id=new_id())
    for jump in (0.0, HOUR, -2 * HOUR, HOUR):
        clock.jump(jump)
        async with hub.database.transaction() as session:
            await hub.ledger.append(session, "grant.given", actor=actor, subject=str(jump), data={})
        made = await hub.signer.sign()
        assert made is not None
    async with hub.database.read() as session:
        rows = list(await session.scalars(select(LedgerCheckpoint).order_by(LedgerCheckpoint.seq)))
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    assert len(rows) == 4
    ledger = hub.settings.ledger_dir
    verdict = await verify(
        hub.database, ledger, LedgerKeys(ledger / "keys").public(), now_us=to_us(clock.now())
    )
    assert verdict.bad is None
