"""Asking an ONVIF device for its clock, itself, and its streams."""

from __future__ import annotations

import asyncio

from camera_hub.devices import media, soap, telling
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.choice import USABLE, choose, warnings_of
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.elements import first, node, text
from camera_hub.devices.errors import (
    CameraUnreachableError,
    NoVideoProfileError,
    slow_camera,
)
from camera_hub.devices.types import DeviceFacts, ProbeResult, ProbeWarning, Profile
from camera_hub.devices.urls import snapshot_url, stream_url
from core.clock import Clock

_SKEW_S = 5.0
"""With a clock further off than this, devices refuse requests of others and misdate events."""


def probe_onvif(camera: CameraAddress, clock: Clock, *, timeout_s: float) -> ProbeResult:
    """Ask the device at `camera` for at most `timeout_s` seconds. Blocks; needs its own thread.

    Reads the clock without credentials first, then signs with the device's own time. A wrong
    password is sent once only (twice where the clock is off by a time zone).

    Raises:
        CameraError: one subclass for each way in which this fails.
        InvalidInputError: the host's name leads to an address that no camera may have.
    """
    return asyncio.run(_probe(camera, clock, timeout_s))


def let_tell(camera: CameraAddress, clock: Clock, profile: str, *, timeout_s: float) -> None:
    """Have a profile of the device at `camera` send what it sees. Blocks, as `probe_onvif` does.

    Raises:
        CameraError: one subclass for each way in which this fails; `no-metadata` where it cannot.
    """
    asyncio.run(_let_tell(camera, clock, profile, timeout_s))


async def _let_tell(camera: CameraAddress, clock: Clock, profile: str, timeout_s: float) -> None:
    async with Conversation(camera, clock, timeout_s=timeout_s) as talk:
        try:
            async with asyncio.timeout(timeout_s):
                await talk.read_time()
                await telling.switch_on(talk, profile)
        except TimeoutError:
            raise slow_camera(camera.place, timeout_s) from None


async def _probe(camera: CameraAddress, clock: Clock, timeout_s: float) -> ProbeResult:
    async with Conversation(camera, clock, timeout_s=timeout_s) as talk:
        try:
            async with asyncio.timeout(timeout_s):
                return await _Probe(talk).run()
        except TimeoutError:
            raise slow_camera(camera.place, timeout_s) from None


class _Probe:
    """The questions in their order, and what came of them."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._camera = talk.camera
        self._addresses: tuple[str, ...] = ()
        self._warnings: list[ProbeWarning] = []
        self._can_tell = False

    async def run(self) -> ProbeResult:
        """Ask everything."""
        await self._read_clock()
        facts = await read_facts(self._talk)
        services = await self._talk.services()
        if not {"trt", "tr2"} & set(services):
            raise self._no_media()
        version, encodings = await media.read_profiles(self._talk)
        self._can_tell = bool(encodings) and await telling.offers(self._talk, version)
        profiles = await self._profiles(version, encodings)
        if not any(profile.codec in USABLE for profile in profiles):
            raise self._no_video(profiles)
        main, sub = choose(profiles)
        offset = self._talk.offset
        return ProbeResult(
            device=facts,
            clock_offset_s=None if offset is None else offset.total_seconds(),
            profiles=tuple(profiles),
            main=main.token,
            sub=sub.token,
            warnings=(*self._warnings, *warnings_of(main, sub)),
        )

    async def _read_clock(self) -> None:
        """Find the device's time minus ours; warn if it is far off or cannot be read."""
        offset = (await self._talk.read_time()).offset
        if offset is None:
            self._warnings.append(
                ProbeWarning(
                    "clock-unreadable",
                    "The camera does not tell its time. If it refuses the password although it "
                    "is right, set its clock.",
                )
            )
        elif (warning := skew_warning(offset.total_seconds())) is not None:
            self._warnings.append(warning)

    async def _profiles(
        self, version: media.Version, encodings: list[media.MediaProfile]
    ) -> list[Profile]:
        if encodings:
            self._addresses = await asyncio.to_thread(self._resolve)
        moved: set[str] = set()
        found = []
        for encoding in encodings:
            profile = await self._profile(version, encoding, moved)
            if profile is not None:
                found.append(profile)
        if moved:
            self._warnings.append(
                ProbeWarning(
                    "stream-host-rewritten",
                    f"The camera names {', '.join(sorted(moved))} as the host of its streams; "
                    f"{self._camera.host} is used instead.",
                )
            )
        return found

    def _resolve(self) -> tuple[str, ...]:
        try:
            return self._camera.reach.resolve(self._camera.host, self._camera.port)
        except OSError:
            raise CameraUnreachableError(
                f"The name {self._camera.host} is no longer known.",
                remedy="Enter the camera's IP address.",
            ) from None

    async def _profile(
        self, version: media.Version, encoding: media.MediaProfile, moved: set[str]
    ) -> Profile | None:
        """Ask for the addresses of one profile; None, with a warning, if it has no stream."""
        try:
            named = await media.stream_uri(self._talk, version, encoding.token)
            stream = stream_url(named, self._camera, self._addresses)
        except (soap.DeviceFaultError, ValueError):
            self._warnings.append(
                ProbeWarning(
                    "profile-skipped",
                    f"The camera gives no usable address for its profile '{encoding.name}'.",
                )
            )
            return None
        snapshot = ""
        try:
            named = await media.snapshot_uri(self._talk, version, encoding.token)
            snapshot = snapshot_url(named, self._camera, self._addresses).url
        except ValueError:
            pass
        if stream.moved:
            moved.add(stream.moved)
        return encoding.profile(stream.url, snapshot, metadata=self._can_tell)

    def _no_media(self) -> Exception:
        if self._camera.username and not self._talk.answered_signed:
            # It refused whatever was signed without saying why.
            return soap.unauthorised(self._camera)
        return NoVideoProfileError(
            f"The device at {self._camera.place} has no ONVIF media service.",
            remedy="It may be no camera but a recorder or a door station; if it has a "
            "stream, add it by its RTSP address.",
        )

    def _no_video(self, profiles: list[Profile]) -> NoVideoProfileError:
        others = sorted({profile.codec for profile in profiles})
        if others:
            return NoVideoProfileError(
                f"The camera at {self._camera.place} offers {', '.join(others)} only.",
                remedy="Set one of its streams to H.264 (or H.265) in the camera.",
            )
        return NoVideoProfileError(
            f"The camera at {self._camera.place} offers no profile with video.",
            remedy="Set up a video profile in the camera, or reset its ONVIF settings.",
        )


async def read_facts(talk: Conversation) -> DeviceFacts:
    """Return what the device says it is; empty texts where it refuses to say.

    Raises:
        CameraError: the device cannot be asked, or answers something else.
    """
    try:
        answer = await talk.ask("tds", node("tds:GetDeviceInformation"))
    except soap.DeviceFaultError:
        return DeviceFacts("", "", "", "")
    if first(answer, "Manufacturer") is None and first(answer, "Model") is None:
        raise soap.malformed(talk.camera.place, "it does not say what device it is")
    return DeviceFacts(
        manufacturer=text(answer, "Manufacturer"),
        model=text(answer, "Model"),
        firmware=text(answer, "FirmwareVersion"),
        serial=text(answer, "SerialNumber"),
    )


def skew_warning(seconds: float) -> ProbeWarning | None:
    """Return what to say of a clock that is `seconds` ahead (behind: negative); None if right."""
    if abs(seconds) <= _SKEW_S:
        return None
    return ProbeWarning(
        "clock-skew",
        f"The camera's clock is {off_by(seconds)}. Set it, or let it use NTP.",
    )


def off_by(seconds: float) -> str:
    """Return how a clock runs that is `seconds` ahead (behind: negative), for a person."""
    if abs(seconds) < 1:
        return "right"
    return f"{_span(abs(seconds))} {'ahead' if seconds > 0 else 'behind'}"


def _span(seconds: float) -> str:
    for unit, name, least in ((86400, "days", 48 * 3600), (3600, "h", 5400), (60, "min", 120)):
        if seconds >= least:
            # A camera that is off by whole hours has the wrong time zone: it reads as such.
            return f"{seconds / unit:.{1 if unit == 3600 else 0}f} {name}"
    return f"{seconds:.0f} s"
