"""A media worker: some cameras, read, shown and watched. It knows no database.

Everything it must know comes down with the heartbeat's answer; everything it finds goes up out
of its spool. Without the api it goes on with its last assignment.
"""

import asyncio
import contextlib
import functools
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from analytics.detectors.client import InferenceClient
from analytics.pipeline.host import AnalyticsHost
from analytics.redaction.painters import painters
from analytics.rules.signal import Signal
from analytics.spool.poster import SignalPoster
from analytics.spool.store import Spool
from app.inference_process import SOCKET_NAME
from app.process import Pulse, stop_on_signals
from app.recording_faults import RecordingFaults
from app.worker_token import token_reader
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.worker_server import MediaServer
from camera_hub.recording.disks import DiskReport
from camera_hub.recording.sending import Answer, read_answer
from camera_hub.recording.service import CameraRecording, Recordings
from camera_hub.streams.reach import Reach
from camera_hub.streams.types import AssignedCamera, StreamStatus
from core.clock import Clock, SystemClock
from core.logging import get_logger
from core.settings import Settings

HEARTBEAT_EVERY_S = 1.0
# A change of state is told at once, but no more often than this.
HEARTBEAT_LEAST_S = 0.1
LAST_WORDS_S = 2.0
"""A worker that ends tells the hub of its last recordings for so long; then their markers wait."""

log = get_logger("app.media")


class MediaWorker:
    """Joins reading, live view, analytics and the hub in one process."""

    def __init__(self, settings: Settings, name: str, clock: Clock, hub_url: str) -> None:
        self._settings = settings
        self._name = name
        self._clock = clock
        self._token = token_reader(settings)
        self._client = httpx.AsyncClient(base_url=hub_url, timeout=10)
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._detector = InferenceClient(settings.run_dir / SOCKET_NAME, clock)
        people_suffice = settings.analytics.redact_people_only
        self._runtime = MediaRuntime(
            clock=clock,
            settings=settings.media,
            reach=Reach.of(settings),
            on_change=self._on_change,
            on_metadata=self._on_metadata,
            painters=painters(self._detector, clock, people_suffice=people_suffice),
        )
        self._server = MediaServer(self._runtime, settings.run_dir / f"{name}.sock")
        self._spool = Spool(settings.spool_dir / name)
        self._poster = SignalPoster(
            self._spool,
            clock,
            base_url=hub_url,
            token=self._token,
            source=f"/workers/{name}",
            area=settings.site.area,
        )
        self._recordings = Recordings(
            self._runtime,
            settings.recording,
            settings.recording_disks,
            clock=clock,
            data_dir=settings.data_dir,
            site=settings.site.name,
            zone=settings.site.zone,
            post=self._post_segments,
            loop=self._loop,
        )
        self._host = AnalyticsHost(
            self._detector,
            self._emit,
            clock=clock,
            settings=settings,
            time_zone=settings.site.zone,
            worker=name,
            on_motion=self._recordings.motion,
        )
        self._faults = RecordingFaults(
            clock, self._emit, settings.data_dir / "state" / f"{name}-recording.json", name
        )
        self._emitted = 0
        self._revision: str | None = None
        self._assigned: dict[UUID, AssignedCamera] = {}
        self._hub_away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what is not posted by then waits in the spool."""
        await self._server.start()
        self._poster.start()
        self._recordings.start()
        sending = asyncio.create_task(self._recordings.sender.run())
        try:
            while not stop.is_set():
                await self._heartbeat()
                await self._pause(stop)
        finally:
            await asyncio.to_thread(self._recordings.finish)
            await self._recordings.sender.drain(LAST_WORDS_S)
            sending.cancel()
            await self._server.close()
            await asyncio.to_thread(self._close)
            await self._client.aclose()

    def _close(self) -> None:
        self._host.close()
        self._recordings.close()
        self._runtime.stop()
        self._detector.close()
        self._poster.close()

    def _emit(self, signal: Signal) -> bool:
        self._emitted += 1
        return self._spool.put(signal)

    def _on_change(self, camera_id: UUID, status: StreamStatus) -> None:
        """Take a camera's new state, on a thread of its reader."""
        self._host.observe(camera_id, status)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to tell
            self._loop.call_soon_threadsafe(self._changed.set)

    def _on_metadata(self, camera_id: UUID, document: bytes, at_s: float, at: datetime) -> None:
        """Take what a camera says that it sees, on a thread of its reader."""
        self._host.told(camera_id, document, at_s, at)

    async def _pause(self, stop: asyncio.Event) -> None:
        """Wait for the next heartbeat: a second, or a moment when a state changed."""
        await asyncio.sleep(HEARTBEAT_LEAST_S)
        waiters = [asyncio.create_task(e.wait()) for e in (self._changed, stop)]
        await asyncio.wait(waiters, timeout=HEARTBEAT_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        self._changed.clear()

    async def _heartbeat(self) -> None:
        statuses = self._runtime.statuses()
        for camera_id, status in statuses.items():
            self._host.observe(camera_id, status)
        recordings, disks = self._recordings.cameras(), self._recordings.disk_reports()
        self._faults.observe(self._assigned, statuses, recordings, disks)
        token = self._token()
        if not token:
            return  # the api makes it at its first start and will be there in a moment
        try:
            answer = await self._client.post(
                f"/api/v1/workers/{self._name}/heartbeat",
                json=self._report(statuses, recordings, disks),
                headers={"Authorization": f"Bearer {token}"},
            )
            answer.raise_for_status()
            body = answer.json()
            cameras = body["cameras"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            if not self._hub_away:
                log.warning("the hub does not answer; going on without it", reason=str(error))
            self._hub_away = True
            return
        if self._hub_away:
            log.info("the hub answers again")
        self._hub_away = False
        for camera_id in body.get("moving") or ():
            # The camera says itself that something moves.
            self._recordings.motion(UUID(camera_id), self._clock.now())
        for camera_id in body.get("asked") or ():
            self._recordings.ask(UUID(camera_id))
        for camera_id in body.get("turned") or ():
            self._host.turned(UUID(camera_id))
        for camera_id in body.get("retuned") or ():
            self._host.retuned(UUID(camera_id))
        if cameras is not None:
            await asyncio.to_thread(self._apply, cameras)
            self._revision = body["revision"]

    async def _post_segments(self, segments: list[dict[str, Any]]) -> Answer | None:
        """Tell the hub of closed segments; None where it does not answer as agreed."""
        try:
            answer = await self._client.post(
                f"/api/v1/workers/{self._name}/segments",
                json={"segments": segments},
                headers={"Authorization": f"Bearer {self._token()}"},
            )
            answer.raise_for_status()
            return read_answer(answer.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.debug("segments wait", count=len(segments), reason=str(error))
            return None

    def _report(
        self,
        statuses: dict[UUID, StreamStatus],
        recordings: dict[UUID, CameraRecording],
        disks: list[DiskReport],
    ) -> dict[str, Any]:
        counters = self._poster.counters
        cameras = []
        for camera_id, status in statuses.items():
            counted = self._host.counters(camera_id)
            fields = status.to_json(
                frames_analysed=counted.frames_analysed, frames_dropped=counted.frames_dropped
            )
            recording = recordings.get(camera_id, CameraRecording("off"))
            fields["recording"] = recording.to_json()
            cameras.append({"camera_id": str(camera_id), **fields})
        return {
            "pid": os.getpid(),
            "address": self._server.address,
            "revision": self._revision,
            "spool_depth": counters.depth,
            "signals": {
                "emitted": self._emitted,
                "posted": counters.posted,
                "rejected": counters.rejected,
                "lost": counters.lost,
            },
            "detector": self._detector_report(),
            "cameras": cameras,
            "disks": [asdict(disk) for disk in disks],
        }

    def _detector_report(self) -> dict[str, Any] | None:
        if not self._detector.connected:
            return None
        model = self._detector.describe()
        return {"model": model.name, "backend": model.backend, "device": model.device}

    def _apply(self, cameras: Iterable[dict[str, Any]]) -> None:
        """Take a new assignment: what did not change goes on undisturbed."""
        wanted = {c.id: c for c in (AssignedCamera.from_json(item) for item in cameras)}
        for camera_id in self._assigned.keys() - wanted.keys():
            self._host.remove(camera_id)
        self._runtime.apply(wanted.values())
        self._recordings.apply(wanted.values())
        for camera in wanted.values():
            before = self._assigned.get(camera.id)
            if before is None or _pipeline_key(before) != _pipeline_key(camera):
                self._analyse(camera)
                continue
            if before.zones != camera.zones:
                self._host.set_zones(camera.id, camera.zones)
            if before.masks != camera.masks:
                self._host.set_masks(camera.id, camera.masks)
        self._assigned = wanted
        log.info("assignment taken", cameras=len(wanted))

    def _analyse(self, camera: AssignedCamera) -> None:
        """Have a camera's pictures looked at, or what it says itself, or neither."""
        frames = picture = None
        if camera.analyse and camera.analysed_by == "camera":
            picture = functools.partial(self._runtime.picture, camera.id)
        elif camera.analyse:
            frames = self._runtime.frames(camera.id)
        if frames is None:
            self._runtime.release_frames(camera.id)
        keyframe = functools.partial(self._runtime.keyframe, camera.id)
        self._host.add(camera, frames, picture, keyframe)


def _pipeline_key(camera: AssignedCamera) -> tuple[object, ...]:
    """Return what of a camera needs a new pipeline when it changes."""
    how = (camera.analyse, camera.analysed_by)
    return camera.name, camera.area, *how, tuple(camera.streams)


async def media_child(settings: Settings, pulse: Pulse, name: str) -> None:
    """Be the media worker `name` until SIGTERM."""
    stop = asyncio.Event()
    hub_url = (settings.run_dir / "url").read_text()
    with stop_on_signals(stop):
        worker = MediaWorker(settings, name, SystemClock(), hub_url)
        beating = asyncio.create_task(pulse.beat_forever())
        try:
            await worker.run(stop)
        finally:
            beating.cancel()
