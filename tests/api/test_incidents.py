"""The queue and the steps of people, over the real application, on both stores."""

import asyncio
import sqlite3
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from access.views.models import ViewRecord
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.incidents.models import Incident
from tests.governance.support import AREA, attachment, count, picture, signal
from tests.support.http import Client, ServiceClient, SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
OTHER_AREA = "demo/hillside/oak-court"


@pytest.fixture
async def worker(service_client: ServiceClient) -> Client:
    """A media worker."""
    return await service_client(["signal.post"])


async def opened(worker: Client, **data: Any) -> UUID:
    answer = await worker.post("/api/v1/signals", json=signal(**data))
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["incident_id"])


async def step(client: Client, incident_id: UUID, verb: str, **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1/incidents/{incident_id}/{verb}", json=body)


@BOTH
async def test_from_a_signal_to_a_closed_incident(
    worker: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    staff = await sign_in("duty_staff", "demo/riverside")
    incident_id = await opened(worker, attachments=[attachment(picture())])

    [seen] = (await staff.get("/api/v1/incidents")).json()["items"]
    assert seen["id"] == str(incident_id)
    assert (seen["state"], seen["version"], seen["severity"]) == ("reported", 1, "severe")
    assert {"acknowledge", "handle", "note"} <= set(seen["allowed"])
    assert (seen["policy_id"], seen["waiting_for"]) == ("severe", "ring")
    assert seen["snapshot"]["objects"][0]["label"] == "person"

    clock.advance(5)
    answer = await step(staff, incident_id, "acknowledge", version=1)
    assert answer.status_code == 200, answer.text
    assert answer.json()["acknowledged_by"]["display_name"] == staff.username.title()
    assert "acknowledge" not in answer.json()["allowed"]
    assert (await step(staff, incident_id, "acknowledge", version=1)).json()["version"] == 2

    answer = await step(staff, incident_id, "handle", version=2, note="Going there")
    assert (answer.json()["state"], answer.json()["version"]) == ("handling", 3)
    answer = await step(staff, incident_id, "feedback", version=3, note="Gate was open, shut it")
    assert answer.json()["state"] == "feedback"
    answer = await step(staff, incident_id, "notes", text="Told the gardener")
    assert answer.json()["log"][-1]["note"] == "Told the gardener"
    answer = await step(staff, incident_id, "close", version=4, note="Done", resolution="handled")
    closed = answer.json()
    assert (closed["state"], closed["resolution"], closed["allowed"]) == (
        "closed", "handled", ["reopen", "note"],
    )  # fmt: skip
    assert closed["next_due_at"] is None

    assert (await staff.get("/api/v1/incidents")).json()["items"] == []
    [kept] = (await staff.get("/api/v1/incidents?state=closed")).json()["items"]
    assert kept["id"] == str(incident_id)
    whole = (await staff.get(f"/api/v1/incidents/{incident_id}")).json()
    assert [(e["action"], e["from_state"], e["to_state"]) for e in whole["log"]] == [
        ("opened", None, "reported"),
        ("acknowledge", None, None),
        ("handle", "reported", "handling"),
        ("feedback", "handling", "feedback"),
        ("note", None, None),
        ("close", "feedback", "closed"),
    ]
    assert whole["log"][0]["actor"] == {"kind": "system"}
    assert whole["log"][1]["actor"]["display_name"] == staff.username.title()


async def test_an_illegal_step_is_409_and_names_both_states(
    worker: Client, sign_in: SignIn
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    for verb, body, states in [
        ("feedback", {"note": "done"}, ("reported", "feedback")),
        ("close", {"note": "done", "resolution": "handled"}, ("reported", "closed")),
    ]:
        answer = await step(staff, incident_id, verb, version=1, **body)
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["code"] == "illegal-transition"
        assert states[0] in problem["detail"]
        assert states[1] in problem["detail"]
        assert (problem["from_state"], problem["to_state"]) == states
    await step(staff, incident_id, "handle", version=1)
    await step(staff, incident_id, "close", version=2, note="done", resolution="handled")
    for verb in ("acknowledge", "handle"):
        answer = await step(await sign_in("duty_staff", AREA), incident_id, verb, version=3)
        assert (answer.status_code, answer.json()["code"]) == (409, "illegal-transition")


@BOTH
async def test_of_many_who_act_on_one_version_exactly_one_succeeds(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    incident_id = await opened(worker)
    staff = [await sign_in("duty_staff", AREA) for _ in range(8)]
    answers = await asyncio.gather(
        *(step(client, incident_id, "handle", version=1) for client in staff)
    )
    assert sorted(a.status_code for a in answers) == [200] + [409] * 7
    for answer in answers:
        if answer.status_code == 409:
            problem = answer.json()
            assert problem["code"] == "version-conflict"
            assert problem["current"]["version"] == 2
            assert problem["current"]["handler"] is not None


async def test_a_second_person_learns_who_has_acknowledged(worker: Client, sign_in: SignIn) -> None:
    first, second = await sign_in("duty_staff", AREA), await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    await step(first, incident_id, "acknowledge", version=1)
    answer = await step(second, incident_id, "acknowledge", version=2)
    assert (answer.status_code, answer.json()["code"]) == (409, "already-acknowledged")
    assert first.username.title() in answer.json()["detail"]


async def test_another_area_does_not_even_exist(worker: Client, sign_in: SignIn) -> None:
    stranger = await sign_in("duty_staff", OTHER_AREA)
    incident_id = await opened(worker, attachments=[attachment(picture())])
    assert (await stranger.get("/api/v1/incidents")).json()["items"] == []
    for path in ("", "/signals", f"/attachments/{new_id()}"):
        assert (await stranger.get(f"/api/v1/incidents/{incident_id}{path}")).status_code == 404
    bodies: dict[str, dict[str, Any]] = {
        "acknowledge": {"version": 1},
        "handle": {"version": 1},
        "feedback": {"version": 1, "note": "x"},
        "close": {"version": 1, "note": "x", "resolution": "handled"},
        "notes": {"text": "x"},
    }
    for verb, body in bodies.items():
        assert (await step(stranger, incident_id, verb, **body)).status_code == 404


async def test_an_operator_may_look_and_note_but_not_act(worker: Client, sign_in: SignIn) -> None:
    operator = await sign_in("operator", "demo")
    incident_id = await opened(worker)
    assert (await step(operator, incident_id, "notes", text="seen")).status_code == 200
    assert (await step(operator, incident_id, "handle", version=1)).status_code == 403


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("close", {"version": 1, "note": "", "resolution": "handled"}),
        ("close", {"version": 1, "note": "x", "resolution": "recovered"}),
        ("feedback", {"version": 1, "note": "   "}),
        ("handle", {"version": 0}),
        ("handle", {"version": 1, "note": "x" * 5000}),
        ("notes", {"text": "nul\x00"}),
        ("acknowledge", {"version": 1, "state": "closed"}),
    ],
)
async def test_a_step_without_what_it_needs_is_422(
    worker: Client, sign_in: SignIn, verb: str, body: dict[str, Any]
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    answer = await step(staff, incident_id, verb, **body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


@BOTH
async def test_pages_hold_every_incident_once_most_severe_first(
    worker: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    staff = await sign_in("supervisor", "demo")
    severities = ["Minor", "Extreme", "Severe", "Unknown", "Moderate"]
    expected = []
    for number in range(23):
        severity = severities[number % 5]
        incident_id = await opened(
            worker, zone_name=f"zone {number}", severity=severity, area="demo/riverside"
        )
        rank = ["Extreme", "Severe", "Moderate", "Unknown", "Minor"].index(severity)
        expected.append((rank, -number, str(incident_id)))
        if number % 3:  # several within one instant: the id decides
            clock.advance(1)
    wanted = [incident_id for _, _, incident_id in sorted(expected)]

    seen: list[str] = []
    cursor = ""
    while True:
        page = (await staff.get(f"/api/v1/incidents?limit=4{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        # What opens while somebody turns pages shifts nothing.
        await opened(worker, zone_name=f"new {len(seen)}", severity="Extreme")
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == wanted

    everything = (await staff.get("/api/v1/incidents?state=all&limit=200")).json()["items"]
    times = [item["opened_at"] for item in everything]
    assert times == sorted(times, reverse=True)
    severe = (await staff.get("/api/v1/incidents?severity=severe&limit=200")).json()["items"]
    assert {item["severity"] for item in severe} == {"severe"}
    nowhere = (await staff.get(f"/api/v1/incidents?camera_id={new_id()}")).json()["items"]
    assert nowhere == []


async def test_a_cursor_of_something_else_is_422(worker: Client, sign_in: SignIn) -> None:
    staff = await sign_in("duty_staff", "demo")
    for number in range(2):
        await opened(worker, zone_name=f"zone {number}")
    cursor = (await staff.get("/api/v1/incidents?limit=1")).json()["next_cursor"]
    for query in (f"state=all&cursor={cursor}", "cursor=abc", "cursor=%00", "limit=0"):
        assert (await staff.get(f"/api/v1/incidents?{query}")).status_code == 422
    for query in ("state=archived", "severity=Huge", "camera_id=gate"):
        assert (await staff.get(f"/api/v1/incidents?{query}")).status_code == 422


@BOTH
async def test_no_picture_leaves_before_its_view_record_is_committed(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker, attachments=[attachment(picture())])
    url = (await staff.get(f"/api/v1/incidents/{incident_id}")).json()["snapshot"]["url"]
    answer = await staff.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == picture()
    async with hub.database.read() as session:
        [record] = await session.scalars(select(ViewRecord))
    assert (record.kind, record.incident_id) == ("incident_image", incident_id)
    assert record.account_id == staff.account_id

    # If the record cannot be committed, nothing is shown.
    def refuse(_session: Any) -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))

    event.listen(Session, "before_commit", refuse)
    try:
        answer = await staff.get(url)
    finally:
        event.remove(Session, "before_commit", refuse)
    assert answer.status_code == 503
    assert picture() not in answer.content
    assert await count(hub.database, ViewRecord) == 1


async def test_an_auditor_reads_incidents_without_their_pictures(
    worker: Client, sign_in: SignIn
) -> None:
    auditor = await sign_in("auditor", "demo")
    incident_id = await opened(worker, attachments=[attachment(picture())])
    whole = (await auditor.get(f"/api/v1/incidents/{incident_id}")).json()
    assert (await auditor.get(whole["snapshot"]["url"])).status_code == 403


async def test_a_picture_belongs_to_its_incident_only(worker: Client, sign_in: SignIn) -> None:
    staff = await sign_in("duty_staff", AREA)
    first = await opened(worker, attachments=[attachment(picture())])
    second = await opened(worker, zone_name="Roof")
    picture_id = (await staff.get(f"/api/v1/incidents/{first}")).json()["snapshot"]["id"]
    answer = await staff.get(f"/api/v1/incidents/{second}/attachments/{picture_id}")
    assert answer.status_code == 404


async def test_the_signals_of_an_incident_are_listed_without_picture_bytes(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker, attachments=[attachment(picture())])
    for _ in range(3):
        await worker.post("/api/v1/signals", json=signal(phase="continuing"))
    first = (await staff.get(f"/api/v1/incidents/{incident_id}/signals?limit=3")).json()
    rest = (
        await staff.get(
            f"/api/v1/incidents/{incident_id}/signals?limit=3&cursor={first['next_cursor']}"
        )
    ).json()
    items = first["items"] + rest["items"]
    assert [item["phase"] for item in items] == ["started"] + ["continuing"] * 3
    [kept] = items[0]["data"]["attachments"]
    assert "content" not in kept
    assert len(kept["sha256"]) == 64
    assert await count(hub.database, Incident) == 1
