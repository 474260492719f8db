"""Outages from states and signals, and how a camera and an area were doing in a month."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.policy.types import Role
from analytics.rules.signal import FaultKind, fault_signal
from analytics.rules.types import Phase
from api.camera_health import OutageWatch
from api.hub import Hub
from camera_hub.devices import outages
from camera_hub.devices.models import CameraOutage
from core.clock import ManualClock
from tests.api.test_workers import AREA, add_camera, beat, report
from tests.support.http import Client, ServiceClient, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 10, 4, 0, tzinfo=UTC))


async def noted(hub: Hub) -> list[tuple[str, bool]]:
    async with hub.database.read() as session:
        rows = await session.scalars(select(CameraOutage).order_by(CameraOutage.started_at))
        return [(row.kind, row.ended_at is None) for row in rows]


async def tell(
    poster: Client, clock: ManualClock, camera_id: str, kind: FaultKind, phase: Phase
) -> None:
    signal = fault_signal(
        clock, source="/workers/media-0", kind=kind, phase=phase, event_key=f"{camera_id}:x",
        headline="As it is", subject=camera_id, area=AREA, camera_id=camera_id,
    )  # fmt: skip
    answer = await poster.post("/api/v1/signals", json=signal)
    assert answer.status_code in (200, 201, 202), answer.text


async def health(client: Client, camera_id: str, **query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/cameras/{camera_id}/health", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@BOTH_STORES
async def test_a_camera_that_was_away_a_quarter_of_the_time(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, worker = await sign_in(Role.ADMINISTRATOR), await service_client(["worker.heartbeat"])
    camera_id = await add_camera(admin)
    await beat(worker, report(clock, camera_id, "connecting"))
    assert await noted(hub) == []  # it has only begun
    await beat(worker, report(clock, camera_id))
    clock.advance(1800)
    await beat(worker, report(clock, camera_id, "stalled"))
    assert await noted(hub) == [("stalled", True)]
    clock.advance(900)
    await beat(worker, report(clock, camera_id))
    assert await noted(hub) == [("stalled", False)]
    clock.advance(900)
    found = await health(admin, camera_id)
    assert found["month"] == "2026-03"
    assert found["availability"] == found["usable"] == 0.75
    assert found["recorded"] == 0
    (outage,) = found["outages"]
    assert outage["kind"] == "stalled"
    assert outage["to"] is not None
    assert {gap["reason"] for gap in found["gaps"]} >= {"offline"}
    (area,) = (await admin.get("/api/v1/areas/health")).json()
    assert (area["area"], area["cameras"], area["outages"]) == (AREA, 1, 1)
    assert area["availability"] == 0.75


@BOTH_STORES
async def test_faults_of_pictures_come_from_signals_however_often_they_are_read(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, poster = await sign_in(Role.ADMINISTRATOR), await service_client(["signal.post"])
    camera_id = await add_camera(admin)
    watch = OutageWatch(hub)
    await tell(poster, clock, camera_id, "camera.covered", "started")
    await watch.look()
    assert await noted(hub) == [("covered", True)]
    clock.advance(600)
    await tell(poster, clock, camera_id, "camera.covered", "continuing")
    await tell(poster, clock, camera_id, "camera.covered", "ended")
    clock.advance(600)
    for _ in range(2):
        await watch.look()
        await OutageWatch(hub).look()  # as after a kill
        assert await noted(hub) == [("covered", False)]
    found = await health(admin, camera_id)
    assert (found["availability"], found["usable"]) == (1.0, 0.5)
    assert found["outages"][0]["incident_id"]


async def test_other_months_and_what_is_none(hub: Hub, sign_in: SignIn, clock: ManualClock) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera_id = await add_camera(admin)
    assert hub.clock is clock
    for month in ("2026-02", "2026-04"):
        found = await health(admin, camera_id, month=month)
        assert (found["availability"], found["outages"], found["gaps"]) == (None, [], [])
    answer = await admin.get(f"/api/v1/cameras/{camera_id}/health", params={"month": "2026-13"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-month")
    assert (await admin.get("/api/v1/areas/health", params={"area": "demo/far"})).json() == []


async def test_a_stranger_learns_nothing_of_a_camera(
    hub: Hub, sign_in: SignIn, clock: ManualClock
) -> None:
    camera_id = await add_camera(await sign_in(Role.ADMINISTRATOR))
    stranger = await sign_in(Role.DUTY_STAFF, area="demo/hillside")
    assert (await stranger.get(f"/api/v1/cameras/{camera_id}/health")).status_code == 404
    assert (await stranger.get("/api/v1/areas/health")).json() == []
    assert hub.clock is clock


def test_outages_that_overlap_count_once() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)

    def row(kind: str, begin_h: float, end_h: float | None) -> CameraOutage:
        return CameraOutage(
            camera_id=UUID(int=1),
            kind=kind,
            started_at=start + timedelta(hours=begin_h),
            ended_at=None if end_h is None else start + timedelta(hours=end_h),
        )

    rows = [row("offline", -5, 2), row("stalled", 1, 3), row("black", 2, 4), row("clock", 0, 9),
            row("covered", 9, None)]  # fmt: skip
    found = outages.sum_up(rows, start, start + timedelta(hours=10))
    assert found is not None
    assert (found.available, found.usable) == (0.7, 0.5)
    assert outages.sum_up(rows, start, start) is None


@BOTH_STORES
async def test_outages_are_forgotten_after_two_years(hub: Hub, clock: ManualClock) -> None:
    camera = UUID(int=1)
    async with hub.database.transaction() as session:
        for days, kind in ((800, "black"), (700, "moved")):
            at = clock.now() - timedelta(days=days)
            await outages.begin(session, camera, kind, at)  # type: ignore[arg-type]
            await outages.end(session, camera, {kind}, at)  # type: ignore[arg-type]
        await outages.begin(session, camera, "frozen", clock.now() - timedelta(days=900))
        await outages.forget_old(session, clock.now())
    assert await noted(hub) == [("frozen", True), ("moved", False)]
