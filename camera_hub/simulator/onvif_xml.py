"""What the simulated ONVIF device answers, as SOAP documents.

Element names and their order are those of the ONVIF device and media (version 10) schemas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

DEVICE_NS = "http://www.onvif.org/ver10/device/wsdl"
MEDIA_NS = "http://www.onvif.org/ver10/media/wsdl"
_NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" '
    'xmlns:ter="http://www.onvif.org/ver10/error" '
    f'xmlns:tds="{DEVICE_NS}" xmlns:trt="{MEDIA_NS}"'
)


@dataclass(frozen=True)
class Identity:
    """What a device says of itself."""

    manufacturer: str = "Camera Hub"
    model: str = "Virtual camera"
    firmware: str = "1.0"
    serial: str = "0"


@dataclass(frozen=True)
class StreamProfile:
    """One media profile: an H.264 stream at `url`; bit rate in kbit/s, GOP in frames."""

    token: str
    url: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int
    gop: int


def envelope(body: str) -> str:
    """Return a SOAP 1.2 document around `body`."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f"<s:Envelope {_NAMESPACES}><s:Body>{body}</s:Body></s:Envelope>"
    )


def fault(subcode: str, reason: str, *, role: str = "Sender") -> str:
    """Return a fault with a subcode of the ONVIF error namespace."""
    return envelope(
        f"<s:Fault><s:Code><s:Value>s:{role}</s:Value>"
        f"<s:Subcode><s:Value>ter:{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )


def system_date_and_time(now: datetime) -> str:
    """Answer GetSystemDateAndTime; `now` is in UTC."""
    parts = (
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
        f"<tt:Day>{now.day}</tt:Day></tt:Date>"
    )
    return envelope(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>Manual</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
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


def services(device_url: str, media_url: str | None) -> str:
    """Answer GetServices; None for a device without media."""
    found = [(DEVICE_NS, device_url)] + ([(MEDIA_NS, media_url)] if media_url else [])
    entries = "".join(
        f"<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{escape(url)}"
        "</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version>"
        "</tds:Service>"
        for namespace, url in found
    )
    return envelope(f"<tds:GetServicesResponse>{entries}</tds:GetServicesResponse>")


def capabilities(device_url: str, media_url: str | None) -> str:
    """Answer GetCapabilities; None for a device without media."""
    media = (
        f"<tt:Media><tt:XAddr>{escape(media_url)}</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
        "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
        if media_url
        else ""
    )
    return envelope(
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"<tt:Device><tt:XAddr>{escape(device_url)}</tt:XAddr></tt:Device>{media}"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def profiles(found: Sequence[StreamProfile]) -> str:
    """Answer GetProfiles."""
    return envelope(
        "<trt:GetProfilesResponse>"
        + "".join(_profile("trt:Profiles", one, found[0]) for one in found)
        + "</trt:GetProfilesResponse>"
    )


def profile(one: StreamProfile, main: StreamProfile) -> str:
    """Answer GetProfile; the video source is as large as the profile `main`."""
    return envelope(
        f"<trt:GetProfileResponse>{_profile('trt:Profile', one, main)}</trt:GetProfileResponse>"
    )


def _profile(tag: str, one: StreamProfile, main: StreamProfile) -> str:
    token = escape(one.token)
    return (
        f'<{tag} token="{token}" fixed="true"><tt:Name>{token}</tt:Name>'
        '<tt:VideoSourceConfiguration token="source_config"><tt:Name>source</tt:Name>'
        "<tt:UseCount>2</tt:UseCount><tt:SourceToken>source</tt:SourceToken>"
        f'<tt:Bounds x="0" y="0" width="{main.width}" height="{main.height}"/>'
        "</tt:VideoSourceConfiguration>"
        f'<tt:VideoEncoderConfiguration token="encoder_{token}"><tt:Name>{token}</tt:Name>'
        "<tt:UseCount>1</tt:UseCount><tt:Encoding>H264</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{one.width}</tt:Width><tt:Height>{one.height}</tt:Height>"
        "</tt:Resolution><tt:Quality>4</tt:Quality>"
        f"<tt:RateControl><tt:FrameRateLimit>{round(one.fps)}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval>"
        f"<tt:BitrateLimit>{one.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>"
        f"<tt:H264><tt:GovLength>{one.gop}</tt:GovLength>"
        "<tt:H264Profile>Baseline</tt:H264Profile></tt:H264>"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address>"
        "</tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart>"
        "</tt:Multicast><tt:SessionTimeout>PT60S</tt:SessionTimeout>"
        f"</tt:VideoEncoderConfiguration></{tag}>"
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
