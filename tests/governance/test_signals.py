"""Intake: once, all of it or nothing, and the same answer for the same signal."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.database import Database
from core.ids import new_id
from governance.attachments.models import Attachment
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.opening import NewIncident
from governance.outbox import service as outbox
from governance.outbox.models import OutboxEvent
from governance.service import Governance
from governance.signals.models import Signal
from governance.signals.reading import InvalidSignalError, Unreadable, read_batch, read_signal
from governance.signals.types import SignalIdReusedError
from governance.timers.models import Timer
from tests.governance.support import (
    AREA,
    CAMERA,
    attachment,
    count,
    fetch,
    offline,
    opened,
    person,
    picture,
    post,
    read,
    rows,
    signal,
)


async def test_one_transaction_holds_signal_incident_history_timer_picture_and_outbox(
    kernel: Governance, database: Database
) -> None:
    receipt = await post(kernel, signal(attachments=[attachment(picture())]))

    [incident] = await rows(database, Incident)
    assert receipt.is_new
    assert receipt.body.incident_id == incident.id
    assert incident.number == "2026-000001"
    assert (incident.kind, incident.severity, incident.state) == ("intrusion", "severe", "reported")
    [stored] = await rows(database, Signal)
    assert stored.incident_id == incident.id
    assert "content" not in stored.payload["data"]["attachments"][0]
    [timer] = await rows(database, Timer)
    assert (timer.kind, timer.due_at) == ("ring", kernel.clock.now())
    [entry] = await rows(database, IncidentLog)
    assert entry.action == "opened"
    [event] = await rows(database, OutboxEvent)
    assert (event.type, event.area) == ("incident.opened", AREA)
    [kept] = await rows(database, Attachment)
    assert event.payload["snapshot"]["id"] == str(kept.id) == str(incident.snapshot_id)
    assert event.payload["snapshot"]["objects"][0]["box"] == [0.1, 0.2, 0.3, 0.9]
    assert kernel.pictures.read(kept.sha256) == picture()


async def test_a_row_that_opens_holds_what_the_model_says_of_what_no_signal_says(
    kernel: Governance, database: Database
) -> None:
    """Opened singly and by the batch: all columns alike, and none holds the JSON value null."""
    await post(kernel, signal())
    new = NewIncident(
        kind="other", type="com.example.sensor", category="Safety", urgency="immediate",
        severity="minor", certainty="likely", status="actual", dedup_key="alone", headline="Door",
        area=AREA, camera_id=None, camera_name="", zone_name="", observed_at=kernel.clock.now(),
    )  # fmt: skip
    async with database.transaction() as session:
        await outbox.serialise(session)
        alone = await kernel.incidents.open(session, new)
    incidents = {incident.id: incident for incident in await rows(database, Incident)}
    assert len(incidents) == 2
    said = {
        "id", "number", "kind", "type", "category", "urgency", "severity", "severity_rank",
        "certainty", "status", "dedup_key", "headline", "area", "camera_id", "camera_name",
        "zone_name", "observed_at", "policy", "next_due_at", "waiting_for",
    }  # fmt: skip
    columns = [column for column in Incident.__table__.columns if column.key not in said]
    plain = {
        column.key: column.default.arg if column.default is not None else None for column in columns
    }
    now = kernel.clock.now()
    plain |= {"state": "reported", "is_open": True}
    plain |= dict.fromkeys(("opened_at", "last_signal_at", "ring_from"), now)
    for incident in incidents.values():
        assert {name: getattr(incident, name) for name in plain} == plain
    assert {c.key: getattr(alone, c.key) for c in Incident.__table__.columns} == {
        c.key: getattr(incidents[alone.id], c.key) for c in Incident.__table__.columns
    }
    async with database.read() as session:
        query = text("SELECT count(*) FROM incident WHERE location IS NULL")
        assert await session.scalar(query) == 2


async def test_a_failure_before_the_commit_leaves_nothing(
    kernel: Governance, database: Database
) -> None:
    async def interrupted() -> None:
        async with database.transaction() as session:
            await kernel.signals.intake(session, read(kernel, signal()))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await interrupted()
    for table in (Signal, Incident, IncidentLog, Timer, OutboxEvent):
        assert await count(database, table) == 0
    incident = await opened(kernel)
    assert incident.number == "2026-000001"


async def test_the_same_signal_again_gets_the_same_receipt(
    kernel: Governance, database: Database
) -> None:
    raw = signal()
    first = await post(kernel, raw)
    kernel.clock.advance(30)
    again = await post(kernel, raw)
    assert not again.is_new
    assert again.body == first.body
    assert await count(database, Incident) == await count(database, Signal) == 1
    assert (await fetch(kernel, first.body.incident_id)).signal_count == 1


async def test_an_id_used_for_other_content_is_refused(kernel: Governance) -> None:
    raw = signal()
    await post(kernel, raw)
    with pytest.raises(SignalIdReusedError, match=raw["id"]):
        await post(kernel, {**raw, "data": {**raw["data"], "headline": "Something else"}})
    other_source = {**raw, "source": "/workers/media-1"}
    assert (await post(kernel, other_source)).is_new


async def test_a_hundred_concurrent_posts_of_one_id_make_one_incident(
    kernel: Governance, database: Database
) -> None:
    raw = signal()
    receipts = await asyncio.gather(*(post(kernel, raw) for _ in range(100)))
    assert sum(receipt.is_new for receipt in receipts) == 1
    assert len({receipt.body.model_dump_json() for receipt in receipts}) == 1
    assert await count(database, Incident) == await count(database, Signal) == 1


async def test_a_running_detection_is_one_incident_even_in_a_race(
    kernel: Governance, database: Database
) -> None:
    receipts = await asyncio.gather(*(post(kernel, signal()) for _ in range(30)))
    assert len({receipt.body.incident_id for receipt in receipts}) == 1
    [incident] = await rows(database, Incident)
    assert incident.signal_count == 30
    assert incident.version == 1
    assert sum(receipt.body.joined for receipt in receipts) == 29


async def test_the_store_itself_refuses_a_second_open_incident_with_one_key(
    kernel: Governance, database: Database
) -> None:
    first = await opened(kernel)
    columns = {c.name: getattr(first, c.name) for c in Incident.__table__.columns}
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add(Incident(**{**columns, "id": new_id(), "number": "2026-000099"}))
    async with database.transaction() as session:
        closed = {"id": new_id(), "number": "2026-000100", "is_open": False, "state": "closed"}
        session.add(Incident(**{**columns, **closed}))


async def test_a_signal_after_the_close_opens_a_new_incident(kernel: Governance) -> None:
    first = await opened(kernel)
    actor = person()
    async with kernel.database.transaction() as session:
        incident = await kernel.incidents.locked(session, first.id)
        await kernel.incidents.handle(session, incident, actor, 1, "")
        await kernel.incidents.close(
            session, incident, actor, 2, note="a cat", resolution="false_alarm"
        )
    second = await opened(kernel)
    assert second.id != first.id


@pytest.mark.parametrize(
    ("change", "joins"),
    [
        ({}, True),
        ({"zone_name": "Roof"}, False),
        ({"rule": "loitering"}, False),
        ({"camera_id": str(new_id())}, False),
        ({"status": "Exercise"}, False),
        ({"ce_type": "org.camerahub.detection.person_down"}, False),
    ],
)
async def test_camera_rule_and_zone_decide_what_joins(
    kernel: Governance, change: dict[str, Any], joins: bool
) -> None:
    first = await opened(kernel)
    second = await opened(kernel, **change)
    assert (first.id == second.id) is joins


async def test_continuing_or_ended_without_an_open_incident_is_kept_without_one(
    kernel: Governance, database: Database
) -> None:
    for phase in ("continuing", "ended"):
        receipt = await post(kernel, signal(phase=phase))
        assert receipt.is_new
        assert receipt.body.incident_id is None
    assert await count(database, Incident) == 0
    assert await count(database, Signal) == 2


async def test_an_ended_detection_stays_open_for_people_to_look_at(kernel: Governance) -> None:
    incident = await opened(kernel)
    await post(kernel, signal(phase="ended"))
    assert (await fetch(kernel, incident.id)).state == "reported"
    log = await rows(kernel.database, IncidentLog)
    assert [entry.action for entry in log] == ["opened", "ended"]


async def test_a_camera_that_is_back_closes_its_own_incident(kernel: Governance) -> None:
    receipt = await post(kernel, offline())
    await post(kernel, offline(phase="ended"))
    incident = await fetch(kernel, receipt.body.incident_id)
    assert (incident.state, incident.resolution, incident.is_open) == ("closed", "recovered", False)
    assert incident.next_due_at is None
    [ring, archive] = await rows(kernel.database, Timer)
    assert ring.cancelled_at is not None
    assert (archive.kind, archive.cancelled_at) == ("archive", None)
    events = await rows(kernel.database, OutboxEvent)
    assert [e.payload["change"] for e in events] == ["opened", "recovered"]


async def test_a_camera_that_is_back_while_somebody_handles_it_is_left_to_them(
    kernel: Governance,
) -> None:
    receipt = await post(kernel, offline())
    async with kernel.database.transaction() as session:
        incident = await kernel.incidents.locked(session, receipt.body.incident_id)
        await kernel.incidents.handle(session, incident, person(), 1, "on my way")
    await post(kernel, offline(phase="ended"))
    incident = await fetch(kernel, receipt.body.incident_id)
    assert incident.state == "handling"
    assert (await rows(kernel.database, IncidentLog))[-1].action == "ended"


async def test_a_more_severe_signal_raises_the_incident(kernel: Governance) -> None:
    incident = await opened(kernel, severity="Minor")
    assert incident.policy["id"] == "reports"
    await kernel.timers.fire_due()
    assert (await fetch(kernel, incident.id)).next_due_at > kernel.clock.now()
    await post(kernel, signal(severity="Extreme"))
    raised = await fetch(kernel, incident.id)
    assert (raised.severity, raised.version) == ("extreme", 2)
    # What has become worse rings at once, by the policy for that.
    assert (raised.policy["id"], raised.round) == ("extreme", 1)
    assert raised.next_due_at == kernel.clock.now()
    await post(kernel, signal(severity="Minor"))
    assert (await fetch(kernel, incident.id)).severity == "extreme"


async def test_a_type_of_the_senders_own_opens_an_incident_of_kind_other(
    kernel: Governance,
) -> None:
    incident = await opened(
        kernel, ce_type="com.example.smoke", ce_subject="stairwell-3", camera_id=None, event_key=""
    )
    assert incident.kind == "other"
    assert (await opened(kernel, ce_type="com.example.smoke", ce_subject="stairwell-3", camera_id=None, event_key="")).id == incident.id  # fmt: skip  # noqa: E501
    assert (await opened(kernel, ce_type="com.example.smoke", ce_subject="stairwell-4", camera_id=None, event_key="")).id != incident.id  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"severity": "Catastrophic"}, "data.severity"),
        ({"urgency": None}, "data.urgency"),
        ({"category": "Nonsense"}, "data.category"),
        ({"certainty": 3}, "data.certainty"),
        ({"status": "Draft"}, "data.status"),
        ({"phase": "resumed"}, "data.phase"),
        ({"headline": ""}, "data.headline"),
        ({"headline": "x" * 1_000_000}, "data.headline"),
        ({"headline": "two\nlines"}, "data.headline"),
        ({"confidence": 1.2}, "data.confidence"),
        ({"objects": [{"label": "person", "box": [0, 0, 2, 1]}]}, "data.objects.0.box.2"),
        ({"camera_id": "gate-3"}, "data.camera_id"),
        ({"area": "demo/../secret"}, "data.area"),
        ({"observed_at": "2026-01-03T08:00:00Z"}, "data.observed_at"),
        ({"observed_at": "2026-01-01T08:00:00"}, "data.observed_at"),
        ({"observed_at": "0001-01-01T00:00:00+14:00"}, "data.observed_at"),
        ({"ce_time": "2026-01-03T08:00:00Z"}, "time"),
        ({"ce_specversion": "0.3"}, "specversion"),
        ({"ce_id": ""}, "id"),
        ({"ce_id": 7}, "id"),
        ({"ce_source": "x" * 300}, "source"),
        ({"ce_type": "nonsense type"}, "type"),
        ({"attachments": [{"name": "a", "media_type": "image/jpeg", "content": "###"}]}, "data.attachments.0.content"),  # noqa: E501
        ({"attachments": [{"name": "../a", "media_type": "image/jpeg", "content": ""}]}, "data.attachments.0.name"),  # noqa: E501
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_signal_is_named_by_its_field(
    clock: Any, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidSignalError) as caught:
        read_signal(signal(**change), clock.now())
    assert field in [error["field"] for error in caught.value.detail["errors"]]
    assert len(str(caught.value)) < 600


def test_a_detection_must_name_its_camera(clock: Any) -> None:
    with pytest.raises(InvalidSignalError, match=r"camera_id"):
        read_signal(signal(camera_id=None), clock.now())


def test_words_of_cap_may_be_written_in_any_case(clock: Any) -> None:
    found = read_signal(signal(severity="sEVERE", category="cbrne"), clock.now())
    assert (found.event.data.severity, found.event.data.category) == ("Severe", "CBRNE")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"note": "a\x00b"}, "NUL"),
        ({"text": "x" * 200_000}, "128 KiB"),
        ({"deep": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}, "nested"),
    ],
)
def test_what_a_store_cannot_keep_is_refused_before_it(
    clock: Any, extra: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSignalError, match=message):
        read_signal(signal(**extra), clock.now())


def test_a_wrong_signal_does_not_spoil_its_batch(clock: Any) -> None:
    good, bad, worse = read_batch([signal(), signal(severity="?"), 7], clock.now())
    assert not isinstance(good, Unreadable)
    assert isinstance(bad, Unreadable)
    assert bad.id
    assert isinstance(worse, Unreadable)
    with pytest.raises(InvalidSignalError):
        read_batch([signal()] * 101, clock.now())
    with pytest.raises(InvalidSignalError):
        read_batch([], clock.now())


async def test_unknown_members_are_kept(kernel: Governance) -> None:
    await post(kernel, signal(ce_traceparent="00-abc", weather="fog", camera_id=str(CAMERA)))
    [stored] = await rows(kernel.database, Signal)
    assert stored.payload["traceparent"] == "00-abc"
    assert stored.payload["data"]["weather"] == "fog"
