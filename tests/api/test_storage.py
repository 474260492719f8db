"""Disks and checks over HTTP, and faults of the storage in the queue."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from access.policy.types import Role
from api.hub import Hub
from api.recording_watch import RecordingWatch
from camera_hub.devices.models import Camera
from camera_hub.recording.index.schemas import SegmentIn
from core.clock import ManualClock
from core.ids import new_id
from core.settings import DatabaseSettings, ServerSettings, Settings
from core.settings_recording import DiskSettings, RecordingSettings
from tests.support.http import Client, SignIn
from tests.support.recorded import write_segment
from tests.support.waiting import until

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
AREA = "demo/riverside"
MB = 1_000_000
GB = 1000 * MB


@pytest.fixture
def settings(tmp_path: Path, hub_url: str) -> Settings:
    """Settings of a node with one disk that has a quota of 1 GB."""
    disk = DiskSettings(name="main", path=tmp_path / "disk", quota_gb=1, keep_free_gb=0)
    return Settings(
        data_dir=tmp_path / "data",
        database=DatabaseSettings(url=hub_url),
        server=ServerSettings(host="127.0.0.1", port=0, hosts=["testserver"]),
        recording=RecordingSettings(disks=[disk], warn_before_h=48),
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The disk, in use."""
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / ".camera-hub-disk").write_text("main\n")
    return folder


async def camera(hub: Hub, **values: Any) -> UUID:
    found = Camera(
        id=new_id(), name="Gate", source_kind="rtsp", address="rtsp://127.0.0.1:9/cam",
        created_at=hub.clock.now(), recording={"mode": "always"},
        **{"area": AREA, "place_kind": "shared_space", **values},
    )  # fmt: skip
    async with hub.database.transaction() as session:
        session.add(found)
    return found.id


async def record(
    hub: Hub, disk: Path, camera_id: UUID, *ages_h: float, size: int = 0
) -> list[SegmentIn]:
    made = []
    for number, age in enumerate(ages_h):
        at = hub.clock.now() - timedelta(hours=age)
        one = write_segment(disk, camera_id, at, sequence=number, seconds=1)
        made.append(one.model_copy(update={"bytes": size or one.bytes}))
    async with hub.database.transaction() as session:
        await hub.recordings.take(session, "test", made)
    return made


async def queue(duty: Client) -> list[tuple[str, str, bool]]:
    """Return kind, severity and whether it is open of each fault of the storage, oldest first."""
    items = (await duty.get("/api/v1/incidents?state=all")).json()["items"]
    found = [(one["opened_at"], one["kind"], one["severity"], one["state"]) for one in items]
    return [
        (kind, severity, state not in {"closed", "archived"})
        for _, kind, severity, state in sorted(found)
        if kind.startswith(("storage", "footage"))
    ]


@BOTH_STORES
async def test_the_storage_page_shows_disks_and_the_cameras_one_may_know_of(
    hub: Hub, sign_in: SignIn, disk: Path
) -> None:
    boss, admin = await sign_in(Role.SUPERVISOR, AREA), await sign_in(Role.ADMINISTRATOR)
    near, far = await camera(hub, retention_hours=240), await camera(hub, area="demo/hill")
    home = await camera(hub, place_kind="home")
    await record(hub, disk, near, 48, 24, 12, 1, size=50 * MB)
    for other in (far, home):
        await record(hub, disk, other, 2, size=10 * MB)
    body = (await boss.get("/api/v1/storage")).json()
    (main,) = body["disks"]
    assert (main["name"], main["state"], main["used"], main["quota"]) == (
        "main",
        "ok",
        220 * MB,
        GB,
    )
    assert main["free"] <= GB - main["used"]
    (use,) = body["cameras"]
    assert use["camera_id"] == str(near)
    # Two of its recordings were within the last day, and ten days of them do not fit.
    assert (use["bytes"], use["retention_h"], use["locked_bytes"]) == (200 * MB, 240, 0)
    assert 100 * MB <= use["per_day"] <= 220 * MB
    assert main["full_at"] is not None
    assert body["full_at"] == main["full_at"]
    known = {one["camera_id"] for one in (await admin.get("/api/v1/storage")).json()["cameras"]}
    # How much a home records says when somebody is there.
    assert known == {str(near), str(far)}
    assert str(home) not in known


async def test_a_disk_that_is_away_or_never_was_used_says_so(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    (main,) = (await admin.get("/api/v1/storage")).json()["disks"]
    assert (main["state"], main["reason"], main["full_at"]) == ("away", "not-used-yet", None)


@BOTH_STORES
async def test_a_check_runs_in_the_background_and_repairs(
    hub: Hub, sign_in: SignIn, disk: Path
) -> None:
    admin, local = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.ADMINISTRATOR, AREA)
    of = await camera(hub)
    files = await record(hub, disk, of, 3, 2)
    (disk / files[0].path).unlink()

    async def checked(**body: Any) -> dict[str, Any]:
        answer = await admin.post("/api/v1/storage/checks", json=body)
        assert answer.status_code == 202, answer.text
        url = f"/api/v1/storage/checks/{answer.json()['id']}"

        async def done() -> dict[str, Any] | None:
            found: dict[str, Any] = (await admin.get(url)).json()
            return found if found["state"] != "running" else None

        result: dict[str, Any] = await until(done)
        return result

    found = await checked(depth="size")
    assert (found["state"], found["found"]["missing"], found["done"]) == ("bad", 1, found["total"])
    assert found["found"]["missing_files"] == [f"main:{files[0].path}"]
    assert (await local.post("/api/v1/storage/checks", json={"repair": True})).status_code == 403
    found = await checked(repair=True)
    assert (found["state"], found["found"]["removed"]) == ("good", 1)
    duty = await sign_in(Role.DUTY_STAFF)
    assert await queue(duty) == [("footage_lost", "severe", True)]
    assert (await checked())["state"] == "good"
    assert await queue(duty) == [("footage_lost", "severe", False)]
    assert (await admin.get(f"/api/v1/storage/checks/{new_id()}")).status_code == 404
    assert (await admin.post("/api/v1/storage/checks", json={"depth": "deep"})).status_code == 422


@BOTH_STORES
async def test_a_disk_that_will_be_full_is_told_hours_before_and_it_ends_by_itself(
    hub: Hub, sign_in: SignIn, disk: Path, clock: ManualClock
) -> None:
    duty, watch = await sign_in(Role.DUTY_STAFF), RecordingWatch(hub)
    of = await camera(hub, retention_hours=2400)
    await record(hub, disk, of, *range(20, 0, -1), size=20 * MB)
    await watch.mind_the_room()
    # 400 MB of 1 GB, and 480 MB a day come: a day and a quarter.
    assert await queue(duty) == [("storage_full_soon", "moderate", True)]
    await watch.mind_the_room()
    assert len(await queue(duty)) == 1
    clock.advance(3600 * 20)
    await record(hub, disk, of, *range(19, 0, -1), size=20 * MB)
    clock.advance(601)
    await watch.mind_the_room()
    # It is near: worse, and the same incident.
    duty = await sign_in(Role.DUTY_STAFF)  # a session does not last so long
    assert await queue(duty) == [("storage_full_soon", "severe", True)]
    async with hub.database.transaction() as session:
        (await session.get_one(Camera, of)).retention_hours = 24
    clock.advance(601)
    await hub.recordings.sweep()
    clock.advance(601)
    await watch.mind_the_room()
    assert await queue(duty) == [("storage_full_soon", "severe", False)]


@BOTH_STORES
async def test_a_full_disk_of_what_must_be_kept_is_a_fault(
    hub: Hub, sign_in: SignIn, disk: Path, clock: ManualClock
) -> None:
    duty, watch = await sign_in(Role.DUTY_STAFF), RecordingWatch(hub)
    of = await camera(hub)
    files = await record(hub, disk, of, 3, 2, 1, size=330 * MB)
    boss = await sign_in(Role.SUPERVISOR, AREA)
    body = {
        "camera_id": str(of), "from": (clock.now() - timedelta(hours=4)).isoformat(),
        "to": clock.now().isoformat(), "reason": "A theft",
        "expires_at": (clock.now() + timedelta(days=3)).isoformat(),
    }  # fmt: skip
    locked = await boss.post("/api/v1/recordings/locks", json=body)
    await watch.mind_the_room()
    assert await queue(duty) == [("storage_full", "severe", True)]
    assert all((disk / one.path).exists() for one in files)
    # Somebody decides: the lock ends, the oldest goes, and there is room.
    await boss.delete(f"/api/v1/recordings/locks/{locked.json()['id']}")
    await watch.mind_the_room()
    assert await queue(duty) == [("storage_full", "severe", False)]
    assert [(disk / one.path).exists() for one in files] == [False, True, True]
