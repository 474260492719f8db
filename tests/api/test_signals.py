"""`POST /api/v1/signals` over the real application, on both stores."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from PIL import Image
from sqlalchemy import event, func, select

from api.hub import Hub
from core.ids import new_id
from governance.attachments.store import PictureStore
from governance.incidents.models import Incident
from governance.signals.models import Signal
from tests.governance.support import AREA, attachment, count, picture, rows, signal
from tests.governance.test_alarms import alarm
from tests.support.http import LiveServer, ServiceClient, SignIn

BOTH = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
EVENT = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def poster(service_client: ServiceClient, **options: Any) -> httpx.AsyncClient:
    client = await service_client(["signal.post"], **options)
    client.headers.update(EVENT)
    return client


@BOTH
async def test_the_answer_is_201_and_then_200_with_the_same_body(
    service_client: ServiceClient, hub: Hub
) -> None:
    client = await poster(service_client)
    raw = signal(attachments=[attachment(picture())])
    first = await client.post("/api/v1/signals", content=orjson.dumps(raw))
    assert first.status_code == 201, first.text
    again = await client.post("/api/v1/signals", content=orjson.dumps(raw))
    assert again.status_code == 200
    assert again.json() == first.json()
    assert first.json()["id"] == raw["id"]
    assert first.json()["joined"] is False
    assert await count(hub.database, Incident) == 1

    changed = {**raw, "time": "2026-01-01T07:59:00Z"}
    refused = await client.post("/api/v1/signals", json=changed, headers=EVENT)
    assert refused.status_code == 409
    assert refused.json()["code"] == "signal-id-reused"


@BOTH
async def test_a_hundred_concurrent_posts_of_one_id_make_one_incident(
    service_client: ServiceClient, server: LiveServer, hub: Hub
) -> None:
    client = await poster(service_client, at=server)
    body = orjson.dumps(signal())
    answers = await asyncio.gather(
        *(client.post("/api/v1/signals", content=body) for _ in range(100))
    )
    assert sorted(a.status_code for a in answers) == [200] * 99 + [201]
    assert len({a.content for a in answers}) == 1
    assert await count(hub.database, Incident) == await count(hub.database, Signal) == 1


async def test_a_batch_answers_in_order_and_keeps_what_is_good(
    service_client: ServiceClient, hub: Hub
) -> None:
    client = await poster(service_client)
    good, twice = signal(), signal(zone_name="Roof")
    reused = {**good, "type": "com.example.other"}
    batch = [good, signal(severity="?"), twice, twice, "nonsense", reused]
    answer = await client.post("/api/v1/signals", json=batch, headers=BATCH)
    assert answer.status_code == 200
    items = answer.json()
    assert [item["status"] for item in items] == [201, 422, 201, 200, 422, 409]
    assert items[1]["errors"][0]["field"] == "data.severity"
    assert items[2]["incident_id"] == items[3]["incident_id"] != items[0]["incident_id"]
    assert items[5]["code"] == "signal-id-reused"
    assert await count(hub.database, Incident) == 2


async def test_a_wrong_signal_is_422_and_names_the_field(service_client: ServiceClient) -> None:
    client = await poster(service_client)
    answer = await client.post("/api/v1/signals", json=signal(severity="Huge"), headers=EVENT)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "invalid-signal"
    assert problem["errors"] == [
        {"field": "data.severity", "message": "must be one of Extreme, Severe, Moderate, Minor, Unknown"}  # noqa: E501
    ]  # fmt: skip
    for body in (b"", b"{", b"[]", b"7", b"\xff\xfe", b'{"a":1e999}', b"[" * 5000):
        answer = await client.post("/api/v1/signals", content=body)
        assert answer.status_code == 422, body[:20]
        assert answer.json()["remedy"]
    answer = await client.post(
        "/api/v1/signals", content=b"<xml/>", headers={"Content-Type": "text/xml"}
    )
    assert answer.status_code == 415


async def test_a_body_over_eight_megabytes_is_refused_while_it_arrives(
    service_client: ServiceClient, server: LiveServer, hub: Hub
) -> None:
    client = await poster(service_client, at=server)

    async def endless() -> Any:
        for _ in range(200):
            yield b" " * 64 * 1024

    try:
        answer = await client.post("/api/v1/signals", content=endless())
        assert answer.status_code == 413
        assert answer.json()["code"] == "too-large"
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        pass  # the server has answered and hung up before the client had sent all
    assert await count(hub.database, Signal) == 0


async def test_a_token_of_one_area_cannot_post_into_another(
    service_client: ServiceClient, hub: Hub
) -> None:
    client = await poster(service_client, area="demo/hillside")
    answer = await client.post("/api/v1/signals", json=signal(), headers=EVENT)
    assert answer.status_code == 403
    assert await count(hub.database, Signal) == 0


async def test_only_who_may_post_signals_does(
    service_client: ServiceClient, sign_in: SignIn, client: httpx.AsyncClient
) -> None:
    assert (await client.post("/api/v1/signals", json=signal())).status_code == 401
    other = await service_client(["metrics.read"])
    assert (await other.post("/api/v1/signals", json=signal())).status_code == 403
    staff = await sign_in("duty_staff", AREA)
    assert (await staff.post("/api/v1/signals", json=signal())).status_code == 403


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a picture", id="text"),
        pytest.param(picture()[: len(picture()) // 2], id="half a JPEG"),
        pytest.param(picture(fmt="GIF"), id="GIF"),
        pytest.param(picture(fmt="PNG"), id="PNG that says it is JPEG"),
        pytest.param(picture(20_000, 2_000), id="20,000 pixels wide"),
    ],
)
async def test_what_is_no_picture_is_refused_and_nothing_is_kept(
    service_client: ServiceClient, hub: Hub, content: bytes
) -> None:
    client = await poster(service_client)
    answer = await client.post(
        "/api/v1/signals", json=signal(attachments=[attachment(content)]), headers=EVENT
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "data.attachments.0"
    assert await count(hub.database, Signal) == 0
    assert not list(hub.settings.attachments_dir.rglob("*"))


async def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    service_client: ServiceClient,
) -> None:
    # A PNG of 50,000 x 50,000 pixels in a few hundred bytes.
    bomb = bytearray(picture(8, 8, "PNG"))
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    client = await poster(service_client)
    answer = await client.post(
        "/api/v1/signals",
        json=signal(attachments=[attachment(bytes(bomb), "image/png")]),
        headers=EVENT,
    )
    assert answer.status_code == 422
    assert "pixels" in answer.json()["detail"]


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A real file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    directory = Path(tempfile.mkdtemp(prefix="camera-hub-full-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)], check=False
    )
    if done.returncode != 0:
        directory.rmdir()
        pytest.skip("this machine does not allow mounting a tmpfs")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)
    directory.rmdir()


@pytest.mark.faults
async def test_a_full_disk_is_a_clear_error_and_nothing_is_committed(
    service_client: ServiceClient, hub: Hub, full_disk: Path
) -> None:
    hub.governance = hub.governance.__class__(
        **{**vars(hub.governance), "pictures": PictureStore(full_disk)}
    )
    client = await poster(service_client)
    noisy = signal(attachments=[attachment(_noise(400, 300), "image/png")])
    answer = await client.post("/api/v1/signals", json=noisy, headers=EVENT)
    assert answer.status_code == 507
    assert answer.json()["code"] == "storage-full"
    assert "full" in answer.json()["detail"]
    assert await count(hub.database, Signal) == await count(hub.database, Incident) == 0
    assert not [p for p in full_disk.rglob("*") if p.is_file()]

    # Room again: the same signal, sent again, is stored.
    subprocess.run(["mount", "-o", "remount,size=8m", str(full_disk)], check=True)
    answer = await client.post("/api/v1/signals", json=noisy, headers=EVENT)
    assert answer.status_code == 201
    assert await count(hub.database, Incident) == 1


def _noise(width: int, height: int) -> bytes:
    out = BytesIO()
    Image.frombytes("RGB", (width, height), os.urandom(width * height * 3)).save(out, "PNG")
    return out.getvalue()


_LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
"""


@pytest.mark.faults
async def test_sqlite_locked_for_five_seconds_loses_nothing(
    service_client: ServiceClient, hub: Hub, server: LiveServer
) -> None:
    client = await poster(service_client, at=server)
    locker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LOCKER, str(hub.database.url.database), "5",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert locker.stdout is not None
    assert await locker.stdout.readline() == b"locked\n"
    raws = [signal(zone_name=f"zone {n}") for n in range(5)]
    answers = await asyncio.gather(
        *(client.post("/api/v1/signals", json=raw, headers=EVENT) for raw in raws)
    )
    assert await locker.wait() == 0
    assert [a.status_code for a in answers] == [201] * 5
    assert await count(hub.database, Incident) == 5


def _impatient(connection: Any, _record: Any) -> None:
    connection.cursor().execute("PRAGMA busy_timeout=50")


@pytest.mark.faults
async def test_sqlite_locked_for_too_long_is_a_clear_503_and_a_retry_succeeds(
    service_client: ServiceClient, hub: Hub
) -> None:
    client = await poster(service_client)
    raw = signal()
    # The hub's connections wait 15 s in earnest; here they give up at once.
    await hub.database.engine.dispose()
    event.listen(hub.database.engine.sync_engine, "connect", _impatient)
    other = sqlite3.connect(str(hub.database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = await client.post("/api/v1/signals", json=raw, headers=EVENT)
    other.execute("ROLLBACK")
    other.close()
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "store-busy"
    assert answer.json()["remedy"]
    again = await client.post("/api/v1/signals", json=raw, headers=EVENT)
    assert again.status_code == 201
    assert await count(hub.database, Signal) == 1


async def test_an_areas_token_rehearses_an_alarm_and_only_what_the_household_bound_raises_one(
    service_client: ServiceClient, hub: Hub
) -> None:
    async with hub.database.transaction() as session:
        home = await hub.households.create(session, None, name="Flat 1204", area=AREA)
        other = await hub.households.create(session, None, name="Flat 1205", area=AREA)
    sensor = await service_client(["signal.post"], AREA)
    button = await service_client(["signal.post", "alarm.press"], AREA, household_id=home.id)

    async def press(client: httpx.AsyncClient, household: Any, status: str) -> tuple[int, str]:
        raw = alarm(household, status=status)
        answer = await client.post("/api/v1/signals", json=raw, headers=EVENT)
        return answer.status_code, answer.json().get("detail", "")

    refused, why = await press(sensor, home.id, "Actual")
    assert (refused, "alarm.press" in why) == (403, True)
    assert (await press(button, other.id, "Actual"))[0] == 403
    assert await count(hub.database, Incident) == 0
    assert (await press(sensor, home.id, "Exercise"))[0] == 201
    assert (await press(sensor, home.id, "Exercise"))[0] == 201
    assert (await press(sensor, home.id, "Test"))[0] == 201
    assert (await press(button, home.id, "Actual"))[0] == 201
    # The exercises have not joined each other, nor anything else.
    assert await count(hub.database, Incident) == 4


async def test_a_signal_of_an_unknown_area_is_refused_with_the_nearest_and_a_fault_is_heard(
    service_client: ServiceClient, hub: Hub
) -> None:
    async with hub.database.transaction() as session:
        await hub.governance.areas.add(session, None, path="demo", name="Demo", level=None)
    client = await poster(service_client)
    raw = signal(ce_type="com.example.smoke", camera_id=None, area="dmo")
    answer = await client.post("/api/v1/signals", json=raw)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-area")
    assert "demo" in answer.json()["remedy"]
    fault = signal(ce_type="org.camerahub.process.failed", camera_id=None, area="dmo")
    assert (await client.post("/api/v1/signals", json=fault)).status_code == 201
    assert await count(hub.database, Signal) == 1


async def test_who_posted_is_kept_with_the_signal(service_client: ServiceClient, hub: Hub) -> None:
    client = await service_client(["signal.post"])
    await client.post("/api/v1/signals", json=signal(ce_id=str(new_id())), headers=EVENT)
    [stored] = await rows(hub.database, Signal)
    assert stored.posted_by == client.account_id
    async with hub.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Incident)) == 1
