"""The simulated device management service: what it is, where its services are, its clock."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.onvif_xml import Identity, SoapFaultError
from camera_hub.simulator.quirks import Quirk, Quirks
from core.clock import Clock

_TDS = f"{{{xml.DEVICE_NS}}}"
_TT = f"{{{xml.SCHEMA_NS}}}"
LOCAL_TIME = timedelta(hours=8)
"""What `local-time-as-utc` adds to the time it tells; signatures are held against the true one."""


class DeviceClock:
    """A device's own clock: the true time and how far it is off."""

    def __init__(self, clock: Clock, skew: timedelta) -> None:
        self.skew = skew
        self.by_ntp = False
        self.ntp_servers: list[str] = []
        self._clock = clock

    def now(self, quirks: Quirks) -> datetime:
        """Return what it shows as UTC."""
        shown = self._clock.now() + self.skew
        return shown + LOCAL_TIME if Quirk.LOCAL_TIME_AS_UTC in quirks else shown

    def set(self, at: datetime) -> None:
        """Show `at` from now on."""
        self.skew = at - self._clock.now()
        self.by_ntp = False

    def follow_ntp(self) -> None:
        """Show the true time from now on; there is a server in the simulated network."""
        self.skew = timedelta(0)
        self.by_ntp = True


class Management:
    """Answers the operations of `http://www.onvif.org/ver10/device/wsdl`.

    `services` gives namespaces and addresses, `reboot` begins a restart.
    """

    def __init__(
        self,
        identity: Identity,
        clock: DeviceClock,
        services: Callable[[], Mapping[str, str]],
        reboot: Callable[[], None],
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._services = services
        self._reboot = reboot

    def answer(self, operation: str, request: Element, quirks: Quirks) -> str:
        """Return the answer's document.

        Raises:
            SoapFaultError: the operation is unknown, or what it asks for.
        """
        known = {
            "GetSystemDateAndTime": lambda _request: self._date_and_time(quirks),
            "GetDeviceInformation": lambda _request: xml.device_information(self._identity),
            "GetServices": lambda _request: xml.services_at(self._services()),
            "GetCapabilities": lambda _request: xml.capabilities_at(self._services()),
            "GetScopes": lambda _request: _scopes(self._identity),
            "GetNTP": self._ntp,
            "SetNTP": self._set_ntp,
            "SetSystemDateAndTime": self._set_time,
            "SystemReboot": self._restart,
        }
        missing = {
            Quirk.NO_CLOCK: "GetSystemDateAndTime",
            Quirk.NO_GET_SERVICES: "GetServices",
        }
        if operation not in known or operation in {missing.get(quirk) for quirk in quirks}:
            raise xml.unsupported(operation)
        return known[operation](request)

    def _date_and_time(self, quirks: Quirks) -> str:
        return xml.system_date_and_time(self._clock.now(quirks), by_ntp=self._clock.by_ntp)

    def _restart(self, _request: Element) -> str:
        self._reboot()
        return xml.envelope(
            "<tds:SystemRebootResponse><tds:Message>Rebooting</tds:Message>"
            "</tds:SystemRebootResponse>"
        )

    def _ntp(self, _request: Element) -> str:
        servers = "".join(
            "<tt:NTPManual><tt:Type>DNS</tt:Type>"
            f"<tt:DNSname>{escape(name)}</tt:DNSname></tt:NTPManual>"
            for name in self._clock.ntp_servers
        )
        return xml.envelope(
            "<tds:GetNTPResponse><tds:NTPInformation><tt:FromDHCP>false</tt:FromDHCP>"
            f"{servers}</tds:NTPInformation></tds:GetNTPResponse>"
        )

    def _set_ntp(self, request: Element) -> str:
        found = []
        for one in request.iter(f"{_TDS}NTPManual"):
            for tag in ("DNSname", "IPv4Address", "IPv6Address"):
                if name := one.findtext(f"{_TT}{tag}"):
                    found.append(name)
        self._clock.ntp_servers = found
        return xml.envelope("<tds:SetNTPResponse/>")

    def _set_time(self, request: Element) -> str:
        kind = request.findtext(f"{_TDS}DateTimeType", "")
        if kind == "NTP":
            self._clock.follow_ntp()
        elif kind == "Manual":
            utc = request.find(f"{_TDS}UTCDateTime")
            if utc is None:
                raise SoapFaultError("InvalidDateTime", "There is no time.")
            date, time = f"{_TT}Date/{_TT}", f"{_TT}Time/{_TT}"
            paths = [f"{date}Year", f"{date}Month", f"{date}Day"]
            paths += [f"{time}Hour", f"{time}Minute", f"{time}Second"]
            try:
                year, month, day, *rest = (int(utc.findtext(path, "")) for path in paths)
                hour, minute, second = rest
                at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            except ValueError:
                raise SoapFaultError("InvalidDateTime", "The time is none.") from None
            self._clock.set(at)
        else:
            raise SoapFaultError("InvalidArgVal", f"{kind} is no way to keep time.")
        return xml.envelope("<tds:SetSystemDateAndTimeResponse/>")


def scopes_of(identity: Identity) -> list[str]:
    """Return what the device tells of itself in scopes."""
    return [
        "onvif://www.onvif.org/type/video_encoder",
        "onvif://www.onvif.org/Profile/Streaming",
        "onvif://www.onvif.org/Profile/T",
        f"onvif://www.onvif.org/name/{quote(identity.manufacturer)}",
        f"onvif://www.onvif.org/hardware/{quote(identity.model)}",
    ]


def _scopes(identity: Identity) -> str:
    entries = "".join(
        "<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef>"
        f"<tt:ScopeItem>{escape(scope)}</tt:ScopeItem></tds:Scopes>"
        for scope in scopes_of(identity)
    )
    return xml.envelope(f"<tds:GetScopesResponse>{entries}</tds:GetScopesResponse>")
