"""Exports from the wish to the deleted file, and the ways around the second person."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import select

from access.ledger.keys import LedgerKeys
from access.policy.types import Role, RoleBinding
from access.views.models import ViewRecord
from api.exports import builder
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from core.settings import Settings
from governance.exports.package import check
from governance.exports.service import MOST_UNDECIDED, UNDECIDED
from governance.outbox.models import OutboxEvent
from tests.api.exports_kit import (
    BOTH,
    WISH,
    incident_id,
    kinds,
    make_incident,
    ready,
    sign_in_again,
    step,
    wish,
)
from tests.governance.support import AREA
from tests.support.http import SignIn

__all__ = ["incident_id"]


@BOTH
async def test_an_export_from_the_wish_to_the_deleted_file(
    hub: Hub, sign_in: SignIn, incident_id: UUID, clock: ManualClock, tmp_path: Path
) -> None:
    """Two people, a signed and watermarked zip, a record of the download, and its end."""
    operator = await sign_in("operator", AREA)
    supervisor = await sign_in("supervisor", "demo/riverside")
    export = await wish(operator, incident_id)
    assert (export["state"], export["pictures"], export["allowed"]) == (
        "requested", 2, ["withdraw"],
    )  # fmt: skip
    seen = (await supervisor.get("/api/v1/exports")).json()["items"]
    assert [(e["id"], e["allowed"]) for e in seen] == [
        (export["id"], ["approve", "refuse", "withdraw"])
    ]
    file = f"/api/v1/exports/{export['id']}/file"
    assert (await operator.get(file)).status_code == 409
    assert (await step(supervisor, export, "approve", "seen the order")).json()["state"] == (
        "approved"
    )
    assert not hub.exports.path(UUID(export["id"])).exists()
    assert await builder(hub).build_next()

    answer = await operator.get(file)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{export["number"]}.zip"'
    assert answer.headers["cache-control"] == "no-store"
    async with hub.database.read() as session:
        record = (await session.scalars(select(ViewRecord))).one()
        events = list(await session.scalars(select(OutboxEvent.payload)))
    assert (record.kind, record.account_id, record.purpose) == (
        "export", operator.account_id, "case",
    )  # fmt: skip
    assert [e["state"] for e in events if "export_id" in e] == ["requested", "approved", "ready"]
    assert await kinds(hub) == [
        "export.requested", "export.approved", "export.ready", "export.downloaded",
    ]  # fmt: skip

    (tmp_path / "got.zip").write_bytes(answer.content)
    manifest = check(tmp_path / "got.zip", LedgerKeys(hub.ledger.keys_dir).public())
    assert manifest["requested_by"]["username"] == operator.username
    assert manifest["approved_by"]["username"] == supervisor.username
    assert (manifest["reason"], manifest["redacted"]) == ("asked for by the court", False)
    async with hub.database.read() as session:
        row = await hub.exports.get(session, UUID(export["id"]))
    assert row.expires_at == clock.now() + timedelta(days=2)

    clock.advance(2 * 86_400)
    await sign_in_again(hub, operator)
    gone = await operator.get(file)
    assert (gone.status_code, gone.json()["code"]) == (410, "export-expired")
    await builder(hub).sweep()
    assert not list(hub.exports.directory.iterdir())
    assert (await operator.get(file)).status_code == 410
    assert (await kinds(hub))[-1] == "export.expired"
    await hub.signer.sign()


async def test_nobody_approves_what_they_asked_for(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    """Not as supervisor, and not after becoming one."""
    supervisor = await sign_in("supervisor", AREA)
    operator = await sign_in("operator", AREA)
    own = await wish(supervisor, incident_id)
    for verb in ("approve", "refuse"):
        answer = await step(supervisor, own, verb, "fine by me")
        assert (answer.status_code, answer.json()["code"]) == (403, "second-person-needed")
    theirs = await wish(operator, incident_id)
    assert (await step(operator, theirs, "approve")).status_code == 403
    async with hub.database.transaction() as session:
        account = await hub.accounts.get(session, operator.account_id)
        await hub.accounts.update(session, account, roles=[RoleBinding(Role.SUPERVISOR, AREA)])
    answer = await step(operator, theirs, "approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "second-person-needed")
    assert not await builder(hub).build_next()


async def test_the_file_is_for_who_asked_and_only_while_they_may(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    """Not for the approver, not for a colleague, not after the role is gone."""
    operator, other = await sign_in("operator", AREA), await sign_in("operator", AREA)
    supervisor = await sign_in("supervisor", AREA)
    auditor = await sign_in("auditor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    file = f"/api/v1/exports/{export['id']}/file"
    for client in (other, supervisor):
        answer = await client.get(file)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-requester")
    assert (await auditor.get(file)).status_code == 403
    stranger = await sign_in("operator", "demo/hillside")
    assert (await stranger.get(file)).status_code == 404
    assert (await stranger.get(f"/api/v1/exports/{export['id']}")).status_code == 404
    assert (await operator.get(file)).status_code == 200
    async with hub.database.transaction() as session:
        account = await hub.accounts.get(session, operator.account_id)
        await hub.accounts.update(session, account, roles=[RoleBinding(Role.PATROL, AREA)])
    assert (await operator.get(file)).status_code == 403
    async with hub.database.read() as session:
        assert len(list(await session.scalars(select(ViewRecord)))) == 1


async def test_steps_come_in_their_order(hub: Hub, sign_in: SignIn, incident_id: UUID) -> None:
    """Refused stays refused; withdrawn deletes the file."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    refused = await wish(operator, incident_id)
    assert (await step(supervisor, refused, "refuse")).json()["code"] == "note-needed"
    assert (await step(supervisor, refused, "refuse", "no order")).json()["note"] == "no order"
    for verb in ("approve", "withdraw"):
        answer = await step(supervisor, refused, verb)
        assert (answer.status_code, answer.json()["code"]) == (409, "export-state")
    assert (await operator.get(f"/api/v1/exports/{refused['id']}/file")).status_code == 409
    export = await ready(hub, operator, supervisor, incident_id)
    assert hub.exports.path(UUID(export["id"])).exists()
    assert (await step(operator, export, "withdraw")).status_code == 200
    assert not hub.exports.path(UUID(export["id"])).exists()
    assert (await operator.get(f"/api/v1/exports/{export['id']}/file")).status_code == 410


@BOTH
async def test_what_nobody_decides_on_is_bounded_and_ends(
    hub: Hub, clock: ManualClock, incident_id: UUID, sign_in: SignIn
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    waiting = [await wish(asker, incident_id) for _ in range(MOST_UNDECIDED)]
    body = {**WISH, "incident_id": str(incident_id)}
    refused = await asker.post("/api/v1/exports", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "too-many-undecided")
    await wish(other, incident_id)
    assert (await step(other, waiting[0], "refuse", "twice")).status_code == 200
    await wish(asker, incident_id)
    clock.advance(UNDECIDED.total_seconds())
    await builder(hub).sweep()
    await sign_in_again(hub, asker)
    found = (await asker.get("/api/v1/exports")).json()["items"]
    assert sorted(one["state"] for one in found) == ["expired"] * (len(found) - 1) + ["refused"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": "curiosity"}, "unknown-purpose"),
        ({"reference": " "}, "reference-needed"),
        ({"purpose": "incident", "reference": "2026-999999"}, "unknown-reference"),
        ({"attachment_ids": [str(new_id())]}, "unknown-picture"),
        ({"expires_in_days": 31}, "invalid-input"),
        ({"reason": "  "}, "invalid-input"),
        ({"audience": "press"}, "invalid-input"),
    ],
)
async def test_a_wish_without_a_good_reason_is_refused(
    sign_in: SignIn, incident_id: UUID, changes: dict[str, Any], code: str
) -> None:
    """Purpose, reference, reason, audience and time are all said, and all checked."""
    operator = await sign_in("operator", AREA)
    body = {**WISH, "incident_id": str(incident_id), **changes}
    answer = await operator.post("/api/v1/exports", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_home_is_exported_by_its_household_only(hub: Hub, sign_in: SignIn) -> None:
    """No role opens a home's pictures for export; its household may have them."""
    resident = await sign_in("resident", AREA)
    async with hub.database.transaction() as session:
        household = await hub.households.create(session, None, name="Flat 1204", area=AREA)
        await session.flush()
        from access.households.models import HouseholdMember

        session.add(
            HouseholdMember(
                household_id=household.id,
                account_id=resident.account_id,
                since=hub.clock.now(),
            )
        )
    incident_id = await make_incident(hub, household.id)
    for role in ("operator", "supervisor", "duty_staff"):
        client = await sign_in(role, AREA)
        body = {**WISH, "incident_id": str(incident_id)}
        assert (await client.post("/api/v1/exports", json=body)).status_code == 403, role
    supervisor = await sign_in("supervisor", AREA)
    export = await ready(hub, resident, supervisor, incident_id)
    assert (await resident.get(f"/api/v1/exports/{export['id']}/file")).status_code == 200


async def test_whoever_takes_the_ready_state_by_hand_is_in_no_ledger(
    hub: Hub, settings: Settings, sign_in: SignIn, incident_id: UUID
) -> None:
    """An approval written into the table shows nowhere in the ledger: an auditor sees it."""
    operator = await sign_in("operator", AREA)
    export = await wish(operator, incident_id)
    path = str(hub.database.url.database)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE export_request SET state = 'approved'")
        connection.commit()
    assert await builder(hub).build_next()
    seen = (await operator.get(f"/api/v1/exports/{export['id']}")).json()
    assert seen["state"] == "failed"
    assert orjson.dumps(seen["decided_by"]) == b"null"
