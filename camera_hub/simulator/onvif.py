"""A simulated ONVIF camera: SOAP over HTTP on loopback.

On request it misbehaves in the ways that real devices do.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from xml.etree import ElementTree

from aiohttp import web

from camera_hub.simulator import onvif_xml as answers
from camera_hub.simulator.digest import DigestGuard
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from camera_hub.simulator.wsse import TokenGuard
from core.clock import Clock

HOST = "127.0.0.1"
WRONG_HOST = "192.0.2.10"
"""An address of the block for documentation (RFC 5737): nothing answers there."""

_DEVICE_PATH = "/onvif/device_service"
_MEDIA_PATH = "/onvif/media_service"
_SNAPSHOT_PATH = "/onvif/snapshot/"
_SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
_HTML = "<!DOCTYPE html><html><head><title>Router</title></head><body>Sign in</body></html>"

Snapshot = Callable[[str], Awaitable[bytes]]
"""Gives the JPEG of the profile with this token."""


class Quirk(StrEnum):
    """Ways in which a device misbehaves; each holds for every request that it concerns."""

    MALFORMED_XML = "malformed_xml"
    NOT_A_CAMERA = "not_a_camera"
    NO_MEDIA_SERVICE = "no_media_service"
    SLOW = "slow"
    WRONG_HOST_IN_URI = "wrong_host_in_uri"
    ENTITY_BOMB = "entity_bomb"
    NO_PROFILES = "no_profiles"
    HTTP_500 = "http_500"


class OnvifDevice:
    """One device. `quirk` may be changed while it runs; `skew` is its clock minus the true time.

    Its account is asked for everything but GetSystemDateAndTime: as a UsernameToken with
    digest over SOAP, as HTTP digest for snapshots. `slow_s` is how long the quirk `slow` waits.
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
        slow_s: float = 30.0,
        port: int = 0,
    ) -> None:
        self.profiles = list(profiles)
        self.quirk = quirk
        self.skew = skew
        self.port = port
        self._identity = identity or Identity()
        self._clock = clock
        self._snapshot = snapshot
        self._slow_s = slow_s
        self._tokens = TokenGuard(username, password)
        self._digest = DigestGuard(username, password, realm="camera")
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """`host:port`, as a person types it."""
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen; on the same port as before when it was closed in between.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Refuse connections and break those that are there."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        if self.quirk is Quirk.SLOW:
            await self._clock.sleep(self._slow_s)
        if self.quirk is Quirk.NOT_A_CAMERA:
            return web.Response(text=_HTML, content_type="text/html")
        if self.quirk is Quirk.HTTP_500:
            return web.Response(status=500, text="Internal Server Error")
        if request.method == "GET" and request.path.startswith(_SNAPSHOT_PATH):
            return await self._answer_snapshot(request)
        if request.method != "POST" or request.path not in (_DEVICE_PATH, _MEDIA_PATH):
            return web.Response(status=404, text="Not Found")
        status, text = self._answer_soap(await request.read(), request.path)
        if self.quirk is Quirk.MALFORMED_XML:
            text = text[: len(text) * 2 // 3]
        elif self.quirk is Quirk.ENTITY_BOMB:
            text = answers.entity_bomb()
        return web.Response(status=status, text=text, content_type="application/soap+xml")

    def _answer_soap(self, body: bytes, path: str) -> tuple[int, str]:
        """Return (HTTP status, document)."""
        try:
            envelope = ElementTree.fromstring(body)  # noqa: S314 (expat limits amplification)
        except ElementTree.ParseError:
            return 400, answers.fault("WellFormed", "The request is not well-formed XML.")
        content = envelope.find(f"{_SOAP}Body")
        if content is None or len(content) == 0:
            return 400, answers.fault("WellFormed", "The request has no SOAP body.")
        namespace, _, operation = content[0].tag.removeprefix("{").partition("}")
        now = self._now()
        if operation == "GetSystemDateAndTime":
            return 200, answers.system_date_and_time(now)
        if not self._tokens.admits(envelope, now):
            return 400, answers.fault("NotAuthorized", "Sender not authorized.")
        if namespace == answers.MEDIA_NS and path == _MEDIA_PATH:
            return self._answer_media(operation, content[0])
        return self._answer_device(operation)

    def _now(self) -> datetime:
        return self._clock.now() + self.skew

    def _answer_device(self, operation: str) -> tuple[int, str]:
        device = f"http://{self.address}{_DEVICE_PATH}"
        without_media = self.quirk is Quirk.NO_MEDIA_SERVICE
        media = None if without_media else f"http://{self.address}{_MEDIA_PATH}"
        if operation == "GetDeviceInformation":
            return 200, answers.device_information(self._identity)
        if operation == "GetServices":
            return 200, answers.services(device, media)
        if operation == "GetCapabilities":
            return 200, answers.capabilities(device, media)
        return 500, _unknown(operation)

    def _answer_media(self, operation: str, request: ElementTree.Element) -> tuple[int, str]:
        if self.quirk is Quirk.NO_MEDIA_SERVICE:
            return 500, _unknown(operation)
        profiles = [] if self.quirk is Quirk.NO_PROFILES else self.profiles
        if operation == "GetProfiles":
            return 200, answers.profiles(profiles)
        token = request.findtext(f"{{{answers.MEDIA_NS}}}ProfileToken", "")
        profile = next((one for one in profiles if one.token == token), None)
        if operation not in ("GetProfile", "GetStreamUri", "GetSnapshotUri"):
            return 500, _unknown(operation)
        if profile is None:
            return 400, answers.fault("InvalidArgVal", f"There is no profile {token}.")
        return 200, self._answer_about(profile, operation)

    def _answer_about(self, profile: StreamProfile, operation: str) -> str:
        if operation == "GetProfile":
            return answers.profile(profile, self.profiles[0])
        url = profile.url
        if operation == "GetSnapshotUri":
            url = f"http://{self.address}{_SNAPSHOT_PATH}{profile.token}.jpg"
        if self.quirk is Quirk.WRONG_HOST_IN_URI:
            url = url.replace(f"//{HOST}", f"//{WRONG_HOST}", 1)
        return answers.media_uri(operation, url)

    async def _answer_snapshot(self, request: web.Request) -> web.Response:
        if not self._digest.admits("GET", request.headers.get("Authorization", "")):
            challenge = {"WWW-Authenticate": self._digest.challenge()}
            return web.Response(status=401, headers=challenge)
        token = request.path.removeprefix(_SNAPSHOT_PATH).removesuffix(".jpg")
        if self._snapshot is None or token not in {one.token for one in self.profiles}:
            return web.Response(status=404, text="Not Found")
        picture = await self._snapshot(token)
        return web.Response(body=picture, content_type="image/jpeg")


def _unknown(operation: str) -> str:
    return answers.fault("ActionNotSupported", f"{operation} is not supported.", role="Receiver")
