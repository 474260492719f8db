"""Alarms that a household presses, and incidents of home cameras: what they are and open."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.consent.models import AlarmOpening, AlarmResponder
from access.households.models import Household
from access.ledger.models import LedgerEntry
from core.ids import new_id
from governance.incidents.models import Incident
from governance.incidents.views import describe
from governance.service import Governance
from governance.signals.reading import InvalidSignalError
from governance.signals.types import CameraFacts, HouseholdFacts
from tests.governance.support import AREA, CAMERA, fetch, person, read, rows, signal

pytestmark = pytest.mark.consent


def alarm(household: UUID, kind: str = "fire", **data: Any) -> dict[str, Any]:
    """What the button sends: no more than it must."""
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/buttons/1",
        "type": f"org.camerahub.alarm.{kind}",
        "data": {"household_id": str(household), **data},
    }


@dataclass
class Street:
    """Two households, and ways to raise their alarms."""

    kernel: Governance
    one: UUID
    two: UUID

    async def raise_(self, raw: dict[str, Any], household: UUID | None) -> Incident:
        return await self._intake(raw, household=household)

    async def detect(self, household: UUID | None, **data: Any) -> Incident:
        camera = CameraFacts("Hallway", AREA, household)
        return await self._intake(signal(**data), camera=camera)

    async def _intake(
        self, raw: dict[str, Any], *, household: UUID | None = None,
        camera: CameraFacts | None = None,
    ) -> Incident:  # fmt: skip
        facts = None if household is None else HouseholdFacts(household, AREA)
        async with self.kernel.database.transaction() as session:
            receipt = await self.kernel.signals.intake(
                session, read(self.kernel, raw), household=facts, camera=camera
            )
        assert receipt.body.incident_id is not None
        return await fetch(self.kernel, receipt.body.incident_id)

    async def openings(self) -> list[tuple[UUID, UUID, UUID | None, bool]]:
        found = await rows(self.kernel.database, AlarmOpening)
        return [(o.incident_id, o.household_id, o.camera_id, o.ended_at is None) for o in found]


@pytest.fixture
async def street(kernel: Governance) -> Street:
    ids = [new_id(), new_id()]
    async with kernel.database.transaction() as session:
        for household in ids:
            session.add(
                Household(id=household, name="Flat", area=AREA, created_at=kernel.clock.now())
            )
    return Street(kernel, *ids)


async def test_an_alarm_says_enough_by_its_kind(street: Street) -> None:
    meant = {
        "fire": ("alarm_fire", "Fire", "extreme", "Fire alarm"),
        "security": ("alarm_security", "Security", "severe", "Security alarm"),
        "medical": ("alarm_medical", "Health", "extreme", "Medical alarm"),
    }
    for kind, (name, category, severity, headline) in meant.items():
        found = await street.raise_(alarm(street.one, kind), street.one)
        assert (found.kind, found.category, found.severity, found.headline) == (
            name, category, severity, headline)  # fmt: skip
        assert (found.urgency, found.certainty, found.status) == ("immediate", "observed", "actual")
        assert (found.area, found.household_id, found.camera_id) == (AREA, street.one, None)
    said = await street.raise_(alarm(street.two, headline="Smoke in the kitchen"), street.two)
    assert said.headline == "Smoke in the kitchen"
    # Whoever answers must know where to go.
    async with street.kernel.database.read() as session:
        (told,) = await describe(session, [said])
    assert (told.household_id, told.household_name) == (street.two, "Flat")


async def test_pressing_again_joins_the_own_open_alarm_of_the_kind_and_no_other(
    street: Street,
) -> None:
    first = await street.raise_(alarm(street.one), street.one)
    again = await street.raise_(alarm(street.one), street.one)
    assert (again.id, again.signal_count) == (first.id, 2)
    others = [
        await street.raise_(alarm(street.two), street.two),
        await street.raise_(alarm(street.one, "medical"), street.one),
        await street.raise_(alarm(street.one, status="Exercise"), street.one),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4


async def test_what_opens_and_ends_stands_in_the_incidents_own_transaction(street: Street) -> None:
    duty, other = person("Duty"), person("Other")
    incidents, database = street.kernel.incidents, street.kernel.database
    pressed = await street.raise_(alarm(street.one), street.one)
    await street.raise_(alarm(street.one, status="Exercise"), street.one)
    await street.raise_(alarm(street.two, "medical", status="Test"), street.two)
    seen = await street.detect(street.two)
    await street.detect(None, zone_name="Somewhere else")
    assert sorted(await street.openings()) == sorted(
        [(pressed.id, street.one, None, True), (seen.id, street.two, CAMERA, True)]
    )
    assert (seen.resource().place_kind, pressed.resource().place_kind) == ("home", "home")
    assert pressed.resource().household == str(street.one)
    await _accounts(street.kernel, duty.id, other.id)
    async with database.transaction() as session:
        row = await incidents.locked(session, pressed.id)
        await incidents.acknowledge(session, row, duty, row.version)
        await incidents.handle(session, row, other, row.version, "")
    assert {r.account_id for r in await rows(database, AlarmResponder)} == {duty.id, other.id}
    # What is rolled back has opened, answered and ended nothing.
    async with database.transaction() as session:
        row = await incidents.locked(session, pressed.id)
        await incidents.close(session, row, other, row.version, note="x", resolution="handled")
        await session.rollback()
    assert (pressed.id, street.one, None, True) in await street.openings()
    async with database.transaction() as session:
        row = await incidents.locked(session, pressed.id)
        await incidents.close(session, row, other, row.version, note="x", resolution="handled")
    assert (pressed.id, street.one, None, False) in await street.openings()
    async with database.read() as session:
        kinds = list(await session.scalars(select(LedgerEntry.kind).order_by(LedgerEntry.seq)))
    assert kinds == [
        "alarm.opened", "alarm.opened", "alarm.answered", "alarm.answered", "alarm.ended"
    ]  # fmt: skip


async def _accounts(kernel: Governance, *ids: UUID | None) -> None:
    from access.accounts.models import Account

    now = kernel.clock.now()
    async with kernel.database.transaction() as session:
        for number, account_id in enumerate(ids):
            session.add(
                Account(id=account_id, username=f"person-{number}", display_name="P",
                        password_hash="x", locale="en", active=True, created_at=now,
                        updated_at=now, password_changed_at=now)
            )  # fmt: skip


def test_an_alarm_without_its_household_is_named_as_wrong(kernel: Governance) -> None:
    raw = alarm(new_id())
    del raw["data"]["household_id"]
    with pytest.raises(InvalidSignalError, match=r"data\.household_id"):
        read(kernel, raw)
