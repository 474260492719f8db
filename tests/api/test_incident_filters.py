"""The filters of the queue: alarms, the own work, the department's, one step, on both stores."""

from typing import Any

import pytest

from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.areas.models import Department, DepartmentMember
from tests.governance.support import AREA, signal
from tests.support.http import Client, ServiceClient, SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


async def _asked(client: Client, **query: Any) -> list[str]:
    answer = await client.get("/api/v1/incidents", params=query)
    assert answer.status_code == 200, answer.text
    return sorted(item["id"] for item in answer.json()["items"])


@BOTH
async def test_the_queue_can_be_asked_for_alarms_the_own_work_and_one_step(
    hub: Hub, service_client: ServiceClient, sign_in: SignIn, clock: ManualClock
) -> None:
    staff = await sign_in("duty_staff", "demo")
    roads = await sign_in("department", "demo")
    worker = await service_client(["signal.post"])
    async with hub.database.transaction() as session:
        home = await hub.households.create(session, None, name="Flat 1204", area=AREA)
    button = await service_client(["alarm.press"], household_id=home.id)
    pressed = await button.post("/api/v1/alarms", json={"id": str(new_id()), "kind": "fire"})
    assert pressed.status_code == 201, pressed.text
    ids = [pressed.json()["incident_id"]]
    for _ in range(2):
        clock.advance(1)
        answer = await worker.post("/api/v1/signals", json=signal(zone_name=str(new_id())))
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["incident_id"])
    fire, handled, given = ids
    department_id = new_id()
    async with hub.database.transaction() as session:
        session.add(Department(id=department_id, name="Roads", area="demo", created_at=clock.now()))
        await session.flush()
        session.add(DepartmentMember(department_id=department_id, account_id=roads.account_id))
    handle = await staff.post(f"/api/v1/incidents/{handled}/handle", json={"version": 1})
    assert handle.is_success, handle.text
    body = {"version": 1, "department_id": str(department_id)}
    sent = await staff.post(f"/api/v1/incidents/{given}/dispatch", json=body)
    assert sent.is_success, sent.text

    assert await _asked(staff) == sorted(ids)
    assert await _asked(staff, kind="alarms") == [fire]
    assert await _asked(staff, kind="intrusion") == sorted([handled, given])
    assert await _asked(staff, step="handling") == [handled]
    # Dispatching acknowledges, so that both are the dispatcher's.
    assert await _asked(staff, whose="mine") == sorted([handled, given])
    assert await _asked(roads, whose="mine") == []
    assert await _asked(roads, whose="department") == [given]
    assert await _asked(staff, whose="department") == []
    assert await _asked(staff, whose="mine", step="dispatched", severity="severe") == [given]


async def test_an_unknown_filter_is_refused(sign_in: SignIn) -> None:
    staff = await sign_in("duty_staff", "demo")
    for query in ({"kind": "gathering"}, {"step": "asleep"}, {"whose": "everybody's"}):
        answer = await staff.get("/api/v1/incidents", params=query)
        assert answer.status_code == 422, answer.text
