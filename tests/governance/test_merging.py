"""Incidents that become one, and those that must not; alarms, which nobody rejects."""

import pytest
from sqlalchemy import select

from access.consent.models import AlarmOpening
from core.errors import ConflictError
from core.ids import new_id
from governance.incidents.errors import (
    CannotMergeError,
)
from governance.incidents.models import Incident
from governance.incidents.transitions import (
    State,
)
from governance.service import Governance
from tests.governance.loop_support import (
    events_of,
    household,
    log_of,
    pending,
    ruled,
    step,
    waits_for,
)
from tests.governance.support import fetch, opened
from tests.governance.test_alarms import Street, alarm
from tests.governance.test_steps import LI, put
from tests.support.stores import ON_SQLITE


async def merge(kernel: Governance, one: Incident, into: Incident, version: int = 1) -> None:
    async with kernel.database.transaction() as session:
        pair = {i: await kernel.incidents.locked(session, i) for i in sorted({one.id, into.id})}
        await kernel.incidents.merge(
            session, pair[one.id], LI, version, into=pair[into.id], reason="the same"
        )


async def test_merging_moves_nothing_and_can_be_taken_back(kernel: Governance) -> None:
    one = await put(kernel, await ruled(kernel, severity="Extreme"), State.TRIAGED)
    into = await ruled(kernel, zone_name="Roof", severity="Minor")
    logs = len(await log_of(kernel, one.id))
    await merge(kernel, one, into)
    merged = await fetch(kernel, one.id)
    assert (merged.state, merged.is_open, merged.merged_into_id) == ("merged", False, into.id)
    assert await pending(kernel.database, one.id) == []
    assert len(await log_of(kernel, one.id)) == logs + 1
    target = await fetch(kernel, into.id)
    assert (target.severity, target.is_open) == ("extreme", True)
    async with step(kernel, one.id) as at:
        await kernel.incidents.unmerge(*at.args, LI, 2, "two fires")
    back = await fetch(kernel, one.id)
    assert (back.state, back.is_open, back.merged_into_id) == ("triaged", True, None)
    assert await waits_for(kernel, one.id) == ("dispatch", 300)
    actions = [e.action for e in await log_of(kernel, into.id)]
    assert actions[-3:] == ["merge", "severity_raised", "unmerge"]


@ON_SQLITE
async def test_what_is_not_to_become_one_stays_two(kernel: Governance) -> None:
    one, two = await ruled(kernel), await ruled(kernel, zone_name="Roof")
    drill = await opened(kernel, zone_name="Gate", status="Exercise")
    closed = await put(kernel, await ruled(kernel, zone_name="Hall"), State.CLOSED)
    for first, into in ((one, one), (one, drill), (one, closed)):
        with pytest.raises(CannotMergeError):
            await merge(kernel, first, into)
    await merge(kernel, one, two)
    three = await ruled(kernel, zone_name="Cellar")
    with pytest.raises(CannotMergeError, match="merged"):
        await merge(kernel, three, one)  # into a merged one
    with pytest.raises(CannotMergeError, match="merged into"):
        await merge(kernel, two, three)  # one that has taken others in


async def test_alarms_of_two_households_never_become_one(kernel: Governance) -> None:
    street = Street(kernel, await household(kernel, "Flat 1"), await household(kernel, "Flat 2"))
    first = await street.raise_(alarm(street.one), street.one)
    second = await street.raise_(alarm(street.two), street.two)
    smoke = await ruled(kernel)
    with pytest.raises(CannotMergeError, match="different households"):
        await merge(kernel, first, second)
    await merge(kernel, first, smoke)
    # Not by way of a third one, either.
    with pytest.raises(CannotMergeError, match="different households"):
        await merge(kernel, second, smoke)


async def openings(kernel: Governance) -> list[bool]:
    async with kernel.database.read() as session:
        return [o.ended_at is None for o in await session.scalars(select(AlarmOpening))]


async def test_a_merged_alarm_stays_open_to_its_helpers_as_long_as_its_target(
    kernel: Governance,
) -> None:
    street = Street(kernel, await household(kernel), new_id())
    pressed = await street.raise_(alarm(street.one), street.one)
    smoke = await put(kernel, await ruled(kernel), State.HANDLING)
    await merge(kernel, pressed, smoke)
    assert await openings(kernel) == [True]
    async with step(kernel, smoke.id) as at:
        # The fire has made it more severe, which is a version of its own.
        await kernel.incidents.close(*at.args, LI, 2, note="out", resolution="handled")
    assert await openings(kernel) == [False]
    entry = (await log_of(kernel, pressed.id))[-1]
    assert (entry.action, entry.data["into"]) == ("close", smoke.number)
    assert (await events_of(kernel, pressed.id))[-1] == ("incident.updated", "close")


@ON_SQLITE
async def test_an_alarm_of_a_household_is_never_rejected(kernel: Governance) -> None:
    street = Street(kernel, await household(kernel), new_id())
    pressed = await street.raise_(alarm(street.one), street.one)
    with pytest.raises(ConflictError) as caught:
        async with step(kernel, pressed.id) as at:
            await kernel.incidents.reject(*at.args, LI, 1, "a prank")
    assert caught.value.code == "alarm-not-rejected"
    assert await openings(kernel) == [True]
