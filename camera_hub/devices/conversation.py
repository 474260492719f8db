"""A signed conversation with one ONVIF device: its clock, its services, questions and answers.

Requests are written and answers read here rather than with an ONVIF library: those know Media1
only, read answers by a schema that devices do not keep to, and take a second to load.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import aiohttp

from camera_hub.devices import soap
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.elements import (
    NAMESPACES,
    Element,
    address,
    every,
    first,
    name_of,
    node,
    number,
    text,
)
from camera_hub.devices.errors import (
    CameraRefusedError,
    CameraUnauthorisedError,
    slow_camera,
)
from camera_hub.devices.urls import service_url
from core.clock import Clock

_DIGEST_TYPE = (
    "http://docs.oasis-open.org/wss/2004/01/"
    "oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
)
_BASE64 = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)
_QUARTER_S = 900
"""Time zones differ by quarters of an hour."""
_CAPABILITIES = {"Media": "trt", "PTZ": "tptz", "Events": "tev"}
"""Services by the names that GetCapabilities of old devices has for them."""
_FIRST_YEAR, _LAST_YEAR = 1970, 2999
"""A clock outside these is no clock; near the end of all dates nothing could be added to it."""


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """What a device says of its clock; `offset` is its time minus ours, None if unreadable.

    `mode` is `manual`, `ntp` or ""; `timezone` is a POSIX TZ text, "" if it says none.
    """

    offset: timedelta | None
    mode: str = ""
    timezone: str = ""
    daylight_saving: bool = False


class Conversation:
    """Talks to the device at `camera`. Each request takes at most `timeout_s` seconds."""

    def __init__(self, camera: CameraAddress, clock: Clock, *, timeout_s: float = 5.0) -> None:
        self.camera = camera
        self.clock = clock
        self.timeout_s = timeout_s
        self.offset: timedelta | None = None
        self.answered_signed = False
        self._own_time = self._tells_no_time = False
        self._services: Mapping[str, str] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._exchange: soap.Exchange | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = self._exchange = None

    async def ask(self, service: str, request: Element, *, signed: bool = True) -> Element:
        """Send `request` to a service, named by its prefix, and return the answer's element.

        Signed if that is wanted and there is a user. A refusal of the account is tried once more
        with our own time where the device's clock may be local time that it calls UTC.

        Raises:
            soap.DeviceFaultError: the device refuses for another reason than the account.
            CameraError: everything else that can go wrong.
        """
        url = self.camera.url if service == "tds" else (await self.services()).get(service, "")
        if not url:
            raise soap.DeviceFaultError(name_of(request), ("NoSuchService",))
        return await self.ask_at(url, request, signed=signed)

    async def ask_at(
        self, url: str, request: Element, *, signed: bool = True, headers: Sequence[Element] = ()
    ) -> Element:
        """Send `request` to `url`, which must be on this device; raises as `ask` does.

        `headers` go beside the signature.
        """
        signed = signed and bool(self.camera.username)
        try:
            return await self._ask_once(url, request, signed, headers)
        except CameraUnauthorisedError:
            if signed and self._tells_no_time and not self.answered_signed:
                raise soap.clock_unknown(self.camera) from None
            if not (signed and self._looks_like_local_time()):
                raise
        # Signed with the local time that the device calls UTC, it may refuse what is right.
        self._own_time = True
        try:
            return await self._ask_once(url, request, signed, headers)
        except CameraUnauthorisedError:
            self._own_time = False
            raise

    def _looks_like_local_time(self) -> bool:
        if self.offset is None or self.answered_signed or self._own_time:
            return False
        seconds = self.offset.total_seconds()
        near = abs(seconds - round(seconds / _QUARTER_S) * _QUARTER_S)
        return _QUARTER_S <= abs(seconds) + 60 <= 15 * 3600 and near <= 60

    async def _ask_once(
        self, url: str, request: Element, signed: bool, headers: Sequence[Element]
    ) -> Element:
        camera = self.camera
        if self._session is None:
            self._session = soap.open_session(
                camera.username,
                camera.password,
                connect_timeout_s=max(self.timeout_s / 2, 0.5),
                reach=camera.reach,
            )
            self._exchange = soap.Exchange(self._session, camera)
        assert self._exchange is not None
        # An element has one place: it is asked twice where a signature is refused.
        more = [deepcopy(header) for header in headers]
        if signed:
            more.append(self._token())
        envelope = node(
            "s:Envelope",
            node("s:Header", *more) if more else None,
            node("s:Body", request),
        )
        action = f"{request.tag[1:].partition('}')[0]}/{name_of(request)}"
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self._exchange.post(url, envelope, action)
        except TimeoutError:
            raise slow_camera(camera.place, self.timeout_s) from None
        except soap.DeviceFaultError as fault:
            if fault.about_credentials:
                raise soap.unauthorised(camera) from None
            raise
        self.answered_signed = self.answered_signed or signed
        return answer

    def _token(self) -> Element:
        """Return who asks, after the OASIS UsernameToken Profile 1.1, section 3.1."""
        nonce = secrets.token_bytes(16)
        offset = timedelta(0) if self._own_time else self.offset or timedelta(0)
        at = self.clock.now() + offset
        created = (
            at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
        )
        # SHA-1 is what the profile prescribes.
        digest = hashlib.sha1(
            nonce + created.encode() + self.camera.password.encode(), usedforsecurity=False
        ).digest()
        return node(
            "wsse:Security",
            node(
                "wsse:UsernameToken",
                node("wsse:Username", self.camera.username),
                node("wsse:Password", base64.b64encode(digest).decode(), Type=_DIGEST_TYPE),
                node("wsse:Nonce", base64.b64encode(nonce).decode(), EncodingType=_BASE64),
                node("wsu:Created", created),
            ),
        )

    async def read_time(self) -> DeviceTime:
        """Read the device's clock, unsigned if it lets; from then on requests are signed with it.

        Raises:
            CameraError: the device cannot be asked. One that does not tell its time is no error.
        """
        request = node("tds:GetSystemDateAndTime")
        before = self.clock.now()
        try:
            try:
                answer = await self.ask("tds", request, signed=False)
            except CameraUnauthorisedError:
                if not self.camera.username:
                    raise
                before = self.clock.now()
                self._tells_no_time = True
                answer = await self.ask("tds", node("tds:GetSystemDateAndTime"))
        except soap.DeviceFaultError:
            self._tells_no_time = True
            return DeviceTime(None)
        ours = before + (self.clock.now() - before) / 2
        said = first(answer, "SystemDateAndTime")
        theirs = _utc_of(first(said, "UTCDateTime"))
        self.offset = None if theirs is None else theirs - ours
        self._tells_no_time = theirs is None
        return DeviceTime(
            offset=self.offset,
            mode=text(said, "DateTimeType").lower(),
            timezone=text(said, "TimeZone/TZ"),
            daylight_saving=text(said, "DaylightSavings").lower() == "true",
        )

    async def services(self) -> Mapping[str, str]:
        """Return where each service is, by prefix, on the host that was entered.

        Asks GetServices, and GetCapabilities of devices that do not have it.

        Raises:
            CameraError: the device cannot be asked, or names what is no address.
        """
        if self._services is None:
            named = await self._named_services() or await self._named_capabilities()
            self._services = {prefix: self._placed(url) for prefix, url in named.items()}
        return self._services

    def _placed(self, url: str) -> str:
        try:
            return service_url(url, self.camera)
        except ValueError:
            what = "the address of one of its services is none"
            raise soap.malformed(self.camera.place, what) from None

    async def _named_services(self) -> dict[str, str]:
        wanted = {NAMESPACES[p]: p for p in ("trt", "tr2", "tptz", "tev")}
        request = node("tds:GetServices", node("tds:IncludeCapability", "false"))
        try:
            answer = await self.ask("tds", request)
        except soap.DeviceFaultError:
            return {}
        named: dict[str, str] = {}
        for service in every(answer, "Service"):
            prefix = wanted.get(text(service, "Namespace"))
            if prefix and (url := address(service, "XAddr")):
                named.setdefault(prefix, url)
        return named

    async def _named_capabilities(self) -> dict[str, str]:
        try:
            request = node("tds:GetCapabilities", node("tds:Category", "All"))
            answer = await self.ask("tds", request)
        except soap.DeviceFaultError:
            return {}
        found = first(answer, "Capabilities")
        return {
            prefix: url
            for name, prefix in _CAPABILITIES.items()
            if (url := address(found, f"{name}/XAddr"))
        }


def refused(camera: CameraAddress, fault: soap.DeviceFaultError, what: str) -> CameraRefusedError:
    """Return the error of a device that will not do `what`, in its own words if it has any."""
    said = f": {fault.reason}" if fault.reason else ""
    return CameraRefusedError(
        f"The camera at {camera.place} refuses {what}{said}.",
        remedy="Its firmware may not know this, or the account may not do it: try the camera's "
        "own settings page, or an account with more rights.",
    )


def _utc_of(said: Element | None) -> datetime | None:
    """Return the time that an element such as UTCDateTime holds, None if it holds none."""
    parts = [
        number(said, path)
        for path in (
            "Date/Year",
            "Date/Month",
            "Date/Day",
            "Time/Hour",
            "Time/Minute",
            "Time/Second",
        )
    ]
    if any(part is None for part in parts):
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        # A leap second is no second of ours.
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
