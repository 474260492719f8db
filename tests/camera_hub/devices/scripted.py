"""A device that answers each operation with what a test wrote down, and notes what it was asked."""

import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from camera_hub.simulator import onvif_xml as xml

Answer = str | Callable[[web.Request], web.StreamResponse]
_OPERATION = re.compile(rb"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)")


class ScriptedDevice:
    """One device on loopback. `answers` maps an operation to a SOAP document or a response.

    `asked` holds (operation, whether it was signed) in order, `paths` the paths asked for, `bodies`
    what was sent.
    """

    def __init__(self) -> None:
        self.port = 0
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, bool]] = []
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    async def start(self, certificate: ssl.SSLContext | None = None) -> None:
        """Listen and answer as a good camera with one H.264 profile does."""
        self._scheme = "https" if certificate else "http"
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=certificate).start()
        self.port = self._runner.addresses[0][1]
        device, media = self.url("/onvif/device_service"), self.url("/onvif/media")
        profile = xml.StreamProfile("one", "", 1280, 720, 25, 2000, 25)
        self.answers = {
            "GetSystemDateAndTime": xml.system_date_and_time(datetime.now(UTC)),  # noqa: TID251
            "GetDeviceInformation": xml.device_information(xml.Identity()),
            "GetServices": xml.services(device, media),
            "GetCapabilities": xml.capabilities(device, media),
            "GetProfiles": xml.profiles([profile]),
            "GetStreamUri": xml.media_uri("GetStreamUri", "rtsp://127.0.0.1:8554/one"),
            "GetSnapshotUri": xml.media_uri("GetSnapshotUri", self.url("/one.jpg")),
        }

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """Return the address of `path` on this device."""
        return f"{self._scheme}://{self.address}{path}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        found = _OPERATION.search(body)
        operation = found[1].decode() if found else ""
        self.asked.append((operation, b"UsernameToken" in body))
        self.paths.append(request.path)
        self.bodies.append(body)
        answer = self.answers.get(operation)
        if answer is None:
            fault = xml.fault("ActionNotSupported", "Not supported.", role="Receiver")
            return web.Response(status=500, text=fault, content_type="application/soap+xml")
        if callable(answer):
            return answer(request)
        status = 400 if "<s:Fault>" in answer else 200
        return web.Response(status=status, text=answer, content_type="application/soap+xml")
