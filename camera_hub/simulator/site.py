"""A site of virtual cameras, each with an ONVIF port and an RTSP port of its own."""

import asyncio
import re
import secrets
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from camera_hub.simulator import clip as clips
from camera_hub.simulator import footage as sources
from camera_hub.simulator import snapshot, transcode
from camera_hub.simulator.broadcast import Broadcast, TrackBroadcast
from camera_hub.simulator.clip import LoopedClip
from camera_hub.simulator.discovery import DiscoveryResponder
from camera_hub.simulator.footage import Footage
from camera_hub.simulator.onvif import OnvifDevice
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from camera_hub.simulator.quirks import Quirk
from camera_hub.simulator.rtsp import Offer, RtspServer
from camera_hub.simulator.sound import SoundBroadcast, SoundKind
from camera_hub.simulator.words import FORMS, MetadataBroadcast
from core.clock import Clock
from core.errors import InvalidInputError

USERNAME = "viewer"
MAX_CAMERAS = 64
PACKED = {Quirk.METADATA_GZIP, Quirk.METADATA_GZIP_ONLY}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Material:
    """Footage, read and ready: main and sub stream."""

    footage: Footage
    main: LoopedClip
    sub: LoopedClip


class VirtualCamera:
    """One camera: an ONVIF device, an RTSP server and the two streams that it plays."""

    def __init__(
        self,
        number: int,
        name: str,
        material: _Material,
        start_s: float,
        clock: Clock,
        *,
        quirks: Collection[Quirk] = (),
        sound: SoundKind | None = None,
        tells: bool = False,
    ) -> None:
        """Make a camera; `tells`: its profiles send metadata without anybody asking for it."""
        self.name = name
        self.footage = material.footage
        self.username = USERNAME
        self.password = secrets.token_urlsafe(9)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or f"camera-{number}"
        began = clock.monotonic() - start_s
        self._streams = {
            role: Broadcast(clip, began=began, clock=clock)
            for role, clip in (("main", material.main), ("sub", material.sub))
        }
        self._tells = tells
        self._sounds = [SoundBroadcast(sound, began=began, clock=clock)] if sound else []
        self.words = {
            role: [
                MetadataBroadcast(
                    began=began,
                    clock=clock,
                    now=self._now,
                    quirks=lambda: self.onvif.quirks,
                    form=form,
                )
                for form in FORMS
            ]
            for role in self._streams
        }
        self._paths = {role: f"/{slug}/{role}" for role in self._streams}
        self.rtsp = RtspServer(
            {
                self._paths[role]: Offer(
                    (stream, *self._sounds, *self.words[role]),
                    partial(self._is_there, role),
                    self._is_refused,
                )
                for role, stream in self._streams.items()
            },
            username=self.username,
            password=self.password,
            algorithm="SHA-256" if Quirk.DIGEST_SHA256 in quirks else "MD5",
            quirks=lambda: self.onvif.quirks,
        )
        self.onvif = OnvifDevice(
            [],
            username=self.username,
            password=self.password,
            clock=clock,
            snapshot=self._snapshot,
            identity=Identity(serial=f"SIM-{number:04d}"),
            quirks=quirks,
        )
        self.onvif.sends_analytics = tells

    @property
    def rtsp_url(self) -> str:
        """Address of the sub stream, without credentials."""
        return self.rtsp.url(self._paths["sub"])

    async def start(self) -> None:
        """Listen on both ports; on the same ones as before after `kill`.

        Raises:
            OSError: a port has been taken meanwhile.
        """
        await self.rtsp.start()
        # What was set is kept when the power was cut.
        known = {one.token: one for one in self.onvif.profiles}
        self.onvif.profiles = [self._profile(role, known.get(role)) for role in self._streams]
        await self.onvif.start()

    async def kill(self) -> None:
        """Break every connection and refuse new ones, as when the power is cut."""
        await self.rtsp.close()
        await self.onvif.close()

    def stall(self) -> None:
        """Send no more packets; connections stay and requests are still answered."""
        for track in self._tracks():
            track.stalled = True

    def resume(self) -> None:
        """Send packets again, to each viewer from a keyframe on."""
        for track in self._tracks():
            track.stalled = False

    def _tracks(self) -> list[TrackBroadcast]:
        words = [one for both in self.words.values() for one in both]
        return [*self._streams.values(), *self._sounds, *words]

    def describe(self) -> dict[str, Any]:
        """Return what the user of the site needs to add this camera; JSON types only."""
        return {
            "name": self.name,
            "onvif_address": self.onvif.address,
            "username": self.username,
            "password": self.password,
            "rtsp_url": self.rtsp_url,
            "zone": {
                "name": self.footage.zone_name,
                "polygon": [list(corner) for corner in self.footage.zone],
                "people": self.footage.people,
            },
        }

    def _now(self) -> datetime:
        return self.onvif.clock.now(self.onvif.quirks)

    def _is_there(self, role: str, track: TrackBroadcast) -> bool:
        """Say whether a stream has a track just now: metadata where its profile has it."""
        if not isinstance(track, MetadataBroadcast):
            return True
        quirks = self.onvif.quirks
        offered = {"plain": Quirk.METADATA_GZIP_ONLY not in quirks, "gzip": bool(quirks & PACKED)}
        profile = next((one for one in self.onvif.profiles if one.token == role), None)
        sent = profile is not None and profile.metadata and self.onvif.sends_analytics
        return sent and offered[track.form]

    def _is_refused(self, track: TrackBroadcast) -> bool:
        return isinstance(track, MetadataBroadcast) and Quirk.METADATA_REFUSED in self.onvif.quirks

    def _profile(self, role: str, before: StreamProfile | None) -> StreamProfile:
        clip = self._streams[role].clip
        return StreamProfile(
            token=role,
            url=self.rtsp.url(self._paths[role]),
            width=clip.width,
            height=clip.height,
            fps=clip.fps,
            bitrate_kbps=max(1, clip.bitrate // 1000),
            gop=clip.keyframe_interval,
            metadata=self._tells if before is None else before.metadata,
            analytics=self._tells if before is None else before.analytics,
        )

    async def _snapshot(self, token: str) -> bytes:
        stream = self._streams[token]
        return await asyncio.to_thread(snapshot.jpeg, stream.clip, stream.current_unit())


class SimulatedSite:
    """Virtual cameras while the `async with` block runs; `cameras` in the order of their names.

    `footage` is a file to play, None for what `footage.find` finds. Prepared clips are kept in
    `work_dir`. `progress` gets lines for a person. `quirks` are how cameras misbehave, by their
    number from 1 (0: all of them); `discoverable` ones answer WS-Discovery on loopback. With
    `sound` their streams have a tone; with `tells` they say what they see (`words.SCRIPT`) unasked.

    Entering raises:
        InvalidInputError: the footage is no video, or the number of cameras is not 1 to 64.
        NotFoundError: there is no footage.
    """

    def __init__(
        self,
        *,
        work_dir: Path,
        clock: Clock,
        footage: Path | None = None,
        cameras: int = 4,
        quirks: Mapping[int, Collection[Quirk]] = MappingProxyType({}),
        discoverable: bool = False,
        sound: SoundKind | None = None,
        tells: bool = False,
        progress: Progress = lambda _text: None,
    ) -> None:
        self.cameras: list[VirtualCamera] = []
        self._work_dir = work_dir
        self._clock = clock
        self._footage = footage
        self._count = cameras
        self._quirks = quirks
        self._sound: SoundKind | None = sound
        self._tells = tells
        self._responder = (
            DiscoveryResponder(lambda: [camera.onvif for camera in self.cameras])
            if discoverable
            else None
        )
        self._progress = progress

    async def __aenter__(self) -> Self:
        if not 1 <= self._count <= MAX_CAMERAS:
            raise InvalidInputError(
                f"{self._count} cameras cannot be simulated.",
                remedy=f"Ask for 1 to {MAX_CAMERAS}.",
                code="cameras",
            )
        plan = sources.assign(sources.find(self._footage), self._count)
        materials = {source: await self._prepare(source) for source in dict.fromkeys(plan)}
        made: list[VirtualCamera] = []
        for number, source in enumerate(plan, 1):
            same = [index for index, other in enumerate(plan) if other is source]
            index = same.index(number - 1)
            material = materials[source]
            name = source.title if len(same) == 1 else f"{source.title} {index + 1}"
            start_s = source.start_of(index, len(same), material.main.duration_s)
            quirks = (*self._quirks.get(0, ()), *self._quirks.get(number, ()))
            made.append(
                VirtualCamera(
                    number,
                    name,
                    material,
                    start_s,
                    self._clock,
                    quirks=quirks,
                    sound=self._sound,
                    tells=self._tells,
                )
            )
        try:
            await asyncio.gather(*(camera.start() for camera in made))
        except (OSError, asyncio.CancelledError):
            await _kill(made)
            raise
        self.cameras = made
        if self._responder is not None:
            await self._responder.start()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._responder is not None:
            await self._responder.close()
        await _kill(self.cameras)

    async def _prepare(self, source: Footage) -> _Material:
        name = source.path.name
        self._progress(f"preparing {name}")
        loop = asyncio.get_running_loop()
        abandoned = threading.Event()
        told = 0.0

        def tell(share: float) -> None:
            nonlocal told
            if abandoned.is_set():
                raise _AbandonedError
            if share >= told + 0.25:
                told = share
                loop.call_soon_threadsafe(self._progress, f"preparing {name}: {share:.0%}")

        def work() -> _Material:
            clip = transcode.prepare(source.path, self._work_dir, progress=tell)
            return _Material(source, clips.load(clip.main), clips.load(clip.sub))

        try:
            return await asyncio.to_thread(work)
        finally:
            abandoned.set()


class _AbandonedError(Exception):
    """Nobody waits for the footage any more."""


async def _kill(cameras: Sequence[VirtualCamera]) -> None:
    await asyncio.gather(*(camera.kill() for camera in cameras))
