"""What cameras themselves notice: listened to here, told to the queue and to the recorders.

One task for each enabled ONVIF camera. Motion opens no incident: it says that an event recording
is to go on (`Motions`). Tampering and input contacts are signals. One camera's troubles are its
own task's; what cannot be stored is kept and tried again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal
from uuid import UUID

from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError

from analytics.rules.signal import FaultKind, fault_signal
from api.hub import Hub
from api.intake import take_in
from api.only_one import OnlyOne
from camera_hub.devices import repository
from camera_hub.devices.address import parse_address
from camera_hub.devices.events import CameraEvent
from camera_hub.devices.listening import Listener
from camera_hub.devices.models import Camera
from camera_hub.devices.onvif import off_by
from core.errors import HubError
from core.logging import get_logger
from core.secrets import SecretBoxError
from governance.incidents import repository as incidents
from governance.signals.reading import ReadSignal, read_signal

SOURCE = "/api/camera-events"
LOOK_EVERY_S = 5.0
SETTLE_S = 10.0
"""A state that flutters is told at most so often, and then as it is at that moment."""
CLOCK_OFF_S = 5.0
"""A camera's clock further off than this misdates its events, and some refuse what is signed."""
MOST_STATES = 32
"""Inputs and rules remembered for one camera."""
_LOCK = 0x63616D6576656E74  # "camevent"
_RESTART_S = 30.0

StateKind = Literal["tamper", "input", "clock"]
_KINDS: dict[StateKind, FaultKind] = {
    "tamper": "camera.tampered",
    "input": "camera.input",
    "clock": "camera.clock",
}
_log = get_logger("api.camera_events")
_listening = Gauge("camera_hub_event_subscriptions", "Cameras whose events are listened to")
_told = Counter("camera_hub_camera_events_total", "States that cameras have told", ["kind"])
_failed = Counter("camera_hub_event_listener_failures_total", "Listeners that failed unexpectedly")


@dataclass
class _Said:
    """A state of one camera: what it is, what the queue was told, and when (monotonic)."""

    active: bool
    told: bool | None = None
    told_at: float = float("-inf")


@dataclass
class _Listened:
    """A camera that is listened to."""

    id: UUID
    name: str
    area: str
    version: int
    listener: Listener
    task: asyncio.Task[None] | None = None
    states: dict[tuple[StateKind, str], _Said] = field(default_factory=dict)
    offset_s: float = 0.0
    noted_s: float | None = None


class CameraEvents:
    """Listens to all cameras that it should, in the one process that does."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._motions = hub.devices.motions
        self._only = OnlyOne(hub.database, _LOCK)
        self._cameras: dict[UUID, _Listened] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled."""
        due = 0.0
        try:
            while True:
                if self._hub.clock.monotonic() >= due:
                    due = self._hub.clock.monotonic() + LOOK_EVERY_S
                    await self._look()
                await self._tell()
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._news.wait()
        finally:
            await self._stop(list(self._cameras.values()))
            await self._only.release()

    async def _look(self) -> None:
        """Begin and end listening as cameras come, change and go."""
        wanted: dict[UUID, Camera] = {}
        if await self._only.is_me():
            async with self._hub.database.read() as session:
                cameras = await repository.enabled(session)
            wanted = {camera.id: camera for camera in cameras if camera.source_kind == "onvif"}
        gone = [
            one
            for one in self._cameras.values()
            if one.id not in wanted or wanted[one.id].version != one.version
        ]
        kept = {one.id: one.states for one in gone}
        await self._stop(gone)
        for camera in wanted.values():
            if camera.id not in self._cameras:
                self._begin(camera, kept.get(camera.id, {}))
            self._see_note(camera)
        _listening.set(sum(one.listener.state == "open" for one in self._cameras.values()))

    def _see_note(self, camera: Camera) -> None:
        """Take over how a clock runs that was read elsewhere, above all where it has been set."""
        one = self._cameras.get(camera.id)
        if one is None or camera.clock_offset_s == one.noted_s:
            return
        one.noted_s = camera.clock_offset_s
        if one.noted_s is not None:
            self._take_time(one.id, one.noted_s)

    def _begin(self, camera: Camera, states: dict[tuple[StateKind, str], _Said]) -> None:
        devices = self._hub.devices
        try:
            address = parse_address("onvif", camera.address, devices.prober.reach)
            address = replace(
                address, username=camera.username, password=devices.password_of(camera)
            )
        except (HubError, SecretBoxError) as error:
            _log.warning("camera_not_listened_to", camera=str(camera.id), reason=str(error))
            return
        listener = Listener(
            address,
            self._hub.clock,
            tell=partial(self._take, camera.id),
            lost=partial(self._motions.forget, camera.id),
            time_read=partial(self._take_time, camera.id),
        )
        one = _Listened(camera.id, camera.name, camera.area, camera.version, listener)
        one.states, one.noted_s = states, camera.clock_offset_s
        one.task = asyncio.create_task(self._listen(one), name=f"events-{camera.id}")
        self._cameras[camera.id] = one

    async def _listen(self, one: _Listened) -> None:
        while True:
            try:
                await one.listener.run()
            except Exception as error:  # noqa: BLE001  # the top of a supervised loop: counted, tried again
                _failed.inc()
                _log.error("listener_failed", camera=str(one.id), error=repr(error), exc_info=error)
            await self._hub.clock.sleep(_RESTART_S)

    async def _stop(self, gone: Iterable[_Listened]) -> None:
        tasks = []
        for one in gone:
            self._cameras.pop(one.id, None)
            self._motions.forget(one.id)
            if one.task is not None:
                one.task.cancel()
                tasks.append(one.task)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, camera_id: UUID, events: Sequence[CameraEvent]) -> None:
        """Take note of what a camera tells; the queue is told of it in `_tell`."""
        one = self._cameras.get(camera_id)
        if one is None:
            return
        for event in events:
            _told.labels(event.kind).inc()
            if event.kind == "motion":
                self._motions.note(camera_id, event.name, event.active)
                continue
            self._set(one, event.kind, event.name if event.kind == "input" else "", event.active)
        self._news.set()

    def _take_time(self, camera_id: UUID, offset_s: float) -> None:
        one = self._cameras.get(camera_id)
        if one is not None:
            one.offset_s = offset_s
            self._set(one, "clock", "", abs(offset_s) > CLOCK_OFF_S)
            self._news.set()

    def _set(self, one: _Listened, kind: StateKind, name: str, active: bool) -> None:
        said = one.states.get((kind, name))
        if said is not None:
            said.active = active
        elif len(one.states) < MOST_STATES:
            one.states[kind, name] = _Said(active)

    async def _tell(self) -> None:
        """Tell the queue of states that have changed; a store that is away hears it later."""
        now = self._hub.clock.monotonic()
        due = [
            (one, key, said)
            for one in self._cameras.values()
            for key, said in one.states.items()
            if said.active is not said.told and now - said.told_at >= SETTLE_S
        ]
        for one, key, said in due:
            active = said.active
            signal = self._signal(one, *key, active=active)
            try:
                if active or said.told or await self._is_open(signal):
                    await take_in(self._hub, None, [signal])
            except (HubError, SQLAlchemyError, OSError) as error:
                _log.warning("camera_event_not_stored", camera=str(one.id), reason=repr(error))
                return
            said.told, said.told_at = active, now

    async def _is_open(self, signal: ReadSignal) -> bool:
        """Say whether an incident waits for this end, from before this process started."""
        async with self._hub.database.read() as session:
            return await incidents.is_open_with_key(session, signal.event.dedup_key)

    def _signal(self, one: _Listened, kind: StateKind, name: str, *, active: bool) -> ReadSignal:
        if kind == "clock":
            off = off_by(one.offset_s) if active else "right again"
            headline = f"The clock of {one.name} is {off}"
        elif kind == "tamper":
            what = "says that it is being tampered with" if active else "is no longer tampered with"
            headline = f"{one.name} {what}"
        else:
            headline = f"Input '{name}' of {one.name} {'is active' if active else 'is at rest'}"
        raw = fault_signal(
            self._hub.clock,
            source=SOURCE,
            kind=_KINDS[kind],
            phase="started" if active else "ended",
            event_key=f"{one.id}:{kind}:{name}",
            headline=headline,
            severity="severe" if kind == "tamper" else "moderate",
            subject=f"{one.id}:{kind}:{name}"[:200],
            area=one.area,
            camera_id=str(one.id),
            detail={"input": name} if kind == "input" else None,
        )
        return read_signal(raw, self._hub.clock.now())
