"""A simulated ONVIF camera: SOAP over HTTP on loopback.

On request it misbehaves in the ways that real devices do (`quirks`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from xml.etree import ElementTree

from aiohttp import web

from camera_hub.simulator import onvif_xml as answers
from camera_hub.simulator import ptz as heads
from camera_hub.simulator.digest import DigestGuard
from camera_hub.simulator.encoders import EncoderOptions
from camera_hub.simulator.management import DeviceClock, Management
from camera_hub.simulator.media1 import WRONG_HOST, Media1
from camera_hub.simulator.media2 import Media2
from camera_hub.simulator.onvif_xml import Identity, SoapFaultError, StreamProfile
from camera_hub.simulator.ptz import Ptz, PtzHead
from camera_hub.simulator.pullpoint import MAKER_NS, EventSource
from camera_hub.simulator.quirks import Quirk, spoil
from camera_hub.simulator.wsse import TokenGuard
from core.clock import Clock

__all__ = ["HOST", "WRONG_HOST", "OnvifDevice", "Quirk", "Snapshot"]

HOST = "127.0.0.1"
DEVICE_PATH = "/onvif/device_service"

_PATHS = {
    answers.DEVICE_NS: DEVICE_PATH,
    answers.MEDIA_NS: "/onvif/media_service",
    answers.MEDIA2_NS: "/onvif/media2_service",
    answers.PTZ_NS: "/onvif/ptz_service",
    answers.EVENTS_NS: "/onvif/event_service",
}
_SNAPSHOT_PATH = "/onvif/snapshot/"
_SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
_HTML = "<!DOCTYPE html><html><head><title>Router</title></head><body>Sign in</body></html>"

Snapshot = Callable[[str], Awaitable[bytes]]
"""Gives the JPEG of the profile with this token."""


class OnvifDevice:
    """One device. `quirks` may be changed while it runs; `skew` is its clock minus the true time.

    Its account is asked for everything but GetSystemDateAndTime: as a UsernameToken with
    digest over SOAP, as HTTP digest for snapshots. `slow_s` is how long `slow-answers` waits,
    `reboot_s` how long it is away after SystemReboot. Tests look at `ptz` (where the head is),
    `events` (make something happen, see who pulls), `clock` (what was set), `reboots`, `asked`.
    """

    def __init__(
        self,
        profiles: Sequence[StreamProfile],
        *,
        username: str,
        password: str,
        clock: Clock,
        snapshot: Snapshot | None = None,
        identity: Identity | None = None,
        skew: timedelta = timedelta(0),
        quirk: Quirk | None = None,
        quirks: Iterable[Quirk] = (),
        slow_s: float = 30.0,
        reboot_s: float = 0.5,
        port: int = 0,
    ) -> None:
        self.profiles = list(profiles)
        self.encoder_options = EncoderOptions()
        self.sends_analytics = False
        self.quirks: set[Quirk] = {*quirks, *([quirk] if quirk else [])}
        self.clock = DeviceClock(clock, skew)
        self.port = port
        self.identity = identity or Identity()
        self.ptz = PtzHead(clock)
        self.events = EventSource(clock, self._now)
        self.reboots = 0
        self.asked: list[str] = []
        self._time = clock
        self._snapshot = snapshot
        self._slow_s = slow_s
        self._reboot_s = reboot_s
        self._tokens = TokenGuard(username, password)
        self._digest = {
            name: DigestGuard(username, password, realm="camera", algorithm=name)
            for name in ("MD5", "SHA-256")
        }
        self._management = Management(self.identity, self.clock, self._services, self.reboot)
        self._media1, self._media2, self._ptz = Media1(self), Media2(self), Ptz(self.ptz)
        self._runner: web.AppRunner | None = None
        self._rebooting: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """`host:port`, as a person types it."""
        return f"{HOST}:{self.port}"

    @property
    def quirk(self) -> Quirk | None:
        """The only quirk, where there is one; set to replace all."""
        return next(iter(self.quirks), None)

    @quirk.setter
    def quirk(self, value: Quirk | None) -> None:
        self.quirks = {value} if value else set()

    @property
    def skew(self) -> timedelta:
        """How far its clock is ahead."""
        return self.clock.skew

    @skew.setter
    def skew(self, value: timedelta) -> None:
        self.clock.skew = value

    @property
    def ptz_configuration(self) -> str:
        """What a profile says of PTZ; empty without."""
        if Quirk.NO_PTZ in self.quirks:
            return ""
        return heads.configuration("tt:PTZConfiguration", self.quirks)

    def snapshot_url(self, token: str) -> str:
        """Return where the picture of a profile is."""
        return f"http://{self.address}{_SNAPSHOT_PATH}{token}.jpg"

    async def start(self) -> None:
        """Listen; on the same port as before when it was closed in between.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # Who hangs up is waited for no longer, neither by slow answers nor by long polls.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.0, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Refuse connections and break those that are there; a running restart is given up."""
        if self._rebooting is not None and self._rebooting is not asyncio.current_task():
            self._rebooting.cancel()
        await self._stop()

    async def _stop(self) -> None:
        self.events.forget()
        self.ptz.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def reboot(self) -> None:
        """Be away for `reboot_s`, and lose what only memory held: subscriptions, movements."""
        self.reboots += 1
        self._rebooting = asyncio.create_task(self._restart(), name="simulator-reboot")

    async def _restart(self) -> None:
        await self._time.sleep(0.05)  # so that the answer gets out
        await self._stop()
        await self._time.sleep(self._reboot_s)
        await self.start()

    def _now(self) -> datetime:
        return self.clock.now(self.quirks)

    def _services(self) -> dict[str, str]:
        """Return the services that it says it has, and where."""
        missing = {
            answers.MEDIA_NS: {Quirk.NO_MEDIA_SERVICE, Quirk.MEDIA2_ONLY},
            answers.MEDIA2_NS: {Quirk.NO_MEDIA_SERVICE, Quirk.NO_MEDIA2},
            answers.PTZ_NS: {Quirk.NO_PTZ},
            answers.EVENTS_NS: {Quirk.NO_EVENTS},
        }
        host = WRONG_HOST if Quirk.XADDR_OF_OTHER_HOST in self.quirks else HOST
        return {
            namespace: f"http://{host}:{self.port}{path}"
            for namespace, path in _PATHS.items()
            if not missing.get(namespace, set()) & self.quirks
        }

    async def _answer(self, request: web.Request) -> web.Response:
        if Quirk.SLOW in self.quirks:
            await self._time.sleep(self._slow_s)
        if Quirk.NOT_A_CAMERA in self.quirks:
            return web.Response(text=_HTML, content_type="text/html")
        if Quirk.HTTP_500 in self.quirks:
            return _broken()
        if request.method == "GET" and request.path.startswith(_SNAPSHOT_PATH):
            return await self._answer_snapshot(request)
        if request.method != "POST" or not any(map(request.path.startswith, _PATHS.values())):
            return web.Response(status=404, text="Not Found")
        return await self._answer_post(request, await request.read())

    async def _answer_post(self, request: web.Request, body: bytes) -> web.Response:
        by_digest = Quirk.HTTP_DIGEST_ONLY in self.quirks and b"GetSystemDateAndTime" not in body
        if by_digest and (refused := self._refuse(request)):
            return refused
        try:
            status, text = 200, await self._answer_soap(body, request.path)
        except SoapFaultError as error:
            status = 400 if error.role == "Sender" else 500
            text = answers.fault(error.subcode, error.reason, role=error.role)
            if Quirk.HTTP_500_INSTEAD_OF_FAULT in self.quirks:
                return _broken()
            if Quirk.FAULT_WITH_HTTP_200 in self.quirks:
                status = 200
        text = spoil(text, self.quirks)
        return web.Response(status=status, text=text, content_type="application/soap+xml")

    async def _answer_soap(self, body: bytes, path: str) -> str:
        try:
            envelope = ElementTree.fromstring(body)  # noqa: S314 (expat limits amplification)
        except ElementTree.ParseError:
            raise SoapFaultError("WellFormed", "The request is not well-formed XML.") from None
        content = envelope.find(f"{_SOAP}Body")
        if content is None or len(content) == 0:
            raise SoapFaultError("WellFormed", "The request has no SOAP body.")
        request = content[0]
        namespace, _, operation = request.tag.removeprefix("{").partition("}")
        self.asked.append(operation)
        true = self.clock.now(())
        free = operation == "GetSystemDateAndTime" and Quirk.CLOCK_NEEDS_PASSWORD not in self.quirks
        signed_elsewhere = Quirk.HTTP_DIGEST_ONLY in self.quirks
        if not free and not signed_elsewhere and not self._tokens.admits(envelope, true):
            raise SoapFaultError("NotAuthorized", "Sender not authorized.")
        if Quirk.SUBSCRIPTION_IN_HEADER in self.quirks and path.endswith("/any"):
            named = envelope.findtext(f"{_SOAP}Header/{{{MAKER_NS}}}SubscriptionId", "")
            path = f"{path.removesuffix('any')}{named}"
        return await self._serve(namespace, operation, request, path)

    async def _serve(
        self, namespace: str, operation: str, request: ElementTree.Element, path: str
    ) -> str:
        base = _PATHS[answers.EVENTS_NS]
        offered = self._services()
        if path.startswith(base) and answers.EVENTS_NS in offered:
            name = path.removeprefix(base).strip("/")
            events = self.events
            return await events.answer(
                operation, request, name, offered[answers.EVENTS_NS], self.quirks
            )
        if path == DEVICE_PATH and namespace == answers.DEVICE_NS:
            return self._management.answer(operation, request, self.quirks)
        if namespace not in offered or path != _PATHS[namespace]:
            raise answers.unsupported(operation)
        if namespace == answers.MEDIA_NS:
            return self._media1.answer(operation, request)
        if namespace == answers.MEDIA2_NS:
            return self._media2.answer(operation, request)
        if namespace == answers.PTZ_NS:
            return self._ptz.answer(operation, request, self.quirks, answers.time_of(self._now()))
        raise answers.unsupported(operation)

    def _refuse(self, request: web.Request) -> web.Response | None:
        """Return a challenge unless the request is signed with HTTP digest."""
        guard = self._digest["SHA-256" if Quirk.DIGEST_SHA256 in self.quirks else "MD5"]
        if guard.admits(request.method, request.headers.get("Authorization", "")):
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": guard.challenge()})

    async def _answer_snapshot(self, request: web.Request) -> web.Response:
        if refused := self._refuse(request):
            return refused
        token = request.path.removeprefix(_SNAPSHOT_PATH).removesuffix(".jpg")
        if self._snapshot is None or token not in {one.token for one in self.profiles}:
            return web.Response(status=404, text="Not Found")
        picture = await self._snapshot(token)
        return web.Response(body=picture, content_type="image/jpeg")


def _broken() -> web.Response:
    return web.Response(status=500, text="Internal Server Error")
