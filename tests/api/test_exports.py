"""Exports from the wish to the deleted file, and the ways around the second person."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from PIL import Image
from sqlalchemy import select, update

from access.ledger.keys import LedgerKeys
from access.ledger.models import LedgerEntry
from access.policy.types import Role, RoleBinding
from access.views.models import ViewRecord
from api.door import COOKIE, CSRF_HEADER
from api.exports import builder
from api.hub import Hub
from camera_hub.devices.models import Camera
from core.clock import ManualClock
from core.ids import new_id
from core.settings import Settings
from governance.attachments.models import Attachment
from governance.exports import repository
from governance.exports.models import ExportRequest
from governance.exports.package import BadExportError, check, write_zip
from governance.exports.watermark import drawable, shown_name, stamp
from governance.outbox.models import OutboxEvent
from governance.signals.reading import read_signal
from governance.signals.types import CameraFacts
from tests.governance.support import AREA, attachment, picture
from tests.governance.support import signal as detection
from tests.support.http import Client, SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
WISH = {
    "purpose": "case",
    "reference": "case 2026/17",
    "reason": "asked for by the court",
    "audience": "authority",
    "expires_in_days": 2,
}


@pytest.fixture
async def incident_id(hub: Hub) -> UUID:
    """An incident of a camera in a public space, with a JPEG and a PNG."""
    return await make_incident(hub)


async def make_incident(hub: Hub, household_id: UUID | None = None) -> UUID:
    camera = Camera(
        id=new_id(),
        name="Gate 3 东门",
        area=AREA,
        place_kind="home" if household_id else "public_space",
        household_id=household_id,
        source_kind="rtsp",
        address="rtsp://192.0.2.1/",
        enabled=False,
        created_at=hub.clock.now(),
    )
    raw = detection(
        camera_id=str(camera.id),
        event_key=str(camera.id),
        attachments=[
            attachment(picture(640, 360)),
            attachment(picture(96, 54, "PNG", 200), "image/png"),
        ],
    )
    checked = read_signal(raw, hub.clock.now())
    for _, found in checked.pictures:
        hub.governance.pictures.write(found)
    async with hub.database.transaction() as session:
        session.add(camera)
        await session.flush()
        receipt = await hub.governance.signals.intake(
            session,
            checked,
            camera=CameraFacts(name=camera.name, area=AREA, household_id=household_id),
        )
    assert receipt.body.incident_id is not None
    return receipt.body.incident_id


async def wish(client: Client, incident_id: UUID, **changes: Any) -> dict[str, Any]:
    body = {**WISH, "incident_id": str(incident_id), **changes}
    answer = await client.post("/api/v1/exports", json=body)
    assert answer.status_code == 201, answer.text
    value = answer.json()
    assert isinstance(value, dict)
    return value


async def step(client: Client, export: dict[str, Any], verb: str, note: str = "") -> Any:
    return await client.post(f"/api/v1/exports/{export['id']}/{verb}", json={"note": note})


async def ready(hub: Hub, asker: Client, other: Client, incident_id: UUID) -> dict[str, Any]:
    """Take an export to the point where its file is there."""
    export = await wish(asker, incident_id)
    assert (await step(other, export, "approve", "seen the order")).status_code == 200
    assert await builder(hub).build_next()
    value = (await asker.get(f"/api/v1/exports/{export['id']}")).json()
    assert value["state"] == "ready", value
    assert isinstance(value, dict)
    return value


async def sign_in_again(hub: Hub, client: Client) -> None:
    """Give the client a session of today: the one it had has run out."""
    async with hub.database.transaction() as session:
        opened = await hub.sessions.open(session, client.account_id, address="", user_agent="")
    client.cookies.set(COOKIE, opened.token)
    client.headers[CSRF_HEADER] = opened.csrf_token


async def kinds(hub: Hub) -> list[str]:
    async with hub.database.read() as session:
        found = await session.scalars(
            select(LedgerEntry.kind)
            .where(LedgerEntry.kind.startswith("export."))
            .order_by(LedgerEntry.seq)
        )
        return list(found)


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


async def test_without_redaction_nothing_leaves(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    """For publication with no detector at hand the export fails and says why; no file is there."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    for audience in ("publication", "subject"):
        export = await wish(operator, incident_id, audience=audience)
        await step(supervisor, export, "approve")
        assert await builder(hub).build_next()
        seen = (await operator.get(f"/api/v1/exports/{export['id']}")).json()
        assert seen["state"] == "failed"
        assert "cannot be covered" in seen["failure"]
        assert (await operator.get(f"/api/v1/exports/{export['id']}/file")).status_code == 409
    assert not list(hub.exports.directory.glob("*"))


async def test_no_name_from_outside_becomes_a_path(
    hub: Hub, sign_in: SignIn, tmp_path: Path
) -> None:
    """Attachment names and ids with paths in them end up nowhere but in the manifest's text."""
    incident = await make_incident(hub)
    async with hub.database.transaction() as session:  # as if the API had let it pass
        await session.execute(update(Attachment).values(name="../../../../etc/cron.d/evil\r\nX"))
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident)
    content = hub.exports.path(UUID(export["id"])).read_bytes()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
    pictures = [name for name in names if name.startswith("pictures/")]
    assert pictures == [f"pictures/{n:03d}.jpg" for n in range(1, export["pictures"] + 1)]
    assert set(names) - set(pictures) == {
        "manifest.json", "manifest.sig", "public-key.pem", "README.en.txt", "README.zh.txt",
    }  # fmt: skip
    (tmp_path / "secret.zip").write_bytes(b"secret")
    for path in ("..%2F..%2Fsecret", "%2e%2e%2fsecret.zip", f"{export['id']}%00"):
        got = await operator.get(f"/api/v1/exports/{path}/file")
        assert got.status_code in {404, 422}, got.text
        assert b"secret" not in got.content or got.headers["content-type"] != "application/zip"


async def test_one_flipped_byte_is_found(
    hub: Hub, sign_in: SignIn, incident_id: UUID, tmp_path: Path
) -> None:
    """Anywhere in the zip; and another key, another file, one more file."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    good = hub.exports.path(UUID(export["id"])).read_bytes()
    believed = LedgerKeys(hub.ledger.keys_dir).public()
    file = tmp_path / "x.zip"
    file.write_bytes(good)
    assert check(file, believed)["number"] == export["number"]
    for place in range(0, len(good), max(1, len(good) // 400)):
        bent = bytearray(good)
        bent[place] ^= 1
        file.write_bytes(bent)
        with pytest.raises(BadExportError):
            check(file, believed)
    for cut in (good[:-1], good + b"\0", b"", b"PK"):
        file.write_bytes(cut)
        with pytest.raises(BadExportError):
            check(file, believed)
    with zipfile.ZipFile(BytesIO(good)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    file.write_bytes(write_zip([*entries, ("pictures/999.jpg", b"x")]))
    with pytest.raises(BadExportError, match="does not belong"):
        check(file, believed)
    file.write_bytes(good)
    with pytest.raises(BadExportError, match="not among those believed"):
        check(file, {})


async def test_the_command_line_checks_an_export_offline(
    hub: Hub, sign_in: SignIn, incident_id: UUID, tmp_path: Path
) -> None:
    """With nothing but the file and the public key."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    path = hub.exports.path(UUID(export["id"]))
    (key,) = hub.ledger.keys_dir.glob("*.pub")
    command = [
        sys.executable, "-m", "app.cli", "--data-dir", str(tmp_path / "elsewhere"), "exports",
        "verify", str(path), "--public-key", str(key),
    ]  # fmt: skip
    command[1:3] = ["-c", "from app.cli.main import main; main()"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert export["number"] in done.stdout
    bent = bytearray(path.read_bytes())
    bent[len(bent) // 2] ^= 4
    path.write_bytes(bent)
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 1


BUILD = """
import asyncio, sys
from api.door import COOKIE, CSRF_HEADER
from api.exports import builder
from api.hub import build_hub
from core.clock import SystemClock
from core.settings import Settings
from governance.exports import builder as building

def linger(path, content):
    print("built", flush=True)
    import time
    time.sleep(60)

async def main():
    hub = build_hub(Settings.model_validate_json(sys.stdin.read()), SystemClock())
    building._put = linger
    await builder(hub).build_next()

asyncio.run(main())
"""


@pytest.mark.faults
async def test_a_build_that_was_killed_is_built_again(
    hub: Hub, settings: Settings, sign_in: SignIn, incident_id: UUID
) -> None:
    """SIGKILL after the claim, before the file: the next process begins from the request."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await wish(operator, incident_id)
    await step(supervisor, export, "approve")
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(settings.model_dump_json().encode())
    process.stdin.close()
    assert await asyncio.to_thread(process.stdout.readline) == b"built\n"
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    process.stdout.close()
    path = f"/api/v1/exports/{export['id']}"
    assert (await operator.get(path)).json()["state"] == "building"
    async with hub.database.transaction() as session:  # the killed one had the real clock
        row = await session.get(ExportRequest, UUID(export["id"]))
        assert row is not None
        row.claimed_at = hub.clock.now()
    assert not await builder(hub).build_next()  # it may still be at it
    assert await builder(hub).build_next(stale=timedelta(0))
    assert (await operator.get(f"{path}/file")).status_code == 200


@pytest.mark.faults
@pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
async def test_what_a_killed_process_was_building_is_built_by_the_next_at_once(
    hub: Hub, sign_in: SignIn, incident_id: UUID, clock: ManualClock
) -> None:
    """And not while that process lives: with PostgreSQL its connection says so."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await wish(operator, incident_id)
    await step(supervisor, export, "approve")
    async with hub.database.transaction() as session:
        row = await session.get(ExportRequest, UUID(export["id"]))
        assert row is not None
        row.state, row.claimed_at = "building", hub.clock.now()
    path = f"/api/v1/exports/{export['id']}"

    async def state() -> str:
        clock.advance(1)
        await asyncio.sleep(0.02)
        found: str = (await operator.get(path)).json()["state"]
        return found

    async with hub.database.engine.connect() as alive:
        if not hub.database.is_sqlite:
            assert await repository.become_builder(alive)
        running = asyncio.create_task(builder(hub).run())
        if not hub.database.is_sqlite:
            assert [await state() for _ in range(5)] == ["building"] * 5
            await alive.invalidate()
    async with asyncio.timeout(20):
        while await state() != "ready":
            pass
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.faults
async def test_a_kill_between_row_and_file_leaves_no_file(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    """The index says expired first; the file goes at the next sweep, others stay."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = await ready(hub, operator, supervisor, incident_id)
    kept = await ready(hub, operator, supervisor, incident_id)
    foreign = hub.exports.directory / "notes.zip"
    foreign.write_bytes(b"not ours")
    async with hub.database.transaction() as session:
        row = await hub.exports.locked(session, UUID(export["id"]))
        await hub.exports.withdraw(session, row, _actor(operator), "")
    await builder(hub).sweep()
    assert sorted(p.name for p in hub.exports.directory.iterdir()) == sorted(
        [f"{kept['id']}.zip", "notes.zip"]
    )


def _actor(client: Client) -> Any:
    from access.policy.types import Actor

    return Actor(kind="account", id=client.account_id, name=client.username)


def test_every_picture_names_who_had_it() -> None:
    """The strip below is there and legible, the picture itself is written over, small ones too."""
    for size in ((1280, 720), (40, 30)):
        source = BytesIO()
        Image.new("RGB", size, (90, 90, 90)).save(source, "PNG")
        lines = ("X2026-000001  Li Na (li-na)", "2026-11-22 05:50:12 UTC")
        with Image.open(BytesIO(stamp(source.getvalue(), lines))) as made:
            assert made.format == "JPEG"
            assert not made.getexif()
            assert made.height > size[1]
            strip = made.convert("L").crop((0, size[1], made.width, made.height))
            assert max(strip.tobytes()) > 200
            over = made.convert("L").crop((0, 0, *size))
            assert max(over.tobytes()) > 100


def test_a_name_is_never_drawn_as_boxes() -> None:
    """What the font at hand lacks is replaced by the ASCII form."""
    assert shown_name("🙂🙂", "li-na", "id-1") == "li-na id-1"
    assert shown_name("\U0001f642", "李娜", "id-1") == "id-1"
    chinese = shown_name("李娜", "li-na", "id-1")
    assert chinese == ("李娜 (li-na)" if drawable("李娜") else "li-na id-1")


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
