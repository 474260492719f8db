"""The state machine: what the table says is all that can happen."""

import itertools
from typing import Any

import pytest

from core.ids import new_id
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.transitions import (
    OPEN_STATES,
    TRANSITIONS,
    IllegalTransitionError,
    State,
    Step,
    allowed,
    find,
)
from governance.service import Governance
from tests.governance.support import fetch, opened, person, rows


def incident_in(state: State, **values: Any) -> Incident:
    return Incident(
        number="2026-000001",
        state=state.value,
        is_open=state in OPEN_STATES,
        version=1,
        **{"policy": {}, "status": "actual", "kind": "intrusion", **values},
    )


@pytest.mark.parametrize(("step", "state"), list(itertools.product(Step, State)))
def test_every_step_from_every_state_is_in_the_table_or_refused(step: Step, state: State) -> None:
    arrows = [t for t in TRANSITIONS if (t.step, t.origin) == (step, state)]
    assert len(arrows) <= 1
    # Alarms of nobody's household, in an exercise where only exercises end by themselves.
    status = "exercise" if step is Step.END else "actual"
    incident = incident_in(state, acknowledged_at=object(), status=status)
    if arrows:
        assert find(incident, step) is arrows[0]
        return
    with pytest.raises(IllegalTransitionError) as caught:
        find(incident, step)
    targets = [t.target for t in TRANSITIONS if t.step is step]
    assert state.value in caught.value.message
    assert caught.value.detail["from_state"] == state.value
    named = {"what it was" if target is None else target.value for target in targets}
    assert caught.value.detail["to_state"] in named
    assert any(name in caught.value.message for name in named)


def test_every_open_state_leads_to_an_end_and_no_end_leads_back_but_reopening() -> None:
    reachable = {State.REPORTED}
    while True:
        more = reachable | {t.target for t in TRANSITIONS if t.target and t.origin in reachable}
        if more == reachable:
            break
        reachable = more
    assert reachable == set(State)
    back = {
        t.step
        for t in TRANSITIONS
        if t.origin not in OPEN_STATES and (t.target is None or t.target in OPEN_STATES)
    }
    assert back == {Step.REOPEN, Step.UNMERGE}


def test_taking_apart_again_leads_back_to_what_it_was() -> None:
    for state in OPEN_STATES:
        merged = incident_in(State.MERGED, merged_from=state.value)
        assert find(merged, Step.UNMERGE).target_of(merged) is state


OTHER = {"steps": [{}], "verifier": "other", "result_photos": 0}
PHOTOS = {"steps": [{}], "verifier": "anyone", "result_photos": 2}
SEEN = {"acknowledged_at": object()}
ALWAYS = ["progress", "photo", "whistle", "note"]


@pytest.mark.parametrize(
    ("state", "values", "expected"),
    [
        (State.REPORTED, {}, ["acknowledge", "triage", "dispatch", "handle", "merge", "reject"]),
        (State.REPORTED, SEEN, ["triage", "dispatch", "handle", "close", "merge", "reject"]),
        (State.TRIAGED, SEEN, ["dispatch", "handle", "merge", "reject"]),
        (State.DISPATCHED, SEEN, ["handle", "transfer", "send_back", "merge", "reject"]),
        (State.DISPATCHED, {**SEEN, "returns": 2}, ["handle", "transfer", "merge", "reject"]),
        (
            State.HANDLING,
            SEEN,
            ["feedback", "close", "transfer", "suspend", "merge", "reject"],
        ),
        (
            State.HANDLING,
            {**SEEN, "policy": OTHER},
            ["feedback", "transfer", "suspend", "merge", "reject"],
        ),
        (
            State.HANDLING,
            {**SEEN, "policy": PHOTOS, "result_photos": 1},
            ["close", "transfer", "suspend", "merge", "reject"],
        ),
        (
            State.HANDLING,
            {**SEEN, "kind": "alarm_fire", "household_id": new_id()},
            ["feedback", "close", "transfer", "suspend", "merge"],
        ),
        (State.SUSPENDED, SEEN, ["resume", "merge", "reject"]),
        (State.FEEDBACK, SEEN, ["handle", "verify", "close", "merge", "reject"]),
        (State.FEEDBACK, {**SEEN, "policy": OTHER}, ["handle", "verify", "merge", "reject"]),
    ],
)
def test_what_is_allowed_is_what_the_table_and_its_guards_say(
    state: State, values: dict[str, Any], expected: list[str]
) -> None:
    assert allowed(incident_in(state, **values)) == expected + ALWAYS


def test_what_has_ended_allows_only_what_leads_back() -> None:
    assert allowed(incident_in(State.CLOSED, **SEEN)) == ["reopen", "note"]
    assert allowed(incident_in(State.CLOSED, **SEEN, status="test")) == ["note"]
    assert allowed(incident_in(State.MERGED, **SEEN)) == ["unmerge"]
    assert allowed(incident_in(State.ARCHIVED, **SEEN)) == []
    assert allowed(incident_in(State.REJECTED, **SEEN)) == []


async def test_a_failed_check_of_the_feedback_goes_back_to_handling(kernel: Governance) -> None:
    incident = await opened(kernel)
    first, second = person("Li Na"), person("Wang Wei")
    async with kernel.database.transaction() as session:
        found = await kernel.incidents.locked(session, incident.id)
        await kernel.incidents.handle(session, found, first, 1, "")
        await kernel.incidents.feedback(session, found, first, 2, "done")
        await kernel.incidents.handle(session, found, second, 3, "the gate is still open")
    found = await fetch(kernel, incident.id)
    assert (found.state, found.handler_name, found.version) == ("handling", "Wang Wei", 4)
    assert found.acknowledged_by_name == "Li Na"


async def test_history_cannot_be_changed_or_removed(kernel: Governance) -> None:
    await opened(kernel)
    [entry] = await rows(kernel.database, IncidentLog)

    async def change(remove: bool) -> None:
        async with kernel.database.transaction() as session:
            found = await session.get_one(IncidentLog, entry.id)
            if remove:
                await session.delete(found)
            else:
                found.actor_id = new_id()

    for remove in (False, True):
        with pytest.raises(RuntimeError, match="append-only"):
            await change(remove)
    assert [e.actor_id for e in await rows(kernel.database, IncidentLog)] == [None]
