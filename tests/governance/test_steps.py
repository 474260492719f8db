"""The steps of people on both stores: what the table allows happens, all else is refused whole."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from core.clock import ManualClock
from core.errors import HubError
from core.ids import new_id
from governance.incidents.errors import (
    NewerIncidentError,
    PhotosNeededError,
    ReturnedTooOftenError,
    SamePersonError,
    SuspendLimitError,
    TooLateError,
    VerifyNeededError,
    VersionConflictError,
)
from governance.incidents.models import Incident
from governance.incidents.steps import Whom
from governance.incidents.transitions import (
    OPEN_STATES,
    TRANSITIONS,
    IllegalTransitionError,
    State,
    Step,
)
from governance.service import Governance
from tests.governance.loop_support import (
    account,
    events_of,
    log_of,
    pending,
    ruled,
    step,
    waits_for,
)
from tests.governance.support import AREA, fetch, opened, person
from tests.support.stores import ON_SQLITE

LI, WANG = person("Li Na"), person("Wang Wei")
WATERWORKS = Whom(new_id(), "Waterworks")

Args = tuple[AsyncSession, Incident]
Call = Callable[[Governance, Args, Actor, int], Awaitable[object]]


def _dispatch(k: Governance, at: Args, a: Actor, v: int) -> Awaitable[object]:
    return k.incidents.dispatch(*at, a, v, department=WATERWORKS, assignee=None, note="")


def _suspend(k: Governance, at: Args, a: Actor, v: int) -> Awaitable[object]:
    until = k.clock.now() + timedelta(minutes=5)
    return k.incidents.suspend(*at, a, v, until=until, reason="parts")


CALLS: dict[Step, Call] = {
    Step.TRIAGE: lambda k, at, a, v: k.incidents.triage(*at, a, v, note="", severity="severe"),
    Step.DISPATCH: _dispatch,
    Step.TRANSFER: lambda k, at, a, v: k.incidents.transfer(
        *at, a, v, department=WATERWORKS, reason="theirs"
    ),
    Step.SEND_BACK: lambda k, at, a, v: k.incidents.send_back(*at, a, v, "not ours"),
    Step.HANDLE: lambda k, at, a, v: k.incidents.handle(*at, a, v, ""),
    Step.FEEDBACK: lambda k, at, a, v: k.incidents.feedback(*at, a, v, "done"),
    Step.VERIFY: lambda k, at, a, v: k.incidents.verify(
        *at, a, v, passed=True, note="good", resolution="handled"
    ),
    Step.RETURN: lambda k, at, a, v: k.incidents.verify(
        *at, a, v, passed=False, note="bad", resolution="handled"
    ),
    Step.CLOSE: lambda k, at, a, v: k.incidents.close(*at, a, v, note="x", resolution="handled"),
    Step.SUSPEND: _suspend,
    Step.RESUME: lambda k, at, a, v: k.incidents.resume(*at, a, v),
    Step.REOPEN: lambda k, at, a, v: k.incidents.reopen(*at, a, v, "again"),
    Step.UNMERGE: lambda k, at, a, v: k.incidents.unmerge(*at, a, v, "two"),
    Step.REJECT: lambda k, at, a, v: k.incidents.reject(*at, a, v, "nothing"),
}


async def put(kernel: Governance, incident: Incident, state: State, **values: Any) -> Incident:
    """Put an incident into a state, as if the steps there had been taken."""
    now = kernel.clock.now()
    async with kernel.database.transaction() as session:
        await session.execute(
            update(Incident)
            .where(Incident.id == incident.id)
            .values(
                {
                    "state": state.value,
                    "is_open": state in OPEN_STATES,
                    "acknowledged_at": now,
                    "acknowledged_by_id": LI.id,
                    "acknowledged_by_name": "Li Na",
                    "closed_at": now if state is State.CLOSED else None,
                    "merged_from": "triaged" if state is State.MERGED else None,
                    **values,
                }
            )
        )
    return await fetch(kernel, incident.id)


@ON_SQLITE
async def test_every_step_leads_where_the_table_says_and_nowhere_else(
    kernel: Governance,
) -> None:
    incident = await ruled(kernel)
    for taken, call in CALLS.items():
        arrows = {t.origin: t for t in TRANSITIONS if t.step is taken}
        for state in State:
            await put(kernel, incident, state, version=1, returns=0)
            before = len(await log_of(kernel, incident.id))
            if state in arrows:
                async with step(kernel, incident.id) as at:
                    await call(kernel, at.args, LI, 1)
                await _took(kernel, incident, state, arrows[state].target or State.TRIAGED)
                continue
            with pytest.raises(IllegalTransitionError) as caught:
                async with step(kernel, incident.id) as at:
                    await call(kernel, at.args, LI, 1)
            assert caught.value.detail["from_state"] == state.value
            found = await fetch(kernel, incident.id)
            assert (found.state, found.version) == (state.value, 1)
            assert len(await log_of(kernel, incident.id)) == before


async def _took(kernel: Governance, incident: Incident, origin: State, target: State) -> None:
    found = await fetch(kernel, incident.id)
    assert (found.state, found.version) == (target.value, 2)
    assert found.is_open == (target in OPEN_STATES)
    moved = [e for e in await log_of(kernel, incident.id) if e.to_state][-1]
    assert (moved.from_state, moved.to_state) == (origin.value, target.value)
    assert moved.actor_name == "Li Na"
    kinds = [t.kind for t in await pending(kernel.database, incident.id)]
    assert kinds == ([found.waiting_for] if found.waiting_for else [])
    assert bool(kinds) == (found.is_open or target is State.CLOSED)


@ON_SQLITE
async def test_a_step_on_what_has_changed_in_between_is_refused_with_how_it_is_now(
    kernel: Governance,
) -> None:
    incident = await ruled(kernel)
    for taken, call in CALLS.items():
        origin = next(t.origin for t in TRANSITIONS if t.step is taken)
        await put(kernel, incident, origin, version=7)
        with pytest.raises(VersionConflictError) as caught:
            async with step(kernel, incident.id) as at:
                await call(kernel, at.args, LI, 6)
        assert caught.value.detail["current"]["version"] == 7
        assert (await fetch(kernel, incident.id)).state == origin.value


async def test_of_all_steps_at_once_on_one_version_one_happens(kernel: Governance) -> None:
    opened_once = await ruled(kernel)
    for _ in range(10):
        incident = await put(kernel, opened_once, State.HANDLING, version=1)

        async def attempt(taken: Step, incident: Incident = incident) -> str:
            try:
                async with step(kernel, incident.id) as at:
                    await CALLS[taken](kernel, at.args, LI, 1)
            except VersionConflictError:
                return "late"
            return "done"

        steps = (Step.FEEDBACK, Step.CLOSE, Step.SUSPEND, Step.TRANSFER, Step.REJECT)
        results = await asyncio.gather(*(attempt(taken) for taken in steps))
        assert sorted(results) == ["done"] + ["late"] * 4
        assert len(await pending(kernel.database, incident.id)) <= 1
        assert (await fetch(kernel, incident.id)).version == 2


@ON_SQLITE
async def test_triage_says_how_severe_it_is_and_counts_as_seen(kernel: Governance) -> None:
    incident = await opened(kernel, severity="Minor")
    assert incident.policy["id"] == "reports"
    async with step(kernel, incident.id, "triage") as at:
        await kernel.incidents.triage(
            *at.args, LI, 1, note="smoke", severity="extreme", headline="Smoke at the gate"
        )
    found = await fetch(kernel, incident.id)
    assert (found.severity, found.severity_rank, found.headline) == (
        "extreme", 4, "Smoke at the gate",
    )  # fmt: skip
    assert (found.acknowledged_by_name, found.policy["id"]) == ("Li Na", "extreme")
    [timer] = await pending(kernel.database, incident.id)
    assert (timer.kind, timer.rank) == ("dispatch", 4)
    entry = (await log_of(kernel, incident.id))[-1]
    assert entry.data["severity"] == {"from": "minor", "to": "extreme"}


@ON_SQLITE
async def test_what_is_dispatched_tells_those_it_is_given_to(kernel: Governance) -> None:
    wang = await account(kernel, "patrol", name="Wang Wei")
    incident = await ruled(kernel)
    async with step(kernel, incident.id, "dispatch") as at:
        await kernel.incidents.dispatch(
            *at.args, LI, 1, department=WATERWORKS, assignee=Whom(wang.id, "Wang Wei"), note="go"
        )
    found = await fetch(kernel, incident.id)
    assert (found.assignee_name, found.department_name) == ("Wang Wei", "Waterworks")
    entries = {e.action: e for e in await log_of(kernel, incident.id)}
    moved, rang = entries["dispatch"], entries["rang"]
    assert (moved.note, moved.data["assignee"]) == ("go", "Wang Wei")
    assert [told["name"] for told in rang.data["told"]] == ["Wang Wei"]


@ON_SQLITE
async def test_a_transfer_forgets_who_was_on_the_way(kernel: Governance) -> None:
    incident = await put(
        kernel, await ruled(kernel), State.HANDLING,
        handler_id=LI.id, handler_name="Li Na", progress="arrived",
    )  # fmt: skip
    async with step(kernel, incident.id) as at:
        await kernel.incidents.transfer(*at.args, LI, 1, department=WATERWORKS, reason="a pipe")
    found = await fetch(kernel, incident.id)
    assert (found.handler_id, found.progress, found.department_name) == (None, None, "Waterworks")
    assert await waits_for(kernel, incident.id) == ("handle", 100)


@ON_SQLITE
async def test_a_third_return_is_refused_and_the_level_above_hears_of_it(
    kernel: Governance,
) -> None:
    boss = await account(kernel, "supervisor", "demo/riverside", name="Zhao Min")
    incident = await ruled(kernel)
    version = 1
    for _ in range(2):
        async with step(kernel, incident.id) as at:
            await _dispatch(kernel, at.args, LI, version)
            assert await kernel.incidents.send_back(*at.args, WANG, version + 1, "no") is None
        version += 2
    async with step(kernel, incident.id) as at:
        await _dispatch(kernel, at.args, LI, version)
    async with step(kernel, incident.id) as at:
        refusal = await kernel.incidents.send_back(*at.args, WANG, version + 1, "still no")
    assert isinstance(refusal, ReturnedTooOftenError)
    found = await fetch(kernel, incident.id)
    assert (found.state, found.returns, found.level) == ("dispatched", 2, 1)
    log = await log_of(kernel, incident.id)
    [whistle] = [e for e in log if e.action == "whistle"]
    assert (whistle.actor_name, whistle.note) == ("Wang Wei", "still no")
    assert boss.display_name in [told["name"] for told in log[-1].data["told"]]
    assert (await events_of(kernel, incident.id))[-1] == ("incident.escalated", "whistle")


@ON_SQLITE
async def test_where_another_person_checks_the_handler_cannot(kernel: Governance) -> None:
    incident = await ruled(kernel, {"verifier": "other"})
    incidents = kernel.incidents
    async with step(kernel, incident.id) as at:
        await incidents.handle(*at.args, LI, 1, "")
        with pytest.raises(VerifyNeededError):
            await incidents.close(*at.args, WANG, 2, note="x", resolution="handled")
        await incidents.feedback(*at.args, LI, 2, "done")

    async def verify(actor: Actor, version: int, passed: bool) -> None:
        async with step(kernel, incident.id) as at:
            await incidents.verify(
                *at.args, actor, version, passed=passed, note="looked", resolution="handled"
            )

    with pytest.raises(SamePersonError):
        await verify(LI, 3, True)
    await verify(WANG, 3, False)
    returned = await fetch(kernel, incident.id)
    assert (returned.state, returned.handler_name) == ("handling", "Li Na")
    # Who writes the feedback for the handler does not check it, either.
    async with step(kernel, incident.id) as at:
        await incidents.feedback(*at.args, WANG, 4, "now it holds")
    for worker in (LI, WANG):
        with pytest.raises(SamePersonError):
            await verify(worker, 5, True)
    await verify(person("Zhao Min"), 5, True)
    assert (await fetch(kernel, incident.id)).state == "closed"
    actions = [e.action for e in await log_of(kernel, incident.id) if e.to_state]
    assert actions == ["opened", "handle", "feedback", "returned", "feedback", "verify"]


async def test_a_policy_that_asks_for_pictures_gets_them_before_feedback(
    kernel: Governance,
) -> None:
    incident = await put(kernel, await ruled(kernel, {"result_photos": 2}), State.HANDLING)
    with pytest.raises(PhotosNeededError) as caught:
        async with step(kernel, incident.id) as at:
            await kernel.incidents.feedback(*at.args, LI, 1, "done")
    assert caught.value.detail == {"needed": 2, "there": 0}
    with pytest.raises(PhotosNeededError):
        async with step(kernel, incident.id) as at:
            await kernel.incidents.close(*at.args, LI, 1, note="x", resolution="handled")
    # Nothing was there to be taken a picture of.
    async with step(kernel, incident.id) as at:
        await kernel.incidents.close(*at.args, LI, 1, note="x", resolution="false_alarm")
    assert (await fetch(kernel, incident.id)).resolution == "false_alarm"


@ON_SQLITE
async def test_it_rests_no_longer_than_its_policy_allows(kernel: Governance) -> None:
    incident = await put(kernel, await ruled(kernel), State.HANDLING)
    for seconds in (-1, 0, 3601):
        until = kernel.clock.now() + timedelta(seconds=seconds)
        with pytest.raises(SuspendLimitError):
            async with step(kernel, incident.id) as at:
                await kernel.incidents.suspend(*at.args, LI, 1, until=until, reason="parts")


@ON_SQLITE
async def test_it_is_reopened_within_its_time_and_the_handler_has_it_again(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await put(kernel, await ruled(kernel), State.CLOSED, handler_id=WANG.id)
    clock.advance(5000)
    async with step(kernel, incident.id, "reopen") as at:
        await kernel.incidents.reopen(*at.args, LI, 1, "it smokes again")
    found = await fetch(kernel, incident.id)
    assert (found.state, found.handler_id, found.round) == ("handling", WANG.id, 1)
    assert (found.closed_at, found.resolution) == (None, None)
    assert (await events_of(kernel, incident.id))[-1] == ("incident.escalated", "reopen")
    other = await put(kernel, await ruled(kernel, zone_name="Roof"), State.CLOSED)
    clock.advance(5001)
    with pytest.raises(TooLateError):
        async with step(kernel, other.id) as at:
            await kernel.incidents.reopen(*at.args, LI, 1, "late")


async def test_what_has_opened_anew_is_not_opened_twice(kernel: Governance) -> None:
    closed = await put(kernel, await ruled(kernel), State.CLOSED)
    newer = await opened(kernel)
    assert newer.id != closed.id
    with pytest.raises(NewerIncidentError) as caught:
        async with step(kernel, closed.id) as at:
            await kernel.incidents.reopen(*at.args, LI, 1, "again")
    assert caught.value.detail["number"] == newer.number


@ON_SQLITE
async def test_on_the_way_acknowledges_and_says_until_when(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel)
    async with step(kernel, incident.id, "progress") as at:
        await kernel.incidents.progress(*at.args, WANG, "going", 5)
    found = await fetch(kernel, incident.id)
    assert (found.progress, found.progress_by_name, found.acknowledged_by_name) == (
        "going", "Wang Wei", "Wang Wei",
    )  # fmt: skip
    assert found.eta_at == clock.now() + timedelta(minutes=5)
    clock.advance(60)
    async with step(kernel, incident.id, "progress") as at:
        await kernel.incidents.progress(*at.args, WANG, "arrived")
    found = await fetch(kernel, incident.id)
    assert (found.progress, found.eta_at) == ("arrived", None)
    said = [e.data["progress"] for e in await log_of(kernel, incident.id) if e.action == "progress"]
    assert said == ["going", "arrived"]


@ON_SQLITE
async def test_facts_are_for_what_is_open(kernel: Governance) -> None:
    incident = await put(kernel, await ruled(kernel), State.CLOSED)
    tries: list[Callable[[Args], Awaitable[object]]] = [
        lambda at: kernel.incidents.progress(*at, WANG, "going"),
        lambda at: kernel.incidents.whistle(*at, WANG, "help"),
        lambda at: kernel.incidents.acknowledge(*at, WANG, 1),
    ]
    for attempt in tries:
        with pytest.raises(HubError) as caught:
            async with step(kernel, incident.id) as at:
                await attempt(at.args)
        assert caught.value.code == "illegal-transition"
        assert caught.value.remedy


@ON_SQLITE
async def test_the_whistle_stops_at_the_whole_site(kernel: Governance) -> None:
    incident = await ruled(kernel)
    assert incident.area == AREA
    for level in (1, 2, 3, 3):
        async with step(kernel, incident.id, "whistle") as at:
            await kernel.incidents.whistle(*at.args, LI, "nobody comes")
        assert (await fetch(kernel, incident.id)).level == level
