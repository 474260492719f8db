"""The drill against a real server: what it counts, what it leaves behind, and whom it tells."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from access.accounts.models import Account
from access.households.models import Household
from access.sessions.models import Session
from access.tokens.models import ServiceToken
from api.hub import Hub
from app.drill import devices_for, run_drill
from app.drill_site import LEFT_OVER_AFTER, drill_site
from core.clock import ManualClock, SystemClock
from core.errors import UnavailableError
from governance.alarms.rates import PRESSES, PressRate, TooManyPressesError
from governance.deliveries.models import Delivery
from governance.incidents.models import Incident
from tests.governance.support import rows
from tests.support.http import LiveServer

ALARMS = 6


@pytest.fixture
def clock() -> SystemClock:
    """A drill is in real time."""
    return SystemClock()


def quiet(*_: int) -> None:
    """Show no progress."""


@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
async def test_a_drill_loses_nothing_tells_nobody_and_leaves_nothing_open(
    hub: Hub, server: LiveServer
) -> None:
    figures = await run_drill(hub, server.url, alarms=ALARMS, rate=20, progress=quiet)
    counted = [figures[n] for n in ("alarms", "receipts", "incidents", "lost", "duplicated")]
    assert counted == [ALARMS, ALARMS, ALARMS, 0, 0]
    for name in ("press_to_receipt_ms", "press_to_console_ms", "press_to_ack_ms"):
        assert list(figures[name]) == ["p50", "p95", "p99"]
        assert 0 < figures[name]["p50"] <= figures[name]["p95"] <= figures[name]["p99"]
    incidents = await rows(hub.database, Incident)
    assert {incident.status for incident in incidents} == {"exercise"}
    assert not any(incident.is_open for incident in incidents)
    assert all(incident.acknowledged_at is not None for incident in incidents)
    sent = [d for d in await rows(hub.database, Delivery) if d.state in {"sent", "sending"}]
    assert sent == []
    [home] = await rows(hub.database, Household)
    assert home.closed_at is not None
    async with hub.database.read() as session:
        accounts = (await session.scalars(select(Account))).all()
        tokens = (await session.scalars(select(ServiceToken))).all()
        sessions = (await session.scalars(select(Session))).all()
    assert [account.active for account in accounts] == [False]
    assert all(token.revoked_at is not None for token in tokens if token.household_id)
    assert all(found.ended_at is not None for found in sessions)


async def test_no_device_of_a_drill_presses_too_often() -> None:
    """Two hundred alarms by one device were refused after sixty of a kind."""
    for alarms in (1, 30, 31, 200, 10_000):
        rate, devices = PressRate(ManualClock()), devices_for(alarms)
        for number in range(alarms):
            rate.press(str(number % devices), "medical")
    one = PressRate(ManualClock())
    for _ in range(PRESSES):
        one.press("0", "medical")
    with pytest.raises(TooManyPressesError):
        one.press("0", "medical")


async def test_without_a_server_nothing_is_made(hub: Hub) -> None:
    with pytest.raises(UnavailableError, match="No running hub"):
        await run_drill(hub, "http://127.0.0.1:9", alarms=1, rate=1, progress=quiet)
    assert await rows(hub.database, Household) == []


async def test_what_a_killed_drill_left_behind_ends_with_the_next_one(hub: Hub) -> None:
    killed = drill_site(hub)
    left = await killed.__aenter__()
    long_ago = hub.clock.now() - LEFT_OVER_AFTER - timedelta(minutes=1)
    async with drill_site(hub):
        [home] = await rows(hub.database, Household, Household.id == left.household_id)
        assert home.closed_at is None, "it may still be running"
    async with hub.database.transaction() as session:
        await session.execute(
            update(Household).where(Household.id == left.household_id).values(created_at=long_ago)
        )
    async with drill_site(hub):
        [home] = await rows(hub.database, Household, Household.id == left.household_id)
        assert home.closed_at is not None
        [account] = await rows(hub.database, Account, Account.id == left.account_id)
        assert not account.active
        held = ServiceToken.household_id == left.household_id
        assert [t.revoked_at is not None for t in await rows(hub.database, ServiceToken, held)] == [
            True
        ]
