"""Looks after recordings: deletes what is to go, keeps what incidents show, tells of full disks."""

from datetime import datetime, timedelta

from analytics.rules.signal import Severity, StorageFault, fault_signal
from analytics.rules.types import Phase
from api import recording_rows
from api.hub import Hub
from api.only_one import OnlyOne
from camera_hub.devices import homes
from camera_hub.recording.index.checking import CheckReport
from camera_hub.recording.index.locks import LockedCamera, LockWanted
from camera_hub.recording.index.storage import Survey
from governance.incidents import repository as incidents
from governance.signals.reading import ReadSignal, read_signal

SOURCE = "/storage"
LOOK_EVERY_S = 10.0
ROOM_EVERY_S = 30.0
WITHDRAWN_EVERY_S = 60.0
SWEEP_EVERY_S = 3600.0
SETTLES_S = 600.0
"""After a start nothing is deleted by age: the clock of a machine may be wrong until it was set."""
_NEVER_S = 86_400.0
_AT_ONCE = 100
# Any numbers that nothing else in this database locks.
_SWEEPING = 0x6368_7273
_CHECKING = 0x6368_7263


async def watch_recordings(hub: Hub) -> None:
    """Look after recordings until cancelled; one process of a site does."""
    only, watch = OnlyOne(hub.database, _SWEEPING), RecordingWatch(hub)
    try:
        while True:
            if await only.is_me():
                await watch.look()
            await hub.clock.sleep(LOOK_EVERY_S)
    finally:
        await only.release()


async def check_recordings(hub: Hub) -> None:
    """Compare index and disks every `recording.check_every_h` hours; 0 is never.

    What the disks have and the index lacks is indexed. What is missing is told, and stays in the
    index until a person says otherwise.
    """
    every_s = hub.settings.recording.check_every_h * 3600
    only, faults = OnlyOne(hub.database, _CHECKING), Faults(hub)
    try:
        while True:
            # Not at the start: that is when everything else begins, too.
            await hub.clock.sleep(every_s or _NEVER_S)
            if every_s and await only.is_me():
                await tell_of_lost(faults, await hub.recordings.check("presence", adopt=True))
    finally:
        await only.release()


async def tell_of_lost(faults: "Faults", report: CheckReport) -> None:
    """Tell of recordings that a check has missed, or that none is missing any more.

    Those also that a repair has taken out of the index: a later check closes the incident.
    """
    await faults.tell(
        "storage.lost",
        "storage:lost",
        f"{report.missing} recorded files are missing from the disks" if report.missing else "",
        severity="severe",
        detail={"missing": report.missing, "taken out of the index": report.removed},
    )


class Faults:
    """Tells of faults of the storage: when one begins, gets worse, and ends."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._told: dict[str, Severity | None] = {}

    async def tell(
        self,
        kind: StorageFault,
        key: str,
        trouble: str,
        *,
        severity: Severity = "moderate",
        detail: dict[str, object] | None = None,
    ) -> None:
        """Report `trouble`, or its end where it is empty; say nothing that was said already.

        What was told before this process began is unknown: the first end is told only where an
        incident waits for it.
        """
        wanted = severity if trouble else None
        if key in self._told and self._told[key] == wanted:
            return
        running = self._told.get(key) is not None
        phase: Phase = "ended" if not trouble else "continuing" if running else "started"
        raw = fault_signal(
            self._hub.clock,
            source=SOURCE,
            kind=kind,
            phase=phase,
            event_key=key,
            headline=trouble or "The storage of recordings is well again",
            severity=severity,
            subject="storage",
            area=self._hub.settings.site.area,
            detail=detail,
        )
        signal = read_signal(raw, self._hub.clock.now())
        if trouble or running or await self._is_open(signal):
            async with self._hub.database.transaction() as session:
                await self._hub.governance.signals.intake(session, signal, camera=None)
        self._told[key] = wanted

    async def _is_open(self, signal: ReadSignal) -> bool:
        async with self._hub.database.read() as session:
            return await incidents.is_open_with_key(session, signal.event.dedup_key)


class RecordingWatch:
    """What is done every few seconds, minutes and hours."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._faults = Faults(hub)
        self._last: dict[str, float] = {}
        self._began = hub.clock.monotonic()

    async def look(self) -> None:
        """Do what is due."""
        await self.keep_incidents()
        if self._due("room", ROOM_EVERY_S):
            await self.mind_the_room()
        if self._hub.clock.monotonic() - self._began < SETTLES_S:
            return
        if self._due("sweep", SWEEP_EVERY_S):
            await self._hub.recordings.sweep()
            self._last["withdrawn"] = self._hub.clock.monotonic()
        elif self._due("withdrawn", WITHDRAWN_EVERY_S):
            await self._expire()
            await self._hub.recordings.sweep(only_withdrawn=True)

    async def keep_incidents(self) -> None:
        """Lock what shows an incident, and let go what was a test or a false alarm."""
        hub, days = self._hub, self._hub.settings.recording.incident_lock_days
        now = hub.clock.now()
        async with hub.database.read() as session:
            wanted = await recording_rows.to_keep(session, now, _AT_ONCE) if days else []
            over = await recording_rows.to_let_go(session, _AT_ONCE)
        if not wanted and not over:
            return
        async with hub.database.transaction() as session:
            for kept in wanted:
                camera = await homes.also_deleted(session, kept.camera_id)
                if camera is None or camera.deleted_at is not None:
                    continue
                await hub.recordings.locks.keep_incident(
                    session,
                    LockedCamera(camera.id, camera.name, camera.area),
                    kept.id,
                    LockWanted(
                        start=kept.first_at,
                        end=kept.last_at,
                        reason=kept.number,
                        expires_at=now + timedelta(days=days),
                        incident_id=kept.id,
                    ),
                )
            for incident_id, area in over:
                await hub.recordings.locks.end_incident(session, incident_id, area)

    async def mind_the_room(self) -> None:
        """Make room where it is short, and tell when there is none, or soon will be none."""
        hub = self._hub
        await hub.recordings.make_room()
        async with hub.database.read() as session:
            survey = await hub.recordings.survey(session)
        await self._tell_of_room(survey)

    async def _tell_of_room(self, survey: Survey) -> None:
        there = [disk for disk in survey.disks if disk.state != "away"]
        full = bool(there) and all(disk.state == "full" for disk in there)
        names = ", ".join(disk.name for disk in there)
        await self._faults.tell(
            "storage.full",
            "storage:full",
            f"No disk has room for recordings ({names}), and nothing on them may be deleted"
            if full
            else "",
            severity="severe",
        )
        left = None if survey.full_at is None else survey.full_at - self._hub.clock.now()
        before = timedelta(hours=self._hub.settings.recording.warn_before_h)
        soon = left is not None and left <= before and not full
        await self._faults.tell(
            "storage.full-soon",
            "storage:full-soon",
            f"The disks of recordings will be full on {self._local(survey.full_at)}"
            if soon and survey.full_at is not None
            else "",
            severity="severe" if left is not None and left <= before / 4 else "moderate",
            detail=None
            if survey.full_at is None
            else {"full_at": survey.full_at.isoformat(), "disks": names},
        )

    def _local(self, at: datetime) -> str:
        return at.astimezone(self._hub.settings.site.zone).strftime("%Y-%m-%d %H:%M")

    async def _expire(self) -> None:
        if self._hub.recordings.sweeper.clock_jumped():
            return  # an end that is written stays when the clock comes back
        async with self._hub.database.transaction() as session:
            await self._hub.recordings.locks.expire(session)

    def _due(self, what: str, every_s: float) -> bool:
        now = self._hub.clock.monotonic()
        if now - self._last.get(what, float("-inf")) < every_s:
            return False
        self._last[what] = now
        return True
