"""Copies for publication: made with a real detector, looked at by a second person, then packed."""

import asyncio
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import numpy as np
import pytest
from sqlalchemy import select

from access.ledger.keys import LedgerKeys
from access.ledger.models import LedgerEntry
from access.views.models import ViewRecord
from api.exports import builder
from api.hub import Hub
from core.clock import ManualClock
from core.settings import Settings
from governance.exports.package import check
from tests.analytics.conftest import person_fall
from tests.analytics.inference import InferenceProcess, inference
from tests.api.exports_kit import incident_id, look, step, wish
from tests.api.playbacks_kit import AREA, MASKS, Past, at_home, past
from tests.api.test_exports_recordings import ask, probe, span
from tests.support.http import Client, SignIn

__all__ = ["at_home", "incident_id", "inference", "past", "person_fall"]


@pytest.fixture
def detector(inference: InferenceProcess, settings: Settings) -> Iterator[InferenceProcess]:
    """The hub's inference process, running."""
    if inference.process is None:
        inference.start()
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    (settings.run_dir / "inference.sock").symlink_to(inference.socket_path)
    yield inference
    if inference.process is None:
        inference.start()


async def state(client: Client, export: dict[str, Any]) -> dict[str, Any]:
    found = (await client.get(f"/api/v1/exports/{export['id']}")).json()
    assert isinstance(found, dict)
    return found


async def until_prepared(hub: Hub, client: Client, export: dict[str, Any]) -> dict[str, Any]:
    """Build until there is something to look at: a detector that starts may be late."""
    async with asyncio.timeout(60):
        while not (found := await state(client, export))["prepared"]:
            await builder(hub).build_next()
            hub.clock.advance(60)  # type: ignore[attr-defined]
    return found


async def ledger(hub: Hub) -> list[str]:
    query = select(LedgerEntry.kind).where(LedgerEntry.kind.startswith("export."))
    async with hub.database.read() as session:
        return list(await session.scalars(query.order_by(LedgerEntry.seq)))


async def test_a_blurred_copy_is_looked_at_before_it_leaves(
    past: Past, sign_in: SignIn, settings: Settings, tmp_path: Path, detector: InferenceProcess
) -> None:
    hub = past.hub
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    third = await sign_in("supervisor", AREA)
    asked = await ask(asker, span(past.camera_id, 0, 4), audience="publication")
    assert asked.status_code == 201, asked.text
    export = asked.json()
    assert (export["rendition"], export["prepared"], export["ahead"]) == ("blurred", False, 0)
    early = await step(other, export, "approve")
    assert (early.status_code, early.json()["code"]) == (409, "not-prepared")
    early = await other.post(f"/api/v1/exports/{export['id']}/previews")
    assert (early.status_code, early.json()["code"]) == (409, "not-prepared")

    found = await until_prepared(hub, other, export)
    assert (found["state"], found["progress"], found["ahead"]) == ("requested", 100, None)
    assert found["allowed"] == ["preview", "refuse", "withdraw"]
    blind = await step(other, export, "approve")
    assert (blind.status_code, blind.json()["code"]) == (409, "not-looked-at")
    first = f"/api/v1/exports/{export['id']}/previews/1"
    assert (await other.get(first)).json()["code"] == "not-looked-at"
    assert (await asker.post(f"/api/v1/exports/{export['id']}/previews")).status_code == 403
    async with hub.database.read() as session:
        assert not list(await session.scalars(select(ViewRecord)))

    opened = await other.post(f"/api/v1/exports/{export['id']}/previews")
    assert opened.status_code == 201
    # To be told what there is to look at is not to look.
    assert (await step(other, export, "approve")).json()["code"] == "not-looked-at"
    (seen,) = await look(other, export)
    part = await other.get(first, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    async with hub.database.read() as session:
        records = list(await session.scalars(select(ViewRecord)))
    assert {(one.kind, one.redacted, one.account_id) for one in records} == {
        ("export", True, other.account_id)
    }
    # That one has looked is not that another has.
    assert (await step(third, export, "approve")).json()["code"] == "not-looked-at"
    assert (await third.get(first)).json()["code"] == "not-looked-at"
    assert (await step(other, export, "approve")).status_code == 200
    assert await builder(hub).build_next()
    got = await asker.get(f"/api/v1/exports/{export['id']}/file")
    assert got.status_code == 200, got.text
    path = tmp_path / "export.zip"
    path.write_bytes(got.content)
    manifest = check(path, LedgerKeys(settings.ledger_dir / "keys").public())
    assert (manifest["rendition"], manifest["evidence"], manifest["sound"]) == (
        "blurred", False, False,
    )  # fmt: skip
    (clip,) = manifest["recordings"]
    assert clip["rendition"] == "blurred"
    assert "played_back" not in clip
    assert clip["segments"][0]["sha256_when_recorded"] == past.segments[0].sha256
    (film,) = clip["files"]
    made = clip["redaction"]
    assert made["model"]
    assert made["covered"] + made["blurred_whole"] == film["frames"] == 100
    with zipfile.ZipFile(BytesIO(got.content)) as archive:
        assert archive.read("recordings/1.mp4") == seen
        assert "no evidence" in archive.read("README.en.txt").decode()
    (tmp_path / "film.mp4").write_bytes(seen)
    (stream,) = probe(tmp_path / "film.mp4")["streams"]
    assert (stream["codec_name"], int(stream["nb_read_frames"])) == ("h264", 100)
    original = (settings.recording_disks[0].path / past.segments[0].path).read_bytes()
    assert original[5000:5040] not in got.content
    assert await ledger(hub) == [
        "export.requested", "export.prepared", "export.previewed", "export.previewed",
        "export.approved", "export.ready", "export.downloaded",
    ]  # fmt: skip
    await builder(hub).sweep()
    assert [p.name for p in hub.exports.directory.iterdir()] == [f"{export['id']}.zip"]

    (key,) = (settings.ledger_dir / "keys").glob("*.pub")
    command = ["camera-hub", "--data-dir", str(tmp_path), "evidence", "verify", str(path)]
    done = await asyncio.to_thread(
        subprocess.run, [*command, "--key", str(key)], capture_output=True, text=True,
        env={"PATH": str(Path(sys.executable).parent), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no evidence" in done.stdout
    assert made["model"] in done.stdout


async def test_masks_hold_and_new_ones_have_it_made_anew(
    past: Past, sign_in: SignIn, detector: InferenceProcess
) -> None:
    hub = past.hub
    await past.change(masks=MASKS)
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    asked = await ask(asker, span(past.camera_id, 0, 2), rendition="blurred")
    export = asked.json()
    await until_prepared(hub, other, export)
    (seen,) = await look(other, export)
    with av.open(BytesIO(seen), mode="r") as container:
        for frame in container.decode(video=0):
            left = frame.to_ndarray(format="rgb24")[:, :150]
            assert np.abs(left.astype(int) - 24).max() < 24
    await past.change(masks=[])
    first = f"/api/v1/exports/{export['id']}/previews/1"
    assert (await other.get(first)).json()["code"] == "not-prepared"
    again = await other.post(f"/api/v1/exports/{export['id']}/previews")
    assert (again.status_code, again.json()["code"]) == (409, "not-prepared")
    assert not (await state(other, export))["prepared"]
    await until_prepared(hub, other, export)
    assert (await step(other, export, "approve")).json()["code"] == "not-looked-at"
    (after,) = await look(other, export)
    assert after != seen
    assert (await step(other, export, "approve")).status_code == 200


@pytest.mark.faults
async def test_nothing_is_made_without_a_detector_and_it_is_tried_again(
    past: Past, sign_in: SignIn, clock: ManualClock, inference: InferenceProcess, settings: Settings
) -> None:
    """Away before, and killed while it looks: no picture is there, words are, then it goes on."""
    hub = past.hub
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = (await ask(asker, span(past.camera_id, 0, 6), audience="subject")).json()
    assert await builder(hub).build_next()
    found = await state(asker, export)
    assert (found["state"], found["prepared"], found["progress"]) == ("requested", False, 0)
    assert "cannot be covered" in found["failure"]
    assert not await builder(hub).build_next()
    clock.advance(61)
    if inference.process is None:
        inference.start()
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    (settings.run_dir / "inference.sock").symlink_to(inference.socket_path)
    building = asyncio.create_task(builder(hub).build_next())
    folder = hub.exports.prepared_path(UUID(export["id"])).with_suffix(".work")
    async with asyncio.timeout(30):
        while not folder.exists():
            await asyncio.sleep(0.01)
    inference.kill()
    assert await building
    assert "cannot be covered" in (await state(asker, export))["failure"]
    assert not list(hub.exports.directory.iterdir())
    inference.start()
    found = await until_prepared(hub, asker, export)
    assert found["failure"] == ""
    assert len(await look(other, export)) == 1


async def test_pictures_wait_for_the_detector_and_for_a_look_as_well(
    hub: Hub, sign_in: SignIn, incident_id: UUID
) -> None:
    """For publication with no detector at hand nothing is there, and nothing can be approved."""
    operator, supervisor = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    for audience in ("publication", "subject"):
        export = await wish(operator, incident_id, audience=audience)
        assert (await step(supervisor, export, "approve")).json()["code"] == "not-prepared"
        assert await builder(hub).build_next()
        seen = await state(operator, export)
        assert seen["state"] == "requested"
        assert "cannot be covered" in seen["failure"]
        assert (await operator.get(f"/api/v1/exports/{export['id']}/file")).status_code == 409
        withdrawn = await step(operator, export, "withdraw")
        assert withdrawn.json()["state"] == "withdrawn"
    assert not list(hub.exports.directory.glob("*"))


async def test_what_was_looked_at_is_what_leaves(
    past: Past, sign_in: SignIn, detector: InferenceProcess
) -> None:
    """Another file in its place, after the look and before the zip, is not handed out."""
    hub = past.hub
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    export = (await ask(asker, span(past.camera_id, 0, 2), audience="publication")).json()
    await until_prepared(hub, other, export)
    await look(other, export)
    assert (await step(other, export, "approve")).status_code == 200
    film = hub.exports.prepared_path(UUID(export["id"])) / "recordings" / "1.mp4"
    film.write_bytes(film.read_bytes()[:-1] + b"x")
    assert await builder(hub).build_next()
    found = await state(asker, export)
    assert found["state"] == "failed"
    assert "looked at" in found["failure"]
    await builder(hub).sweep()
    assert not list(hub.exports.directory.iterdir())


async def test_a_home_is_shown_to_the_second_person_where_its_household_wishes(
    at_home: tuple[Past, Client], sign_in: SignIn, detector: InferenceProcess
) -> None:
    past, member = at_home
    hub = past.hub
    other, administrator = await sign_in("supervisor", AREA), await sign_in("administrator", "")
    export = (await ask(member, span(past.camera_id, 0, 9), audience="publication")).json()
    await until_prepared(hub, member, export)
    path = f"/api/v1/exports/{export['id']}/previews"
    assert (await administrator.post(path)).status_code == 403
    assert (await member.post(path)).status_code == 403
    await look(other, export)
    async with hub.database.read() as session:
        views = list(await session.scalars(select(ViewRecord)))
    assert [(view.account_id, view.redacted) for view in views] == [(other.account_id, True)]
    assert (await step(other, export, "refuse", "the neighbour's door")).status_code == 200
    await builder(hub).sweep()
    assert not list(hub.exports.directory.iterdir())


async def test_raw_ones_come_before_those_that_are_to_be_looked_at(
    past: Past, sign_in: SignIn
) -> None:
    asker, other = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    blurred = (await ask(asker, span(past.camera_id, 0, 2), audience="publication")).json()
    raw = (await ask(asker, span(past.camera_id, 0, 2))).json()
    assert (blurred["ahead"], raw["ahead"]) == (0, None)
    assert (await step(other, raw, "approve")).json()["ahead"] == 0
    assert (await state(asker, blurred))["ahead"] == 1
    assert await builder(past.hub).build_next()
    assert (await state(asker, raw))["state"] == "ready"
    assert (await state(asker, blurred))["ahead"] == 0
