"""A camera that says what it sees, from its socket to the incident: no part is a stand-in."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from access.policy.types import Role
from app.api_process import SERVICE_SCOPES
from app.media_process import MediaWorker
from camera_hub.simulator.quirks import Quirk
from camera_hub.simulator.site import SimulatedSite, VirtualCamera
from camera_hub.simulator.words import Walk
from camera_hub.streams import frames
from core.clock import SystemClock
from core.settings import Settings
from tests.support.http import Client, LiveServer, ServiceClient, SignIn
from tests.support.waiting import until

AREA = "demo/riverside"
STANDS = (Walk("Human", ((0.0, (0.5, 0.8)), (600.0, (0.5, 0.8))), period_s=600.0),)
ZONE = {
    "name": "Yard",
    "polygon": [[0.2, 0.2], [0.9, 0.2], [0.9, 1.0], [0.2, 1.0]],
    "rules": [{"kind": "intrusion"}],
}


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@dataclass
class Node:
    """A hub, a media worker of it, and a camera that nobody has added yet."""

    camera: VirtualCamera
    admin: Client
    worker: MediaWorker

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "name": "Gate", "area": AREA, "place_kind": "shared_space", "source_kind": "onvif",
            "address": self.camera.onvif.address, "username": self.camera.username,
            "password": self.camera.password, "recording": {"mode": "off"}, **more,
        }  # fmt: skip

    async def add(self, **more: Any) -> str:
        made = await self.admin.post("/api/v1/cameras", json=self.body(**more))
        assert made.status_code == 201, made.text
        camera_id = str(made.json()["id"])
        zones = {"version": 0, "zones": [ZONE]}
        drawn = await self.admin.put(f"/api/v1/cameras/{camera_id}/zones", json=zones)
        assert drawn.status_code == 200, drawn.text
        return camera_id

    async def read(self, camera_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.admin.get(f"/api/v1/cameras/{camera_id}")).json()
        return found

    async def set(self, camera_id: str, **change: Any) -> Any:
        version = (await self.read(camera_id))["version"]
        body = {"version": version, **change}
        return await self.admin.patch(f"/api/v1/cameras/{camera_id}", json=body)


@pytest.fixture
async def node(
    tmp_path: Path,
    mp4_file: Path,
    settings: Settings,
    server: LiveServer,
    sign_in: SignIn,
    service_client: ServiceClient,
) -> AsyncIterator[Node]:
    token = await service_client(SERVICE_SCOPES, at=server)
    own = settings.model_copy(update={"data_dir": tmp_path / "worker"})
    own.run_dir.mkdir(parents=True, mode=0o700)
    (own.run_dir / "service.token").write_text(
        token.headers["Authorization"].removeprefix("Bearer ")
    )
    site = SimulatedSite(
        work_dir=tmp_path / "clips", clock=SystemClock(), footage=mp4_file, cameras=1
    )
    stop = asyncio.Event()
    async with site:
        for tracks in site.cameras[0].words.values():
            for track in tracks:
                track.script = STANDS
        worker = MediaWorker(own, "media-0", SystemClock(), server.url)
        running = asyncio.create_task(worker.run(stop))
        admin = await sign_in(Role.ADMINISTRATOR, at=server)
        yield Node(site.cameras[0], admin, worker)
        stop.set()
        await running


async def test_what_a_camera_sees_is_an_incident_with_a_picture_and_nothing_else_is_decoded(
    node: Node, sign_in: SignIn, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(frames.FrameDecoder, "__init__", lambda self, **_: made.append(self))
    camera_id = await node.add(analysed_by="camera")
    # It was told to, in the stream that is always read and in no other.
    main, sub = node.camera.onvif.profiles
    assert (main.metadata, sub.metadata, sub.analytics) == (False, True, True)
    assert node.camera.onvif.sends_analytics
    duty = await sign_in(Role.DUTY_STAFF, AREA, at=server)

    async def incidents() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await duty.get("/api/v1/incidents")).json()["items"]
        return found

    (found,) = await until(incidents)
    assert (found["kind"], found["camera_id"]) == ("intrusion", camera_id)
    whole = (await duty.get(f"/api/v1/incidents/{found['id']}")).json()
    assert [one["media_type"] for one in whole["attachments"]] == ["image/jpeg"]
    assert "metadata" not in str(whole).lower()
    described = await until(lambda: _analysed(node, camera_id))
    assert described["analysed_by"] == "camera"
    assert described["status"]["state"] == "online"
    assert made == []


async def _analysed(node: Node, camera_id: str) -> dict[str, Any] | None:
    described = await node.read(camera_id)
    return described if described["status"]["frames_analysed"] else None


async def test_who_looks_is_chosen_changed_and_refused_where_the_camera_cannot(node: Node) -> None:
    camera_id = await node.add()
    assert (await node.read(camera_id))["analysed_by"] == "hub"
    node.camera.onvif.quirks = {Quirk.NO_METADATA}
    refused = await node.set(camera_id, analysed_by="camera")
    assert (refused.status_code, refused.json()["code"]) == (409, "no-metadata")
    assert refused.json()["remedy"]
    assert (await node.read(camera_id))["analysed_by"] == "hub"
    refused = await node.admin.post(
        "/api/v1/cameras", json=node.body(name="Other", analysed_by="camera")
    )
    assert refused.json()["code"] == "no-metadata"
    node.camera.onvif.quirks = {Quirk.METADATA_NOT_TAKEN}
    refused = await node.set(camera_id, analysed_by="camera")
    assert refused.json()["code"] == "no-metadata"
    node.camera.onvif.quirks = set()
    assert (await node.set(camera_id, analysed_by="camera")).json()["analysed_by"] == "camera"
    await until(lambda: _analysed(node, camera_id))

    async def has_a_codec() -> bool:
        return (await node.read(camera_id))["status"]["codec"] == "h264"

    await until(has_a_codec)
    # Looked at by the hub again: the picture is decoded, and the camera's words are not asked for.
    assert (await node.set(camera_id, analysed_by="hub")).status_code == 200
    asked = len(node.camera.onvif.asked)
    await until(lambda: _decodes(node))
    # Its events are listened to as before.
    assert not [one for one in node.camera.onvif.asked[asked:] if "Configuration" in one]


def _decodes(node: Node) -> bool:
    cameras = node.worker._runtime._cameras.values()
    return any(one.decoder is not None and one.decoder.decoded for one in cameras)


async def test_a_plain_stream_tells_where_it_offers_to(node: Node) -> None:
    rtsp = {"source_kind": "rtsp", "address": node.camera.rtsp_url}
    refused = await node.admin.post("/api/v1/cameras", json=node.body(**rtsp, analysed_by="camera"))
    assert refused.json()["code"] == "no-metadata"
    device = node.camera.onvif
    device.sends_analytics = True
    device.profiles = [replace(one, metadata=True, analytics=True) for one in device.profiles]
    camera_id = await node.add(**rtsp, analysed_by="camera")
    await until(lambda: _analysed(node, camera_id))
