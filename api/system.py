"""What runs on this site: version, media workers, detector, what became of signals."""

from datetime import datetime
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel

from access.jurisdictions.schemas import Text
from access.policy.types import Actor
from api.alarm_doors import AlarmDoorsOut, describe_doors
from api.door import permit
from api.hub import HubDep
from camera_hub.devices.facts import broken_rules
from camera_hub.devices.heartbeat_schemas import (
    DetectorReport,
)
from governance.beats import repository as beat_rows
from governance.signals import repository as signal_rows

router = APIRouter(tags=["system"])
VERSION = version("camera-hub")

WORKER_SOURCES = "/workers/"


class WorkerOut(BaseModel):
    """A media worker as it reported last."""

    name: str
    alive: bool
    last_seen_at: datetime
    cameras: int
    spool_depth: int


class SignalCountsOut(BaseModel):
    """Signals of the media workers.

    `emitted` by their pipelines and `rejected`, `lost` on the way, since each worker's process
    started; `stored` by the hub, ever.
    """

    emitted: int
    rejected: int
    lost: int
    stored: int


class LawStateOut(BaseModel):
    """The jurisdiction in force, and how many cameras of before do not keep to it."""

    name: str
    title: Text
    broken_cameras: int


class SystemOut(BaseModel):
    """The state of the site's processes; `inference` is null when no worker has a detector.

    `well_at` is when the hub last found that all its loops run and its store can be written; null
    where no dead man's switch is set up, or before its first look.
    """

    version: str
    site: str
    well_at: datetime | None
    workers: list[WorkerOut]
    inference: DetectorReport | None
    spool_depth: int
    signals: SignalCountsOut
    law: LawStateOut
    alarm_doors: AlarmDoorsOut


@router.get("/system")
async def read_system(
    hub: HubDep,
    _actor: Annotated[Actor, permit("system.read")],
) -> SystemOut:
    """Return what runs on this site."""
    reports = hub.devices.board.workers()
    beats = [report.heartbeat for report in reports]
    async with hub.database.read() as session:
        stored = await signal_rows.count_from(session, WORKER_SOURCES)
        broken = await broken_rules(session, hub.law, hub.settings.site)
        well_at = await beat_rows.read(session, "hub")
    return SystemOut(
        version=VERSION,
        site=hub.settings.site.name,
        well_at=well_at,
        workers=[
            WorkerOut(
                name=report.name,
                alive=hub.devices.board.alive(report),
                last_seen_at=report.at,
                cameras=len(report.heartbeat.cameras),
                spool_depth=report.heartbeat.spool_depth,
            )
            for report in reports
        ],
        inference=next((beat.detector for beat in beats if beat.detector), None),
        spool_depth=sum(beat.spool_depth for beat in beats),
        signals=SignalCountsOut(
            emitted=sum(beat.signals.emitted for beat in beats),
            rejected=sum(beat.signals.rejected for beat in beats),
            lost=sum(beat.signals.lost for beat in beats),
            stored=stored,
        ),
        law=LawStateOut(
            name=hub.law.name,
            title=hub.law.content.title,
            broken_cameras=len({camera.id for camera, _ in broken}),
        ),
        alarm_doors=describe_doors(hub),
    )
