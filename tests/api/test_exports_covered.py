"""Pictures that leave covered, with the real detector, and those of a home under an alarm."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from access.ledger.keys import LedgerKeys
from analytics.detectors.client import InferenceClient
from analytics.redaction.cover import PEOPLE
from analytics.redaction.still_picture import read_picture, write_picture
from api.exports import builder
from api.hub import Hub
from camera_hub.devices.models import Camera
from core.ids import new_id
from core.settings import Settings
from governance.exports.package import check
from governance.signals.reading import read_signal
from governance.signals.types import CameraFacts
from tests.analytics.conftest import person_fall, person_picture
from tests.analytics.inference import InferenceProcess, client, inference
from tests.api.exports_kit import WISH, look, step
from tests.api.test_consent import Home, home
from tests.governance.support import attachment, picture
from tests.governance.support import signal as detection
from tests.support.http import SignIn
from tests.support.live import AREA, camera_server, reading, scene
from tests.support.waiting import until

__all__ = [
    "camera_server", "client", "home", "inference", "person_fall", "person_picture", "reading",
    "scene",
]  # fmt: skip


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Return how far the fine detail of two pictures agrees at these pixels, -1 to 1."""
    fine = []
    for image in (one, other):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
        fine.append((grey - cv2.GaussianBlur(grey, (0, 0), 2.0))[where])
    return float(np.corrcoef(fine[0], fine[1])[0, 1])


async def test_what_is_published_shows_nobody_and_holds_no_original(
    hub: Hub,
    settings: Settings,
    sign_in: SignIn,
    inference: InferenceProcess,
    client: InferenceClient,
    person_picture: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    """From the wish to the zip: the person is blurred, the place is not, no source is there."""
    if "car" not in client.describe().labels:
        pytest.skip("SKIPPED: no COCO model; set CAMERA_HUB_SHARED to the folder with models")
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    (settings.run_dir / "inference.sock").symlink_to(inference.socket_path)
    original = write_picture(person_picture)
    source = read_picture(original)
    rows = client.submit(source, deadline_ms=20_000).result()
    boxes = [
        tuple(int(v) for v in row[:4])
        for row in rows.tolist()
        if row[4] >= 0.4 and client.describe().label(int(row[5])) in PEOPLE
    ]
    assert boxes, "the detector finds the person in the test's picture"

    camera = Camera(
        id=new_id(), name="Gate", area=AREA, place_kind="public_space", source_kind="rtsp",
        address="rtsp://192.0.2.1/", enabled=False, created_at=hub.clock.now(),
    )  # fmt: skip
    raw = detection(camera_id=str(camera.id), attachments=[attachment(original)])
    checked = read_signal(raw, hub.clock.now())
    for _, found in checked.pictures:
        hub.governance.pictures.write(found)
    async with hub.database.transaction() as session:
        session.add(camera)
        await session.flush()
        receipt = await hub.governance.signals.intake(
            session, checked, camera=CameraFacts(name="Gate", area=AREA, household_id=None)
        )
    asks, agrees = await sign_in("operator", AREA), await sign_in("supervisor", AREA)
    wish = {**WISH, "incident_id": str(receipt.body.incident_id), "audience": "publication"}
    export = (await asks.post("/api/v1/exports", json=wish)).json()
    assert await builder(hub).build_next()
    seen = await look(agrees, export)
    assert (await step(agrees, export, "approve")).is_success
    assert await builder(hub).build_next()
    answer = await asks.get(f"/api/v1/exports/{export['id']}/file")
    assert answer.status_code == 200, answer.text

    (tmp_path / "got.zip").write_bytes(answer.content)
    assert check(tmp_path / "got.zip", LedgerKeys(hub.ledger.keys_dir).public())["redacted"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert sorted(n for n in files if n.startswith("pictures/")) == ["pictures/001.jpg"]
    assert files["pictures/001.jpg"] == seen[0]
    scan = original[len(original) // 2 :][:256]
    assert not [name for name, content in files.items() if scan in content]
    height, width = source.shape[:2]
    shown = read_picture(files["pictures/001.jpg"])[:height, :width]
    people = np.zeros((height, width), np.bool_)
    around = np.zeros((height, width), np.bool_)
    for x1, y1, x2, y2 in boxes:
        people[y1:y2, x1:x2] = True
        dx, dy = (x2 - x1) // 2, (y2 - y1) // 2
        around[max(0, y1 - dy) : y2 + dy, max(0, x1 - dx) : x2 + dx] = True
    covered, kept = likeness(shown, source, people), likeness(shown, source, ~around)
    assert covered < 0.2
    assert kept > 2 * max(covered, 0.2)


async def test_a_homes_picture_is_handed_out_while_its_alarm_is_open_and_not_after(
    home: Home, sign_in: SignIn
) -> None:
    """Whoever answers the alarm may have it, as long as alarm and consent live."""
    hub = home.scene.hub
    duty = await sign_in("duty_staff", AREA, at=home.scene.server)
    second = await sign_in("supervisor", AREA, at=home.scene.server)
    grant = await home.give(kind="alarm", on_detection=True)
    incident = await home.press(
        camera_id=str(home.scene.camera_id), attachments=[attachment(picture(640, 360))]
    )
    number = (await duty.get(f"/api/v1/incidents/{incident}")).json()["number"]
    wish = {**WISH, "incident_id": incident, "purpose": "incident", "reference": number}

    async def ask() -> int:
        return (await duty.post("/api/v1/exports", json=wish)).status_code

    assert await ask() == 403, "nobody has answered the alarm"
    await home.step(duty, incident, "acknowledge")
    asked = await duty.post("/api/v1/exports", json=wish)
    assert asked.status_code == 201, asked.text
    export = asked.json()
    assert (await step(duty, export, "approve")).status_code == 403
    assert (await step(second, export, "approve")).is_success
    file = f"/api/v1/exports/{export['id']}/file"

    async def built() -> bool:
        await builder(hub).build_next()
        return bool((await duty.get(f"/api/v1/exports/{export['id']}")).json()["state"] == "ready")

    await until(built)
    got = await duty.get(file)
    assert (got.status_code, got.content[:2]) == (200, b"PK")
    (record,) = [r for r in await home.scene.records() if r.kind == "export"]
    assert (str(record.grant_id), record.household_id) == (grant["id"], home.id)
    assert (await second.get(file)).status_code == 403

    assert (await home.member.post(f"/api/v1/grants/{grant['id']}/withdraw")).is_success
    assert (await duty.get(file)).status_code == 403
    assert await ask() == 403
    await home.give(kind="alarm", on_detection=True)
    assert (await duty.get(file)).status_code == 200
    await home.step(duty, incident, "close", note="False alarm.", resolution="false_alarm")
    assert (await duty.get(file)).status_code == 403
    assert await ask() == 403
