"""Recordings as evidence: from the wish to what anybody can check, and each flipped byte."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import numpy as np
import pytest
from sqlalchemy import select

from access.ledger.keys import LedgerKeys
from access.views.models import ViewRecord
from api.exports import builder
from api.hub import Hub
from camera_hub.recording.index.models import RecordingLock
from core.settings import Settings
from governance.exports.package import BadExportError, check
from tests.api.exports_kit import make_incident, step
from tests.api.playbacks_kit import (
    AREA,
    BEGIN,
    MASKS,
    WHY,
    Past,
    add_camera,
    at_home,
    past,
    record,
)
from tests.camera_hub.recording.test_disk_faults import LoopDisk, loop_disk
from tests.support.http import Client, SignIn

__all__ = ["at_home", "loop_disk", "past"]

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
WISH = {**WHY, "reason": "asked for by the court", "audience": "authority", "expires_in_days": 2}


def span(camera_id: UUID, start: float, end: float) -> dict[str, str]:
    begin, stop = (BEGIN + timedelta(seconds=s) for s in (start, end))
    return {"camera_id": str(camera_id), "from": begin.isoformat(), "to": stop.isoformat()}


async def ask(client: Client, *spans: dict[str, str], **changes: Any) -> Any:
    body = {**WISH, "recordings": list(spans), **changes}
    return await client.post("/api/v1/exports", json=body)


async def built(
    hub: Hub, asker: Client, other: Client, *spans: dict[str, str], **changes: Any
) -> bytes:
    """Take an export of recordings to its download and return the zip."""
    asked = await ask(asker, *spans, **changes)
    assert asked.status_code == 201, asked.text
    export = asked.json()
    assert (await step(other, export, "approve", "seen the order")).status_code == 200
    assert await builder(hub).build_next()
    found = (await asker.get(f"/api/v1/exports/{export['id']}")).json()
    assert (found["state"], found["progress"]) == ("ready", 100), found
    file = await asker.get(f"/api/v1/exports/{export['id']}/file")
    assert file.status_code == 200, file.text
    return file.content


def probe(path: Path) -> dict[str, Any]:
    """Return what Debian's ffprobe says of a file, with every frame decoded."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json",
         str(path)], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@BOTH
async def test_recordings_are_exported_as_they_were_with_the_time_of_every_frame(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    await past.begin(asker)
    await past.change(clock_offset_s=-3.5)
    content = await built(past.hub, asker, other, span(past.camera_id, 1.2, 63))
    path = tmp_path / "export.zip"
    path.write_bytes(content)
    keys = LedgerKeys(settings.ledger_dir / "keys").public()
    manifest = check(path, keys)
    (clip,) = manifest["recordings"]
    (film,) = clip["files"]
    assert clip["camera_clock_offset_s"] == -3.5
    assert [one["whole_in_clip"] for one in clip["segments"]] == [False, True, False]
    assert [one["unchanged"] for one in clip["segments"]] == [True] * 3
    assert [one["sha256_now"] for one in clip["segments"]] == [o.sha256 for o in past.segments]
    assert clip["present"]["from"] == (BEGIN + timedelta(seconds=1)).isoformat()
    (gap,) = clip["gaps"]
    assert gap["from"] == (BEGIN + timedelta(seconds=12)).isoformat()
    assert [e["kind"] for e in manifest["ledger"]] == ["export.requested", "export.approved"]
    assert clip["played_back"][0]["account_id"] == str(asker.account_id)

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "out")
    found = probe(tmp_path / "out" / film["name"])
    (stream,) = found["streams"]
    assert int(stream["nb_read_frames"]) == film["frames"] == 5 * 25 + 6 * 25 + 3 * 25
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 320, 240)
    assert float(found["format"]["duration"]) == pytest.approx(62, abs=0.05)
    with (tmp_path / "out" / film["frames_csv"]).open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(film["frames"]))
    assert datetime.fromisoformat(rows[0]["utc"]) == BEGIN + timedelta(seconds=1)
    assert datetime.fromisoformat(rows[275]["utc"]) == BEGIN + timedelta(seconds=60)
    assert int(rows[275]["pts"]) == 59 * 90_000
    with av.open(str(tmp_path / "out" / film["name"]), mode="r") as container:
        pts = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert pts == [int(row["pts"]) for row in rows]
    # The pictures are those that were recorded, byte for byte.
    disk = settings.recording_disks[0].path
    whole = (disk / past.segments[1].path).read_bytes()
    film_bytes = (tmp_path / "out" / film["name"]).read_bytes()
    for part in film["parts"]:
        if part["segment_id"] == str(past.segments[1].id):
            assert film_bytes[part["offset"] : part["offset"] + part["length"]] in whole

    assert check(tmp_path / "out", keys) == manifest
    async with past.hub.database.read() as session:
        kinds = [v.kind for v in await session.scalars(select(ViewRecord).order_by(ViewRecord.id))]
    assert kinds == ["playback", "export"]


async def test_one_flipped_byte_anywhere_is_found_and_named(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    content = await built(past.hub, asker, other, span(past.camera_id, 0, 12))
    keys = LedgerKeys(settings.ledger_dir / "keys").public()
    path, out = tmp_path / "export.zip", tmp_path / "out"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(out)
    manifest = check(out, keys)
    (film,) = manifest["recordings"][0]["files"]

    def flip(file: Path, at: int) -> str:
        before = file.read_bytes()
        after = bytearray(before)
        after[at] ^= 0x10
        file.write_bytes(after)
        with pytest.raises(BadExportError) as error:
            check(out, keys)
        file.write_bytes(before)
        return error.value.message

    files = sorted(p for p in out.rglob("*") if p.is_file())
    assert len(files) == 7
    for file in files:
        size = file.stat().st_size
        for at in {0, size // 3, size // 2, size - 1}:
            message = flip(file, at)
            assert file.name in message or "manifest" in message.lower(), (file, at, message)
    for part in (film["parts"][0], film["parts"][7]):
        for at in (part["offset"], part["offset"] + part["length"] - 1):
            message = flip(out / film["name"], at)
            assert f"bytes {part['offset']} to {part['offset'] + part['length'] - 1}" in message
            assert part["starts_at"] in message
            assert part["segment_id"] in message
    # In the zip as well: at its seams, in its tables, and in a sample of all of it.
    seams = [content.index(b"recordings/1.mp4"), len(content) - 1, len(content) - 60]
    for at in (*range(0, len(content), len(content) // 60), *seams):
        wrong = bytearray(content)
        wrong[at] ^= 0x01
        path.write_bytes(wrong)
        with pytest.raises(BadExportError):
            check(path, keys)
    path.write_bytes(content[:-1])
    with pytest.raises(BadExportError):
        check(path, keys)
    path.write_bytes(content + b"\0")
    with pytest.raises(BadExportError):
        check(path, keys)
    (out / "recordings" / "2.mp4").write_bytes(b"more")
    with pytest.raises(BadExportError, match=r"2\.mp4"):
        check(out, keys)


async def test_the_command_line_checks_evidence_without_the_hub(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    path = tmp_path / "export.zip"
    path.write_bytes(await built(past.hub, asker, other, span(past.camera_id, 0, 12)))
    (key,) = (settings.ledger_dir / "keys").glob("*.pub")

    def verify(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["camera-hub", "--data-dir", str(tmp_path / "nowhere"), "evidence", "verify",
             str(path), *options], capture_output=True, text=True, check=False,
            env={"PATH": str(Path(sys.executable).parent), "HOME": str(tmp_path)},
        )  # fmt: skip

    good = verify("--key", str(key))
    assert good.returncode == 0, good.stderr
    assert "300 frames in 12 parts of 2 segments, as recorded" in good.stdout
    stranger = verify()
    assert (stranger.returncode, stranger.stdout) == (1, "")
    assert "not among those believed" in stranger.stderr
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)
    bad = verify("--key", str(key))
    assert bad.returncode == 1
    assert "recordings/1.mp4 was changed within bytes" in bad.stderr


async def test_what_was_made_before_the_masks_is_handed_out_no_more(
    past: Past, sign_in: SignIn
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    await built(past.hub, asker, other, span(past.camera_id, 0, 5))
    (export,) = (await asker.get("/api/v1/exports")).json()["items"]
    file = f"/api/v1/exports/{export['id']}/file"
    assert (await asker.get(file)).status_code == 200
    await past.change(masks=MASKS)
    refused = await asker.get(file)
    assert (refused.status_code, refused.json()["code"]) == (410, "export-expired")
    await past.change(masks=[])
    assert (await asker.get(file)).status_code == 200


async def test_masks_hold_in_what_is_handed_out(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    await past.change(masks=MASKS)
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    content = await built(past.hub, asker, other, span(past.camera_id, 0, 12))
    (tmp_path / "export.zip").write_bytes(content)
    manifest = check(tmp_path / "export.zip", LedgerKeys(settings.ledger_dir / "keys").public())
    (clip,) = manifest["recordings"]
    (film,) = clip["files"]
    assert (clip["rendition"], film["frames"]) == ("masked", 300)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (tmp_path / "film.mp4").write_bytes(archive.read(film["name"]))
        rows = list(csv.DictReader(io.StringIO(archive.read(film["frames_csv"]).decode())))
    assert int(probe(tmp_path / "film.mp4")["streams"][0]["nb_read_frames"]) == 300
    assert datetime.fromisoformat(rows[-1]["utc"]) == BEGIN + timedelta(seconds=11.96)
    with av.open(str(tmp_path / "film.mp4"), mode="r") as container:
        for frame in container.decode(video=0):
            left = frame.to_ndarray(format="rgb24")[:, :150]
            assert np.abs(left.astype(int) - 24).max() < 24
    original = (settings.recording_disks[0].path / past.segments[0].path).read_bytes()
    assert original[5000:5040] not in content


async def test_what_cannot_be_handed_out_is_refused_and_says_why(
    past: Past, sign_in: SignIn
) -> None:
    asker = await sign_in("operator", AREA)
    mine = span(past.camera_id, 0, 12)
    hidden = await add_camera(past.hub, area="demo/elsewhere")
    await record(past.hub, hidden, (0,))
    ahead = past.hub.clock.now() + timedelta(seconds=1)
    for spans, changes, status, code in (
        ([mine], {"audience": "publication", "rendition": "raw"}, 422, "must-be-blurred"),
        ([mine], {"audience": "subject", "rendition": "raw"}, 422, "must-be-blurred"),
        ([mine], {"rendition": "blurred", "sound": True}, 422, "no-sound-there"),
        ([mine], {"purpose": "incident", "reference": "2026-999999"}, 422, "unknown-reference"),
        ([span(past.camera_id, 300, 320)], {}, 404, "no-recording"),
        ([{**mine, "to": ahead.isoformat()}], {}, 422, "not-recorded-yet"),
        ([span(past.camera_id, 0, 7201)], {}, 422, "invalid-input"),
        ([span(past.camera_id, 5, 5)], {}, 422, "invalid-input"),
        ([mine] * 5, {}, 422, "invalid-input"),
        ([], {}, 422, "no-pictures"),
        ([mine, span(hidden, 0, 3)], {}, 404, "not-found"),
    ):
        answer = await ask(asker, *spans, **changes)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    # Duty staff do not play back what looks at a public space, so they hand none of it out.
    duty = await sign_in("duty_staff", AREA)
    assert (await ask(duty, mine)).status_code == 403
    async with past.hub.database.read() as session:
        assert not list(await session.scalars(select(RecordingLock)))


async def test_a_home_is_handed_out_by_its_household_and_with_nothing_else(
    at_home: tuple[Past, Client], sign_in: SignIn
) -> None:
    past, member = at_home
    outside = await add_camera(past.hub)
    await record(past.hub, outside, (0,))
    mine = span(past.camera_id, 0, 12)
    asked = await ask(member, mine)
    assert asked.status_code == 201, asked.text
    for role in ("supervisor", "duty_staff", "operator"):
        assert (await ask(await sign_in(role, AREA), mine)).status_code in {403, 404}
    operator = await sign_in("operator", AREA)
    both = await ask(operator, mine, span(outside, 0, 3))
    assert both.status_code in {403, 404}
    approver = await sign_in("supervisor", AREA)
    assert (await step(approver, asked.json(), "approve")).status_code == 200
    assert await builder(past.hub).build_next()
    file = f"/api/v1/exports/{asked.json()['id']}/file"
    assert (await approver.get(file)).status_code == 403
    assert (await member.get(file)).status_code == 200


async def test_what_is_asked_for_is_locked_until_it_is_refused(past: Past, sign_in: SignIn) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)

    async def locks() -> list[RecordingLock]:
        async with past.hub.database.read() as session:
            return list(await session.scalars(select(RecordingLock)))

    asked = (await ask(asker, span(past.camera_id, 0, 12))).json()
    (lock,) = await locks()
    assert (lock.camera_id, lock.from_at, lock.to_at, lock.ended_at) == (
        past.camera_id, BEGIN, BEGIN + timedelta(seconds=12), None)  # fmt: skip
    assert asked["number"] in lock.reason
    assert (await step(other, asked, "refuse", "no order")).status_code == 200
    assert (await locks())[0].ended_at is not None
    again = (await ask(asker, span(past.camera_id, 0, 12))).json()
    assert (await step(asker, again, "withdraw")).status_code == 200
    assert all(one.ended_at is not None for one in await locks())


@pytest.mark.faults
async def test_damaged_sources_are_said_and_lost_ones_make_no_export(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    disk = settings.recording_disks[0].path
    first, second, _ = (disk / one.path for one in past.segments)
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 0x01
    first.write_bytes(content)
    got = await built(past.hub, asker, other, span(past.camera_id, 0, 12))
    (tmp_path / "export.zip").write_bytes(got)
    manifest = check(tmp_path / "export.zip", LedgerKeys(settings.ledger_dir / "keys").public())
    states = [one["unchanged"] for one in manifest["recordings"][0]["segments"]]
    assert states == [False, True]
    assert manifest["recordings"][0]["segments"][0]["sha256_now"] == sha256(content).hexdigest()
    second.unlink()
    asked = (await ask(asker, span(past.camera_id, 0, 12))).json()
    assert (await step(other, asked, "approve")).status_code == 200
    assert await builder(past.hub).build_next()
    failed = (await asker.get(f"/api/v1/exports/{asked['id']}")).json()
    assert failed["state"] == "failed"
    assert "cannot be opened" in failed["failure"]
    assert not list(past.hub.exports.directory.glob("*.work"))


async def test_pictures_and_recordings_of_an_incident_go_together(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path
) -> None:
    incident_id = await make_incident(past.hub)
    async with past.hub.database.read() as session:
        area = (await past.hub.governance.incidents.get(session, incident_id)).area
    asker, other = await sign_in("supervisor", ""), await sign_in("supervisor", "")
    asked = await ask(asker, span(past.camera_id, 0, 6), incident_id=str(incident_id))
    assert asked.status_code == 201, asked.text
    export = asked.json()
    assert (export["pictures"], len(export["recordings"])) == (2, 1)
    assert area.startswith(export["area"])
    assert AREA.startswith(export["area"])
    assert (await step(other, export, "approve")).status_code == 200
    assert await builder(past.hub).build_next()
    got = await asker.get(f"/api/v1/exports/{export['id']}/file")
    assert got.status_code == 200, got.text
    (tmp_path / "export.zip").write_bytes(got.content)
    manifest = check(tmp_path / "export.zip", LedgerKeys(settings.ledger_dir / "keys").public())
    assert (len(manifest["pictures"]), len(manifest["recordings"])) == (2, 1)
    async with past.hub.database.read() as session:
        views = list(await session.scalars(select(ViewRecord)))
    assert len({view.camera_id for view in views if view.kind == "export"}) == 2


@pytest.mark.faults
async def test_a_disk_without_room_is_told_before_anything_is_written(
    past: Past, sign_in: SignIn, loop_disk: LoopDisk
) -> None:
    """With the sum of what is needed and of what there is; the blurred one is tried again."""
    past.hub.exports.directory = loop_disk.path
    before = sorted(path.name for path in loop_disk.path.iterdir())
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    for changes, state in (({}, "failed"), ({"rendition": "blurred"}, "requested")):
        asked = (await ask(asker, span(past.camera_id, 0, 12), **changes)).json()
        if not changes:
            assert (await step(other, asked, "approve")).status_code == 200
        assert await builder(past.hub).build_next()
        found = (await asker.get(f"/api/v1/exports/{asked['id']}")).json()
        assert found["state"] == state
        assert re.match(r"The export needs \d+\.\d MB on the disk", found["failure"])
        assert "0.0 MB of it can be used" in found["failure"]
        assert sorted(path.name for path in loop_disk.path.iterdir()) == before
