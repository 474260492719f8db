"""Asking a camera what it is and which streams it has, before anybody adds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from camera_hub.devices.address import CameraAddress, parse_address
from camera_hub.devices.background import in_thread
from camera_hub.devices.errors import slow_camera
from camera_hub.devices.types import ProbeResult, SourceKind
from camera_hub.streams.reach import ANYWHERE, Reach
from core.clock import Clock

T = TypeVar("T")
_GRACE_S = 5.0
"""For loading libraries, which the first probe of a process waits for."""


class Prober:
    """Probes cameras over ONVIF and RTSP."""

    def __init__(self, clock: Clock, *, timeout_s: float = 10.0, reach: Reach = ANYWHERE) -> None:
        """Use `clock` to compare with the camera's; a probe takes at most about `timeout_s`.

        `reach` says where this site's cameras may be.
        """
        self._clock = clock
        self.reach = reach
        self._timeout_s = timeout_s

    async def probe(
        self, source_kind: SourceKind, address: str, username: str, password: str
    ) -> ProbeResult:
        """Ask the camera at `address`; empty credentials are taken from the address, if there.

        Raises:
            core.errors.InvalidInputError: `address` is none of a camera.
            camera_hub.devices.errors.CameraError: one subclass for each way a camera fails.
        """
        camera = parse_address(source_kind, address, self.reach)
        camera = replace(
            camera,
            username=username or camera.username,
            password=password or camera.password,
        )

        def work() -> ProbeResult:
            # Imported on this thread: the media library takes a moment.
            if source_kind == "rtsp":
                from camera_hub.devices.rtsp import probe_rtsp

                return probe_rtsp(camera, self._clock, timeout_s=self._timeout_s)
            from camera_hub.devices.onvif import probe_onvif

            return probe_onvif(camera, self._clock, timeout_s=self._timeout_s)

        return await self._run(work, camera)

    async def let_tell(self, address: str, username: str, password: str, profile: str) -> None:
        """Have the ONVIF camera at `address` say what it sees, in its profile with this token.

        Raises:
            core.errors.InvalidInputError: `address` is none of a camera.
            camera_hub.devices.errors.CameraError: it cannot (`no-metadata`), or fails.
        """
        camera = parse_address("onvif", address, self.reach)
        camera = replace(
            camera,
            username=username or camera.username,
            password=password or camera.password,
        )

        def work() -> None:
            from camera_hub.devices.onvif import let_tell

            let_tell(camera, self._clock, profile, timeout_s=self._timeout_s)

        await self._run(work, camera)

    async def _run(self, work: Callable[[], T], camera: CameraAddress) -> T:
        try:
            # The parts have limits of their own; this one also holds where a library has none.
            async with asyncio.timeout(self._timeout_s + _GRACE_S):
                return await in_thread(work, f"probe-{camera.host}")
        except TimeoutError:
            raise slow_camera(camera.place, self._timeout_s) from None
