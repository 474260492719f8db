"""What the simulated ONVIF device answers, as SOAP documents.

Element names and their order are those of the ONVIF device and media (version 10) schemas.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

DEVICE_NS = "http://www.onvif.org/ver10/device/wsdl"
MEDIA_NS = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2_NS = "http://www.onvif.org/ver20/media/wsdl"
PTZ_NS = "http://www.onvif.org/ver20/ptz/wsdl"
EVENTS_NS = "http://www.onvif.org/ver10/events/wsdl"
NOTIFY_NS = "http://docs.oasis-open.org/wsn/b-2"
SCHEMA_NS = "http://www.onvif.org/ver10/schema"
_NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    f'xmlns:tt="{SCHEMA_NS}" '
    'xmlns:ter="http://www.onvif.org/ver10/error" '
    f'xmlns:tds="{DEVICE_NS}" xmlns:trt="{MEDIA_NS}" xmlns:tr2="{MEDIA2_NS}" '
    f'xmlns:tptz="{PTZ_NS}" xmlns:tev="{EVENTS_NS}" xmlns:wsnt="{NOTIFY_NS}" '
    'xmlns:wsa5="http://www.w3.org/2005/08/addressing" '
    'xmlns:tns1="http://www.onvif.org/ver10/topics"'
)
MULTICAST = (
    "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address>"
    "</tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart>"
    "</tt:Multicast>"
)


class SoapFaultError(Exception):
    """What a service answers with a fault: its subcode, its reason, whose mistake it is."""

    def __init__(self, subcode: str, reason: str, *, role: str = "Sender") -> None:
        super().__init__(reason)
        self.subcode = subcode
        self.reason = reason
        self.role = role


def unsupported(operation: str) -> SoapFaultError:
    """Return the fault of an operation that the device does not know."""
    return SoapFaultError("ActionNotSupported", f"{operation} is not supported.", role="Receiver")


def without(text: str, tag: str) -> str:
    """Return a document without the elements `tag` (written with its prefix)."""
    return re.sub(rf"<{tag}[ >].*?</{tag}>", "", text, flags=re.DOTALL)


def with_content(text: str, tag: str, value: str) -> str:
    """Return a document in which every element `tag` holds `value`."""
    return re.sub(rf"(<{tag}>)[^<]*(</{tag}>)", rf"\g<1>{value}\g<2>", text)


@dataclass(frozen=True)
class Identity:
    """What a device says of itself."""

    manufacturer: str = "Camera Hub"
    model: str = "Virtual camera"
    firmware: str = "1.0"
    serial: str = "0"


@dataclass(frozen=True)
class StreamProfile:
    """One media profile: a stream at `url`; bit rate in kbit/s, GOP in frames.

    `encoding` is as version 10 says it: `H264`, `H265`, `JPEG`. `metadata` and `analytics` say
    whether those configurations are in it.
    """

    token: str
    url: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int
    gop: int
    encoding: str = "H264"
    metadata: bool = False
    analytics: bool = False


def envelope(body: str) -> str:
    """Return a SOAP 1.2 document around `body`."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f"<s:Envelope {_NAMESPACES}><s:Body>{body}</s:Body></s:Envelope>"
    )


def time_of(at: datetime) -> str:
    """Return a time in UTC as XML Schema writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def fault(subcode: str, reason: str, *, role: str = "Sender") -> str:
    """Return a fault with a subcode of the ONVIF error namespace."""
    return envelope(
        f"<s:Fault><s:Code><s:Value>s:{role}</s:Value>"
        f"<s:Subcode><s:Value>ter:{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )


def system_date_and_time(now: datetime, *, by_ntp: bool = False) -> str:
    """Answer GetSystemDateAndTime; `now` is in UTC."""
    parts = (
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
        f"<tt:Day>{now.day}</tt:Day></tt:Date>"
    )
    return envelope(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        f"<tt:DateTimeType>{'NTP' if by_ntp else 'Manual'}</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings>"
        f"<tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone><tt:UTCDateTime>{parts}</tt:UTCDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def device_information(identity: Identity) -> str:
    """Answer GetDeviceInformation."""
    return envelope(
        "<tds:GetDeviceInformationResponse>"
        f"<tds:Manufacturer>{escape(identity.manufacturer)}</tds:Manufacturer>"
        f"<tds:Model>{escape(identity.model)}</tds:Model>"
        f"<tds:FirmwareVersion>{escape(identity.firmware)}</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{escape(identity.serial)}</tds:SerialNumber>"
        "<tds:HardwareId>simulator</tds:HardwareId></tds:GetDeviceInformationResponse>"
    )


def services_at(found: Mapping[str, str]) -> str:
    """Answer GetServices: namespaces and addresses."""
    entries = "".join(
        f"<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{escape(url)}"
        "</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version>"
        "</tds:Service>"
        for namespace, url in found.items()
    )
    return envelope(f"<tds:GetServicesResponse>{entries}</tds:GetServicesResponse>")


def capabilities_at(found: Mapping[str, str]) -> str:
    """Answer GetCapabilities; it knows the services of version 10 and PTZ only."""
    device = f"<tt:Device><tt:XAddr>{escape(found[DEVICE_NS])}</tt:XAddr></tt:Device>"
    events = media = ptz = ""
    if EVENTS_NS in found:
        events = (
            f"<tt:Events><tt:XAddr>{escape(found[EVENTS_NS])}</tt:XAddr>"
            "<tt:WSSubscriptionPolicySupport>true</tt:WSSubscriptionPolicySupport>"
            "<tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
            "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
            "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>"
        )
    if MEDIA_NS in found:
        media = (
            f"<tt:Media><tt:XAddr>{escape(found[MEDIA_NS])}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
        )
    if PTZ_NS in found:
        ptz = f"<tt:PTZ><tt:XAddr>{escape(found[PTZ_NS])}</tt:XAddr></tt:PTZ>"
    return envelope(
        f"<tds:GetCapabilitiesResponse><tds:Capabilities>{device}{events}{media}{ptz}"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def services(device_url: str, media_url: str | None) -> str:
    """Answer GetServices of a device with version 10 of media, or without (None)."""
    return services_at({DEVICE_NS: device_url} | ({MEDIA_NS: media_url} if media_url else {}))


def capabilities(device_url: str, media_url: str | None) -> str:
    """Answer GetCapabilities of a device with version 10 of media, or without (None)."""
    return capabilities_at({DEVICE_NS: device_url} | ({MEDIA_NS: media_url} if media_url else {}))


def profiles(
    found: Sequence[StreamProfile],
    more: Callable[[StreamProfile], str] = lambda _one: "",
    *,
    bare: Collection[StreamProfile] = (),
) -> str:
    """Answer GetProfiles; `more` gives the rest of each profile, `bare` are without encoder."""
    return envelope(
        "<trt:GetProfilesResponse>"
        + "".join(_profile("trt:Profiles", one, found[0], more(one), one in bare) for one in found)
        + "</trt:GetProfilesResponse>"
    )


def profile(one: StreamProfile, main: StreamProfile, *, more: str = "") -> str:
    """Answer GetProfile; the video source is as large as the profile `main`."""
    return envelope(
        f"<trt:GetProfileResponse>{_profile('trt:Profile', one, main, more)}"
        "</trt:GetProfileResponse>"
    )


def _profile(
    tag: str, one: StreamProfile, main: StreamProfile, more: str = "", bare: bool = False
) -> str:
    token = escape(one.token)
    return (
        f'<{tag} token="{token}" fixed="true"><tt:Name>{token}</tt:Name>'
        '<tt:VideoSourceConfiguration token="source_config"><tt:Name>source</tt:Name>'
        "<tt:UseCount>2</tt:UseCount><tt:SourceToken>source</tt:SourceToken>"
        f'<tt:Bounds x="0" y="0" width="{main.width}" height="{main.height}"/>'
        "</tt:VideoSourceConfiguration>"
        f"{'' if bare else encoder('tt:VideoEncoderConfiguration', one)}{more}</{tag}>"
    )


def encoder(tag: str, one: StreamProfile) -> str:
    """Return the video encoder configuration of a profile, as version 10 has it."""
    token = escape(one.token)
    special = ""
    if one.encoding == "H264":
        special = (
            f"<tt:H264><tt:GovLength>{one.gop}</tt:GovLength>"
            "<tt:H264Profile>Baseline</tt:H264Profile></tt:H264>"
        )
    return (
        f'<{tag} token="encoder_{token}"><tt:Name>{token}</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{one.encoding}</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{one.width}</tt:Width><tt:Height>{one.height}</tt:Height>"
        "</tt:Resolution><tt:Quality>4</tt:Quality>"
        f"<tt:RateControl><tt:FrameRateLimit>{round(one.fps)}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval>"
        f"<tt:BitrateLimit>{one.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>"
        f"{special}{MULTICAST}<tt:SessionTimeout>PT60S</tt:SessionTimeout></{tag}>"
    )


def media_uri(operation: str, url: str) -> str:
    """Answer GetStreamUri or GetSnapshotUri."""
    return envelope(
        f"<trt:{operation}Response><trt:MediaUri><tt:Uri>{escape(url)}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
        f"</trt:MediaUri></trt:{operation}Response>"
    )


def entity_bomb() -> str:
    """Return a document that grows to gigabytes in a parser that resolves entities."""
    entities = "".join(
        f'<!ENTITY e{level} "{"&e" + str(level - 1) + ";" if level else "ha"}'
        f'{("&e" + str(level - 1) + ";") * 9 if level else ""}">'
        for level in range(10)
    )
    document = envelope("<tds:GetSystemDateAndTimeResponse>&e9;</tds:GetSystemDateAndTimeResponse>")
    declaration, _, rest = document.partition("?>")
    return f"{declaration}?><!DOCTYPE bomb [{entities}]>{rest}"
