"""What somebody with a little access would try, over the real application."""

import asyncio
import base64
import json
import os
import socket
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import event

from access.policy.types import Role
from analytics.rules.signal import fault_signal
from api import app as application
from api.hub import Hub
from core.clock import ManualClock
from governance.incidents.models import Incident
from tests.governance.support import attachment, picture, rows, signal
from tests.support.http import Client, LiveServer, ServiceClient, SignIn

POSTGRESQL = pytest.mark.parametrize("hub_url", ["postgresql"], indirect=True)
EVENT = {"Content-Type": "application/cloudevents+json"}
CAMERA: dict[str, Any] = {
    "name": "Gate", "area": "demo/a", "source_kind": "rtsp", "probe": False,
    "address": "rtsp://viewer:s3cret@127.0.0.1:9/cam",
}  # fmt: skip


async def add(admin: Client, **more: Any) -> dict[str, Any]:
    made = await admin.post("/api/v1/cameras", json=CAMERA | more)
    assert made.status_code == 201, made.text
    camera: dict[str, Any] = made.json()
    return camera


async def post(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/api/v1/signals", content=orjson.dumps(body), headers=EVENT)
    assert answer.status_code == 201, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


async def test_a_worker_token_of_one_area_gets_no_camera_password(
    sign_in: SignIn, service_client: ServiceClient
) -> None:
    await add(await sign_in(Role.ADMINISTRATOR), area="demo/b")
    beat = {"pid": 1, "address": "unix:/run/x.sock"}
    url = "/api/v1/workers/mine/heartbeat"
    local = await service_client(["worker.heartbeat"], "demo/a")
    refused = await local.post(url, json=beat)
    assert refused.status_code == 403
    assert "s3cret" not in refused.text
    whole = await service_client(["worker.heartbeat"])
    assert "s3cret" in (await whole.post(url, json=beat)).text


@pytest.mark.parametrize(
    "address", ["rtsp://127.0.0.1:10/cam", "rtsps://127.0.0.1:9/cam", "rtsp://127.0.0.2:9/cam"]
)
async def test_a_stored_password_stays_with_scheme_host_and_port(
    sign_in: SignIn, address: str
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"/api/v1/cameras/{(await add(admin))['id']}"
    move = {"version": 1, "address": address, "probe": False}
    refused = await admin.patch(url, json=move)
    assert (refused.status_code, refused.json()["code"]) == (422, "password-needed")
    assert "password" in refused.json()["remedy"]
    other_path = {"version": 1, "address": "rtsp://127.0.0.1:9/other", "probe": False}
    assert (await admin.patch(url, json=other_path)).status_code == 200
    moved = await admin.patch(url, json=move | {"version": 2, "password": "n3w"})
    assert moved.status_code == 200


@pytest.mark.parametrize(
    "type_", ["org.camerahub.process.failed", "org.camerahub.spool.trouble", "org.example.smoke"]
)
async def test_a_token_of_one_area_neither_joins_nor_ends_an_incident_of_another(
    hub: Hub, service_client: ServiceClient, type_: str
) -> None:
    ours = await service_client(["signal.post"], "demo/a")
    theirs = await service_client(["signal.post"], "demo/b")
    about = {"ce_type": type_, "ce_source": "/node", "ce_subject": "media-0", "event_key": ""}
    opened = await post(ours, signal(**about, camera_id=None, area="demo/a"))
    same = await post(ours, signal(**about, camera_id=None, area="demo/a"))
    assert same["incident_id"] == opened["incident_id"]
    forged = signal(
        **about, camera_id=None, area="demo/b", phase="ended", severity="Extreme",
        attachments=[attachment(picture())],
    )  # fmt: skip
    assert (await post(theirs, forged))["incident_id"] is None
    (incident,) = await rows(hub.database, Incident)
    assert (incident.state, incident.signal_count) == ("reported", 2)
    assert incident.severity != "extreme"


async def test_a_picture_of_a_camera_cannot_hide_in_an_incident_of_none(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient
) -> None:
    """Every signal of an incident is about its camera, so that each picture seen is recorded."""
    camera = await add(await sign_in(Role.ADMINISTRATOR))
    client = await service_client(["signal.post"], "demo/a")
    about = {"ce_type": "org.example.smoke", "ce_source": "/s", "event_key": "k", "area": "demo/a"}
    first = await post(client, signal(**about, camera_id=None))
    second = await post(
        client, signal(**about, camera_id=camera["id"], attachments=[attachment(picture())])
    )
    assert second["incident_id"] != first["incident_id"]


@POSTGRESQL
async def test_texts_that_no_line_can_show_are_refused(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await add(admin)
    url = f"/api/v1/cameras/{camera['id']}"
    for field in ("name", "username", "password", "main_profile", "sub_profile"):
        for text in ("a\0b", "a\nb", "a\x1b[31mb", "a\u202eb"):
            made = await admin.post("/api/v1/cameras", json=CAMERA | {field: text})
            assert (made.status_code, made.json()["errors"][0]["field"]) == (422, field)
            assert "s3cret" not in made.text
            if not field.endswith("profile"):
                changed = await admin.patch(url, json={"version": 1, field: text})
                assert changed.status_code == 422
    unknown = await admin.post("/api/v1/cameras", json=CAMERA | {"main_profile": "other"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "no-such-profile")


@POSTGRESQL
async def test_a_text_that_grows_when_normalised_is_measured_then(
    service_client: ServiceClient,
) -> None:
    client = await service_client(["signal.post"])
    for field, length in (("headline", 300), ("zone_name", 200), ("event_key", 200)):
        # NFC writes this musical note as three characters.
        body = signal(**{field: "\U0001d160" * length})
        answer = await client.post("/api/v1/signals", content=orjson.dumps(body), headers=EVENT)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == f"data.{field}"
    longest = signal(
        ce_type="t" * 200, ce_source="s" * 200, event_key="k" * 200, area="a" * 200, camera_id=None
    )
    await post(client, longest)


@POSTGRESQL
async def test_a_forged_cursor_is_refused(sign_in: SignIn) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    nobody = "00000000-0000-0000-0000-000000000000"
    forged: list[tuple[Client, str, list[Any]]] = [
        (admin, "/api/v1/accounts?", ["a\0b"]),
        (duty, "/api/v1/incidents?", [2**40, "2026-01-01T00:00:00+00:00", nobody]),
        (duty, "/api/v1/incidents?", [1, "0001-01-01T00:00:00+14:00", nobody]),
        (duty, "/api/v1/incidents?state=all&", ["9999-12-31T23:59:59-14:00", nobody]),
    ]
    for client, path, values in forged:
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
        answer = await client.get(f"{path}cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-cursor"), values


@POSTGRESQL
async def test_what_a_camera_says_never_silences_its_worker(
    sign_in: SignIn, service_client: ServiceClient, hub: Hub
) -> None:
    camera = await add(await sign_in(Role.ADMINISTRATOR))
    worker = await service_client(["worker.heartbeat"])
    status = {
        "camera_id": camera["id"], "state": "stalled", "reason_code": "error",
        "reason": "The camera says: \0\x1b]0;x\a", "since": hub.clock.now().isoformat(),
    }  # fmt: skip
    beat = {"pid": 1, "address": "unix:/x", "cameras": [status]}
    url = "/api/v1/workers/w/heartbeat"
    answer = await worker.post(url, json=beat)
    assert answer.status_code == 200, answer.text
    shown = (await (await sign_in(Role.DUTY_STAFF)).get(f"/api/v1/cameras/{camera['id']}")).json()
    assert shown["status"]["reason"].isprintable()
    for wrong in ({"pid": 2**70}, {"spool_depth": 2**70}, {"address": "unix:/\0"}):
        assert (await worker.post(url, json=beat | wrong)).status_code == 422


async def test_a_body_that_never_ends_is_cut_off(
    hub: Hub, service_client: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "BODY_WITHIN_S", 0.2)
    token = (await service_client(["signal.post"])).headers["Authorization"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = LiveServer(hub, listener)
        await server.start()
        for path in ("/api/v1/sessions", "/api/v1/signals"):
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                head += f"Authorization: {token}\r\nContent-Type: application/json\r\n\r\n{{"
                writer.write(head.encode())
                answer = await reader.read()
                writer.close()
            assert b" 408 " in answer.splitlines()[0], answer
            assert b'"code":"too-slow"' in answer
        await server.stop()


async def test_a_receipt_is_not_given_for_a_database_that_was_removed(
    hub: Hub, service_client: ServiceClient
) -> None:
    """SQLite would write on into a file that nothing names, and all of it would be lost."""
    client = await service_client(["signal.post"])
    await post(client, signal())
    path = Path(str(hub.database.url.database))
    kept = path.with_name("kept.db")
    os.link(path, kept)
    path.unlink()
    for _ in range(2):
        answer = await client.post("/api/v1/signals", json=signal(), headers=EVENT)
        assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
        assert (await client.get("/api/v1/health/ready")).status_code == 503
        path.write_bytes(b"")
    path.unlink()
    kept.rename(path)
    await post(client, signal())


async def test_a_database_that_cannot_be_written_is_no_fault_of_the_sender(
    hub: Hub, service_client: ServiceClient
) -> None:
    client = await service_client(["signal.post"])

    def forbid(connection: Any, _record: Any) -> None:
        # What a file system mounted read-only makes of it.
        connection.execute("PRAGMA query_only=ON").close()

    event.listen(hub.database.engine.sync_engine, "connect", forbid)
    await hub.database.engine.dispose()
    answer = await client.post("/api/v1/signals", json=signal(), headers=EVENT)
    assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
    assert "written" in answer.json()["detail"]


async def test_names_of_any_kind_never_make_a_detection_unreadable(
    sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    """What the hub takes as names, it takes again when a worker puts them into a signal."""
    admin, client = await sign_in(Role.ADMINISTRATOR), await service_client(["signal.post"])
    note = "\U0001d160"  # three characters once normalised
    for name, status in ((note * 120, 422), (note * 40, 201), ("é" * 120, 201)):
        made = await admin.post("/api/v1/cameras", json=CAMERA | {"name": name})
        assert made.status_code == status
    url = f"/api/v1/cameras/{made.json()['id']}/zones"
    zone = {"polygon": [[0, 0], [1, 0], [1, 1]]}
    for name, status in ((note * 100, 422), (note * 33, 200)):
        put = await admin.put(url, json={"version": 0, "zones": [zone | {"name": name}]})
        assert put.status_code == status
    for headline in (f"{note * 120} is offline: \0\x1b[0m\n" + note * 200, "a\u202eb"):
        fault = fault_signal(
            clock, source="/w", kind="process.failed", phase="started", event_key="k",
            headline=headline, subject=str(len(headline)),
        )  # fmt: skip
        await post(client, fault)
