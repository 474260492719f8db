"""The steps of the closed loop over the real application."""

import io
import struct
import zipfile
import zlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import select, update

from access.ledger.models import LedgerEntry
from access.views.models import ViewRecord
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.areas.models import Department
from governance.attachments.results import check_result
from governance.attachments.store import InvalidPictureError
from governance.incidents.models import Incident
from tests.api.test_incidents import BOTH, OTHER_AREA, opened, step
from tests.governance.loop_support import POLICY
from tests.governance.support import AREA, attachment, picture
from tests.support.http import Client, ServiceClient, SignIn


@pytest.fixture
async def worker(service_client: ServiceClient) -> Client:
    """A media worker."""
    return await service_client(["signal.post"])


async def department(hub: Hub, area: str = "demo", name: str = "Waterworks") -> UUID:
    row = Department(id=new_id(), name=name, area=area, created_at=hub.clock.now())
    async with hub.database.transaction() as session:
        session.add(row)
    return row.id


async def rule(hub: Hub, incident_id: UUID, **policy: Any) -> None:
    """Give an incident a policy of its own."""
    async with hub.database.transaction() as session:
        await session.execute(
            update(Incident)
            .where(Incident.id == incident_id)
            .values(policy={**POLICY, "triage": "skip", **policy})
        )


async def photo(
    client: Client, incident_id: UUID, content: bytes, name: str = "done.jpg"
) -> httpx.Response:
    return await client.post(
        f"/api/v1/incidents/{incident_id}/photos", files={"photo": (name, content)}
    )


@BOTH
async def test_all_six_steps_over_the_wire(
    worker: Client, sign_in: SignIn, hub: Hub, clock: ManualClock
) -> None:
    staff = await sign_in("duty_staff", AREA)
    patrol = await sign_in("patrol", AREA)
    works = await department(hub)
    incident_id = await opened(worker)
    await rule(hub, incident_id, verifier="other", result_photos=1)

    answer = await step(staff, incident_id, "triage", version=1, headline="A leak", note="wet")
    assert (answer.status_code, answer.json()["state"]) == (200, "triaged"), answer.text
    answer = await step(
        staff, incident_id, "dispatch",
        version=2, department_id=str(works), assignee_id=str(patrol.account_id),
    )  # fmt: skip
    given = answer.json()
    assert given["department"] == {"id": str(works), "name": "Waterworks"}
    assert given["assignee"]["id"] == str(patrol.account_id)
    answer = await step(patrol, incident_id, "progress", progress="going", minutes=7)
    assert (answer.json()["progress"], answer.json()["progress_by"]) == (
        "going", patrol.username.title(),
    )  # fmt: skip
    assert answer.json()["eta_at"] is not None
    answer = await step(patrol, incident_id, "handle", version=3)
    assert answer.json()["waiting_for"] == "feedback"
    answer = await step(patrol, incident_id, "feedback", version=4, note="shut the valve")
    assert (answer.status_code, answer.json()["code"]) == (409, "photos-needed")
    assert (await photo(patrol, incident_id, picture(120, 80))).status_code == 201
    answer = await step(patrol, incident_id, "feedback", version=4, note="shut the valve")
    assert answer.json()["result_photos"] == {"needed": 1, "there": 1}
    answer = await step(staff, incident_id, "close", version=5, note="x")
    assert (answer.status_code, answer.json()["code"]) == (409, "verify-needed")
    answer = await step(staff, incident_id, "verify", version=5, passed=False, note="it drips")
    assert (answer.json()["state"], answer.json()["handler"]["id"]) == (
        "handling", str(patrol.account_id),
    )  # fmt: skip
    await step(patrol, incident_id, "feedback", version=6, note="now")
    answer = await step(staff, incident_id, "verify", version=7, passed=True, note="dry")
    assert (answer.json()["state"], answer.json()["resolution"]) == ("closed", "handled")
    clock.advance(7001)
    await hub.governance.timers.fire_due()
    whole = (await staff.get(f"/api/v1/incidents/{incident_id}")).json()
    assert (whole["state"], whole["archived_at"] is not None) == ("archived", True)
    moves = [e["action"] for e in whole["log"] if e["to_state"]]
    assert moves == [
        "opened", "triage", "dispatch", "handle", "feedback", "returned", "feedback", "verify",
        "archived",
    ]  # fmt: skip


async def test_the_handler_cannot_check_the_own_work(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    await rule(hub, incident_id, verifier="other")
    await step(staff, incident_id, "handle", version=1)
    await step(staff, incident_id, "feedback", version=2, note="done")
    answer = await step(staff, incident_id, "verify", version=3, passed=True, note="fine")
    assert (answer.status_code, answer.json()["code"]) == (409, "same-person")
    assert answer.json()["remedy"]


async def test_it_is_given_only_to_those_who_may_handle_it(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA)
    stranger = await sign_in("patrol", OTHER_AREA)
    operator = await sign_in("operator", "demo")
    gone = await sign_in("patrol", AREA)
    async with hub.database.transaction() as session:
        (await hub.accounts.get(session, gone.account_id)).active = False
    incident_id = await opened(worker)
    elsewhere = await department(hub, OTHER_AREA)
    for body, code in (
        ({"assignee_id": str(stranger.account_id)}, "assignee-cannot-handle"),
        ({"assignee_id": str(operator.account_id)}, "assignee-cannot-handle"),
        ({"assignee_id": str(gone.account_id)}, "unknown-assignee"),
        ({"assignee_id": str(new_id())}, "unknown-assignee"),
        ({"department_id": str(new_id())}, "unknown-department"),
        ({"department_id": str(elsewhere)}, "department-elsewhere"),
        ({}, "invalid-input"),
    ):
        answer = await step(staff, incident_id, "dispatch", version=1, **body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert (await staff.get(f"/api/v1/incidents/{incident_id}")).json()["state"] == "reported"


async def test_the_whistle_of_a_refused_return_is_committed(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff, patrol = await sign_in("duty_staff", AREA), await sign_in("patrol", AREA)
    incident_id = await opened(worker)
    version = 1
    for _ in range(3):
        answer = await step(
            staff, incident_id, "dispatch", version=version, assignee_id=str(patrol.account_id)
        )
        assert answer.status_code == 200, answer.text
        version += 1
        answer = await step(patrol, incident_id, "send-back", version=version, reason="not ours")
        version += 1
    assert (answer.status_code, answer.json()["code"]) == (409, "returned-too-often")
    whole = (await staff.get(f"/api/v1/incidents/{incident_id}")).json()
    assert (whole["state"], whole["returns"], whole["level"]) == ("dispatched", 2, 1)
    assert "whistle" in [e["action"] for e in whole["log"]]


async def test_it_rests_until_a_moment_with_an_offset(
    worker: Client, sign_in: SignIn, clock: ManualClock
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    await step(staff, incident_id, "handle", version=1)
    for until in ("2026-01-01T09:00:00", "tomorrow", "2026-99-01T00:00:00Z"):
        answer = await step(staff, incident_id, "suspend", version=2, until=until, reason="x")
        assert answer.status_code == 422
    far = (clock.now() + timedelta(days=400)).isoformat()
    answer = await step(staff, incident_id, "suspend", version=2, until=far, reason="x")
    assert (answer.status_code, answer.json()["code"]) == (422, "suspend-limit")
    assert answer.json()["errors"][0]["field"] == "until"
    answer = await step(
        staff, incident_id, "suspend", version=2, until="2026-01-01T17:00:00+08:00", reason="parts"
    )
    assert answer.json()["suspended_until"] == "2026-01-01T09:00:00Z", answer.text
    answer = await step(staff, incident_id, "resume", version=3)
    assert (answer.json()["state"], answer.json()["suspended_until"]) == ("handling", None)


@BOTH
async def test_two_that_are_one_are_merged_and_show_it(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA)
    one, two = await opened(worker), await opened(worker, zone_name="Roof")
    far = await opened(worker, zone_name="Gate", area=OTHER_AREA)
    for into in (far, new_id()):
        answer = await step(staff, one, "merge", version=1, into_id=str(into), reason="same")
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown-incident")
    answer = await step(staff, one, "merge", version=1, into_id=str(one), reason="same")
    assert (answer.status_code, answer.json()["code"]) == (409, "cannot-merge")
    answer = await step(staff, one, "merge", version=1, into_id=str(two), reason="same")
    merged, target = answer.json(), (await staff.get(f"/api/v1/incidents/{two}")).json()
    assert (merged["state"], merged["merged_into_id"]) == ("merged", str(two))
    assert merged["merged_into_number"] == target["number"]
    assert target["merged"] == [{"id": str(one), "number": merged["number"]}]
    assert merged["allowed"] == ["unmerge"]
    open_ones = (await staff.get("/api/v1/incidents")).json()["items"]
    assert [item["id"] for item in open_ones] == [str(two)]
    answer = await step(staff, one, "unmerge", version=2, reason="two after all")
    assert (answer.json()["state"], answer.json()["merged_into_id"]) == ("reported", None)


async def test_who_may_not_decide_may_still_call_the_level_above(
    worker: Client, sign_in: SignIn
) -> None:
    operator, patrol = await sign_in("operator", "demo"), await sign_in("patrol", AREA)
    incident_id = await opened(worker)
    answer = await step(operator, incident_id, "whistle", reason="nobody looks")
    assert (answer.status_code, answer.json()["level"]) == (200, 1)
    for client, verb, body in (
        (operator, "progress", {"progress": "going"}),
        (patrol, "triage", {"version": 1}),
        (patrol, "reject", {"version": 1, "reason": "x"}),
        (patrol, "reopen", {"version": 1, "reason": "x"}),
    ):
        assert (await step(client, incident_id, verb, **body)).status_code == 403


INCOMPLETE: list[tuple[str, dict[str, Any]]] = [
    ("triage", {"version": 1, "severity": "unknown"}),
    ("triage", {"version": 1, "headline": "two\nlines"}),
    ("transfer", {"version": 1, "department_id": str(new_id())}),
    ("send-back", {"version": 1, "reason": "  "}),
    ("progress", {"progress": "lost"}),
    ("progress", {"progress": "going", "minutes": -1}),
    ("progress", {"progress": "going", "minutes": 100_000}),
    ("verify", {"version": 1, "passed": True, "note": "x", "resolution": "recovered"}),
    ("whistle", {"reason": "x" * 5000}),
    ("merge", {"version": 1, "into_id": "that one", "reason": "x"}),
    ("resume", {"version": 1, "state": "closed"}),
]


async def test_a_step_without_what_it_needs_is_422(worker: Client, sign_in: SignIn) -> None:
    staff, incident = await sign_in("duty_staff", AREA), await opened(worker)
    for verb, body in INCOMPLETE:
        answer = await step(staff, incident, verb, **body)
        assert answer.status_code == 422, (verb, body)
        assert answer.json()["errors"]


# ---- Pictures of the result ---------------------------------------------------------------


def with_place() -> bytes:
    """A JPEG that says where it was taken, and lies on its side."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SecretPhone"
    exif.get_ifd(0x8825)[1] = "N"
    Image.new("RGB", (80, 40), (1, 90, 30)).save(out, "JPEG", exif=exif, comment=b"at home")
    return out.getvalue() + b"<script>tail</script>"


async def test_a_picture_of_the_result_keeps_the_picture_and_nothing_else(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff, patrol = await sign_in("duty_staff", AREA), await sign_in("patrol", AREA)
    incident_id = await opened(worker, attachments=[attachment(picture())])
    answer = await photo(patrol, incident_id, with_place(), "C:\\me\\\x00photo.jpg")
    assert answer.status_code == 201, answer.text
    [kept] = [a for a in answer.json()["attachments"] if a["kind"] == "result"]
    assert (kept["width"], kept["height"], kept["media_type"]) == (40, 80, "image/jpeg")
    assert kept["added_by"]["id"] == str(patrol.account_id)
    again = await photo(patrol, incident_id, with_place())
    assert again.status_code == 200
    assert len(again.json()["attachments"]) == 2
    assert again.json()["version"] == 1

    shown = await staff.get(kept["url"])
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    for secret in (b"SecretPhone", b"at home", b"tail", b"Exif"):
        assert secret not in shown.content
    async with hub.database.read() as session:
        # No camera was looked at; that somebody looked is in the ledger.
        assert list(await session.scalars(select(ViewRecord))) == []
        entries = list(
            await session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "view.opened"))
        )
    assert [e.subject for e in entries] == [str(incident_id)]
    for other in (await sign_in("patrol", OTHER_AREA), await sign_in("auditor", "demo")):
        assert (await other.get(kept["url"])).status_code in {403, 404}


def png_that_claims(width: int, height: int) -> bytes:
    """A few hundred bytes that would be gigabytes of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(
            ">I", zlib.crc32(kind + body)
        )  # fmt: skip

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00" * 100_000)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo.jpg", b"\x00" * 8_000_000)
    return out.getvalue()


def text_bomb() -> bytes:
    out, info = io.BytesIO(), PngInfo()
    info.add_text("comment", "x" * 80_000_000, zip=True)
    Image.new("RGB", (4, 4)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def moving() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 200)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def test_nothing_is_decoded_that_claims_too_much() -> None:
    for content in (
        png_that_claims(60_000, 60_000),
        png_that_claims(20_000, 10),
        png_that_claims(8000, 5001),
        zip_bomb(),
        text_bomb(),
        moving(),
        picture()[:-40],
        b"",
        b"GIF89a" + b"\x00" * 50,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ):
        with pytest.raises(InvalidPictureError):
            check_result(content)


def test_every_kind_that_a_phone_makes_becomes_a_plain_jpeg() -> None:
    for fmt, mode in (("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGBA"), ("JPEG", "L")):
        out = io.BytesIO()
        Image.new(mode, (30, 20)).save(out, fmt)
        stored = check_result(out.getvalue())
        assert (stored.media_type, stored.width, stored.height) == ("image/jpeg", 30, 20)
        with Image.open(io.BytesIO(stored.content)) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")


async def test_what_is_no_picture_is_refused_and_nothing_is_kept(
    worker: Client, sign_in: SignIn, hub: Hub
) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    url = f"/api/v1/incidents/{incident_id}/photos"
    answers = [
        await photo(staff, incident_id, zip_bomb()),
        await staff.post(url, json={"photo": "x"}),
        await staff.post(url, files={"other": b"x"}),
        await staff.post(url, data={"photo": "no file"}),
        await staff.post(
            url, content=b"garbage", headers={"Content-Type": "multipart/form-data; boundary=x"}
        ),
        await staff.post(
            url, files=[("photo", ("a.jpg", picture())), ("photo", ("b.jpg", picture()))]
        ),
    ]
    assert {(a.status_code, a.json()["code"]) for a in answers} == {(422, "invalid-picture")}
    answer = await photo(staff, incident_id, b"\xff\xd8" + b"x" * (10 * 1024 * 1024))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    answer = await photo(staff, incident_id, b"x" * (11 * 1024 * 1024))
    assert answer.status_code == 413
    whole = (await staff.get(f"/api/v1/incidents/{incident_id}")).json()
    assert (whole["attachments"], whole["result_photos"]["there"]) == ([], 0)


async def test_pictures_come_to_an_end(worker: Client, sign_in: SignIn) -> None:
    staff = await sign_in("duty_staff", AREA)
    incident_id = await opened(worker)
    for shade in range(20):
        assert (await photo(staff, incident_id, picture(shade=shade * 8))).status_code == 201
    answer = await photo(staff, incident_id, picture(shade=200))
    assert (answer.status_code, answer.json()["code"]) == (409, "too-many-photos")
    await step(staff, incident_id, "reject", version=1, reason="nothing")
    answer = await photo(staff, incident_id, picture(shade=210))
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal-transition")
