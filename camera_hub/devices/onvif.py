"""Asking an ONVIF device for its clock, itself, and its streams.

The library's `ONVIFCamera` would take the first steps by itself, but it follows whatever
address a device names and has fixed time limits of 90 s. So its services are used one by one,
with a transport that checks every answer (`soap.Transport`). Importing this takes a second.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import onvif.client
import zeep.exceptions
from lxml import etree  # type: ignore[import-untyped]
from onvif import ONVIFService

from camera_hub.devices import soap
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.choice import USABLE, choose, warnings_of
from camera_hub.devices.errors import (
    CameraUnauthorisedError,
    CameraUnreachableError,
    NoVideoProfileError,
    slow_camera,
)
from camera_hub.devices.profiles import Encoding, read_encodings, text_of
from camera_hub.devices.types import DeviceFacts, ProbeResult, ProbeWarning, Profile
from camera_hub.devices.urls import service_url, snapshot_url, stream_url
from core.clock import Clock

_WSDL = Path(onvif.client.__file__).with_name("wsdl")
_NAMESPACES = {
    "devicemgmt": ("http://www.onvif.org/ver10/device/wsdl", "DeviceBinding"),
    "media": ("http://www.onvif.org/ver10/media/wsdl", "MediaBinding"),
}
_SKEW_S = 5.0
"""With a clock further off than this, devices refuse requests of others and misdate events."""
_STREAM_SETUP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
_UNREADABLE = (
    zeep.exceptions.Error,
    etree.LxmlError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)
_preparing = threading.Lock()


def probe_onvif(camera: CameraAddress, clock: Clock, *, timeout_s: float) -> ProbeResult:
    """Ask the device at `camera` for at most `timeout_s` seconds. Blocks; needs its own thread.

    Reads the clock without credentials first, then signs with the device's own time. A wrong
    password is sent once only.

    Raises:
        CameraError: one subclass for each way in which this fails.
        InvalidInputError: the host's name leads to an address that no camera may have.
    """
    with _preparing:
        asyncio.run(_load_descriptions())
    return asyncio.run(_probe(camera, clock, timeout_s))


async def _load_descriptions() -> None:
    """Read the WSDL files: tenths of a second, once for the process, outside the time limit."""
    for name in _NAMESPACES:
        service = _make_service(name, "http://127.0.0.1/", None, None, None)
        try:
            await service.setup()
        finally:
            await service.close()


def _make_service(
    name: str, url: str, username: str | None, password: str | None, offset: timedelta | None
) -> Any:
    namespace, binding = _NAMESPACES[name]
    return ONVIFService(
        url,
        username,
        password,
        str(_WSDL / f"{name}.wsdl"),
        binding_name=f"{{{namespace}}}{binding}",
        no_cache=True,
        dt_diff=offset,
    )


async def _probe(camera: CameraAddress, clock: Clock, timeout_s: float) -> ProbeResult:
    session = soap.open_session(
        camera.username, camera.password, connect_timeout_s=timeout_s / 2, reach=camera.reach
    )
    conversation = _Conversation(camera, clock, session)
    async with session:
        try:
            async with asyncio.timeout(timeout_s):
                return await conversation.run()
        except TimeoutError:
            raise slow_camera(camera.place, timeout_s) from None
        finally:
            await conversation.close()


class _Conversation:
    """One probe: the questions in their order, and what came of them."""

    def __init__(self, camera: CameraAddress, clock: Clock, session: aiohttp.ClientSession) -> None:
        self._camera = camera
        self._clock = clock
        self._transport = soap.Transport(session, camera)
        self._services: list[Any] = []
        self._offset: timedelta | None = None
        self._addresses: tuple[str, ...] = ()
        self._warnings: list[ProbeWarning] = []

    async def close(self) -> None:
        """Close what the services hold."""
        for service in self._services:
            await service.close()

    async def run(self) -> ProbeResult:
        """Ask everything."""
        device = await self._service("devicemgmt", self._camera.url)
        await self._read_clock(device)
        if self._offset is not None:
            # Services take the offset when they are made.
            device = await self._service("devicemgmt", self._camera.url)
        facts = await self._facts(device)
        media = await self._service("media", await self._media_url(device))
        profiles = await self._profiles(media)
        if not any(profile.codec in USABLE for profile in profiles):
            raise self._no_video(profiles)
        main, sub = choose(profiles)
        return ProbeResult(
            device=facts,
            clock_offset_s=None if self._offset is None else self._offset.total_seconds(),
            profiles=tuple(profiles),
            main=main.token,
            sub=sub.token,
            warnings=(*self._warnings, *warnings_of(main, sub)),
        )

    async def _service(self, name: str, url: str) -> Any:
        camera = self._camera
        service = _make_service(name, url, camera.username, camera.password, self._offset)
        self._services.append(service)
        service.transport = self._transport
        await service.setup()
        return service

    async def _ask(
        self, service: Any, operation: str, *, signed: bool = True, **arguments: Any
    ) -> Any:
        """Call `operation`; signed if that is wanted and there is a user.

        Raises:
            zeep.exceptions.Fault: the device refuses for another reason than the credentials.
            CameraError: everything else that can go wrong.
        """
        signed = signed and bool(self._camera.username)
        name = operation if signed else f"authless_{operation}"
        try:
            return await getattr(service, name)(arguments)
        except zeep.exceptions.Fault as fault:
            if soap.is_refusal(fault):
                raise soap.unauthorised(self._camera) from None
            raise
        except _UNREADABLE:
            # Without the cause: the library's text may hold the whole answer.
            what = f"the one to {operation} has not the agreed form"
            raise soap.malformed(self._camera.place, what) from None

    async def _read_clock(self, device: Any) -> None:
        """Find the device's time minus ours; warn if it is far off or cannot be read."""
        try:
            before = self._clock.now()
            try:
                answer = await self._ask(device, "GetSystemDateAndTime", signed=False)
            except CameraUnauthorisedError:
                if not self._camera.username:
                    raise
                before = self._clock.now()
                answer = await self._ask(device, "GetSystemDateAndTime")
            ours = before + (self._clock.now() - before) / 2
            theirs = _utc_of(answer)
        except zeep.exceptions.Fault:
            theirs = None
        if theirs is None:
            self._warnings.append(
                ProbeWarning(
                    "clock-unreadable",
                    "The camera does not tell its time. If it refuses the password although it "
                    "is right, set its clock.",
                )
            )
            return
        self._offset = theirs - ours
        seconds = self._offset.total_seconds()
        if abs(seconds) > _SKEW_S:
            self._warnings.append(
                ProbeWarning(
                    "clock-skew",
                    f"The camera's clock is {_span(abs(seconds))} "
                    f"{'ahead' if seconds > 0 else 'behind'}. Set it, or let it use NTP.",
                )
            )

    async def _facts(self, device: Any) -> DeviceFacts:
        try:
            answer = await self._ask(device, "GetDeviceInformation")
        except zeep.exceptions.Fault:
            return DeviceFacts("", "", "", "")
        if not hasattr(answer, "Manufacturer"):
            raise soap.malformed(self._camera.place, "it does not say what device it is")
        return DeviceFacts(
            manufacturer=text_of(answer, "Manufacturer"),
            model=text_of(answer, "Model"),
            firmware=text_of(answer, "FirmwareVersion"),
            serial=text_of(answer, "SerialNumber"),
        )

    async def _media_url(self, device: Any) -> str:
        """Return where the media service is: GetServices, or GetCapabilities of old devices."""
        named = ""
        try:
            for service in await self._ask(device, "GetServices", IncludeCapability=False) or ():
                if text_of(service, "Namespace") == _NAMESPACES["media"][0]:
                    named = text_of(service, "XAddr")
        except zeep.exceptions.Fault:
            pass
        if not named:
            try:
                answer = await self._ask(device, "GetCapabilities", Category="Media")
                named = text_of(getattr(answer, "Media", None), "XAddr")
            except zeep.exceptions.Fault:
                pass
        if not named:
            raise NoVideoProfileError(
                f"The device at {self._camera.place} has no ONVIF media service.",
                remedy="It may be no camera but a recorder or a door station; if it has a "
                "stream, add it by its RTSP address.",
            )
        try:
            return service_url(named, self._camera)
        except ValueError:
            what = "the address of its media service is none"
            raise soap.malformed(self._camera.place, what) from None

    async def _profiles(self, media: Any) -> list[Profile]:
        try:
            answer = await self._ask(media, "GetProfiles")
            encodings = read_encodings(answer)
        except zeep.exceptions.Fault:
            encodings = []
        if encodings:
            self._addresses = await asyncio.to_thread(self._resolve)
        moved: set[str] = set()
        found = []
        for encoding in encodings:
            profile = await self._profile(media, encoding, moved)
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

    async def _profile(self, media: Any, encoding: Encoding, moved: set[str]) -> Profile | None:
        """Ask for the addresses of one profile; None, with a warning, if it has no stream."""
        try:
            answer = await self._ask(
                media, "GetStreamUri", StreamSetup=_STREAM_SETUP, ProfileToken=encoding.token
            )
            stream = stream_url(text_of(answer, "Uri"), self._camera, self._addresses)
        except (zeep.exceptions.Fault, ValueError):
            self._warnings.append(
                ProbeWarning(
                    "profile-skipped",
                    f"The camera gives no usable address for its profile '{encoding.name}'.",
                )
            )
            return None
        snapshot = ""
        try:
            answer = await self._ask(media, "GetSnapshotUri", ProfileToken=encoding.token)
            snapshot = snapshot_url(text_of(answer, "Uri"), self._camera, self._addresses).url
        except (zeep.exceptions.Fault, ValueError):
            pass
        if stream.moved:
            moved.add(stream.moved)
        return encoding.profile(stream.url, snapshot)

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


def _utc_of(answer: Any) -> datetime | None:
    """Return the time in an answer to GetSystemDateAndTime, None if there is none."""
    try:
        date, time = answer.UTCDateTime.Date, answer.UTCDateTime.Time
        second = min(int(time.Second), 59)  # a leap second
        day = (int(date.Year), int(date.Month), int(date.Day))
        return datetime(*day, int(time.Hour), int(time.Minute), second, tzinfo=UTC)
    except (AttributeError, TypeError, ValueError):
        return None


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
