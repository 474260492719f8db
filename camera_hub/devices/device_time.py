"""A camera's clock, and its restart: read, set by hand, or handed to a time server."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, timedelta

from camera_hub.devices.conversation import Conversation, DeviceTime, refused
from camera_hub.devices.elements import Element, every, first, node, text, truth
from camera_hub.devices.errors import MalformedAnswerError
from camera_hub.devices.soap import DeviceFaultError
from core.errors import InvalidInputError

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_MOST = 4


async def read_servers(talk: Conversation) -> tuple[bool, list[str]]:
    """Return whether the camera takes its time servers from DHCP, and which it has.

    Raises:
        CameraError: the camera cannot be asked. One that does not tell has none.
    """
    try:
        answer = await talk.ask("tds", node("tds:GetNTP"))
    except (DeviceFaultError, MalformedAnswerError):
        return False, []
    said = first(answer, "NTPInformation")
    by_dhcp = truth(said, "FromDHCP")
    servers = every(said, "NTPFromDHCP" if by_dhcp else "NTPManual")
    names = [
        text(one, "DNSname") or text(one, "IPv4Address") or text(one, "IPv6Address")
        for one in list(servers)[:_MOST]
    ]
    return by_dhcp, [name for name in names if name]


async def follow_server(talk: Conversation, server: str) -> DeviceTime:
    """Let the camera take its time from `server` ("": those that DHCP names); return its clock.

    Raises:
        InvalidInputError: `server` is neither a name nor an IP address; code `invalid-server`.
        CameraError: the camera cannot be asked, or refuses.
    """
    request = node("tds:SetNTP", node("tds:FromDHCP", "false" if server else "true"))
    if server:
        request.append(_host(server))
    now = await talk.read_time()
    try:
        await talk.ask("tds", request)
        await talk.ask("tds", _set_request("NTP", now))
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, "to follow a time server") from None
    return await talk.read_time()


async def set_now(talk: Conversation) -> DeviceTime:
    """Set the camera's clock to ours and return it as it is then.

    The protocol has whole seconds; half a second is added so that the error is at most that.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    now = await talk.read_time()
    at = talk.clock.now().astimezone(UTC) + timedelta(seconds=0.5)
    moment = node(
        "tds:UTCDateTime",
        node(
            "tt:Time",
            node("tt:Hour", str(at.hour)),
            node("tt:Minute", str(at.minute)),
            node("tt:Second", str(at.second)),
        ),
        node(
            "tt:Date",
            node("tt:Year", str(at.year)),
            node("tt:Month", str(at.month)),
            node("tt:Day", str(at.day)),
        ),
    )
    request = _set_request("Manual", now)
    request.append(moment)
    try:
        await talk.ask("tds", request)
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, "to set its clock") from None
    return await talk.read_time()


async def restart(talk: Conversation) -> None:
    """Let the camera restart; it is away for a minute or so.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    try:
        await talk.ask("tds", node("tds:SystemReboot"))
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, "to restart") from None


def _set_request(kind: str, now: DeviceTime) -> Element:
    """Return a request that keeps the camera's own time zone."""
    return node(
        "tds:SetSystemDateAndTime",
        node("tds:DateTimeType", kind),
        node("tds:DaylightSavings", "true" if now.daylight_saving else "false"),
        node("tds:TimeZone", node("tt:TZ", now.timezone)) if now.timezone else None,
    )


def _host(server: str) -> Element:
    """Return a time server as the camera is told of it."""
    try:
        ip = ipaddress.ip_address(server)
    except ValueError:
        if not _HOST_NAME.fullmatch(server):
            raise InvalidInputError(
                "The time server is neither a name nor an IP address.",
                remedy="Enter a name such as ntp.example.org, an address, or nothing for DHCP.",
                code="invalid-server",
            ) from None
        return node("tds:NTPManual", node("tt:Type", "DNS"), node("tt:DNSname", server))
    version = f"IPv{ip.version}"
    return node("tds:NTPManual", node("tt:Type", version), node(f"tt:{version}Address", str(ip)))
