"""The simulated media service, version 10 (profile S)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol
from xml.etree.ElementTree import Element

from camera_hub.simulator import metadata
from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.encoders import PREFIX, EncoderOptions
from camera_hub.simulator.onvif_xml import SoapFaultError, StreamProfile
from camera_hub.simulator.quirks import Quirk, Quirks

WRONG_HOST = "192.0.2.10"
"""An address of the block for documentation (RFC 5737): nothing answers there."""

_LISTS = frozenset(
    {
        "GetMetadataConfigurations",
        "GetCompatibleMetadataConfigurations",
        "GetVideoAnalyticsConfigurations",
        "GetCompatibleVideoAnalyticsConfigurations",
    }
)
_CHANGES = {
    "AddMetadataConfiguration": ("Metadata", True),
    "RemoveMetadataConfiguration": ("Metadata", False),
    "AddVideoAnalyticsConfiguration": ("Analytics", True),
    "RemoveVideoAnalyticsConfiguration": ("Analytics", False),
}
_TT = f"{{{xml.SCHEMA_NS}}}"


class Media(Protocol):
    """What the media services need of their device."""

    profiles: list[StreamProfile]
    encoder_options: EncoderOptions
    sends_analytics: bool

    @property
    def quirks(self) -> Quirks:
        """How the device misbehaves."""
        ...

    @property
    def ptz_configuration(self) -> str:
        """What a profile says of PTZ; empty without."""
        ...

    def snapshot_url(self, token: str) -> str:
        """Where the picture of a profile is."""
        ...


class Media1:
    """Answers the operations of `http://www.onvif.org/ver10/media/wsdl`."""

    def __init__(self, media: Media) -> None:
        self._media = media

    def answer(self, operation: str, request: Element) -> str:
        """Return the answer's document.

        Raises:
            SoapFaultError: the operation is unknown, or what it asks for.
        """
        asked = {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in request}
        known = {
            "GetServiceCapabilities": self._capabilities,
            "GetProfiles": self._profiles,
            "GetProfile": self._profile,
            "GetStreamUri": lambda asked: self._uri("GetStreamUri", asked),
            "GetSnapshotUri": lambda asked: self._uri("GetSnapshotUri", asked),
            "GetVideoSources": self._sources,
            "GetVideoEncoderConfigurations": self._encoders,
            "GetVideoEncoderConfiguration": self._encoder,
            "GetVideoEncoderConfigurationOptions": self._options,
        }
        if operation == "SetVideoEncoderConfiguration":
            return self._set(request)
        if operation == "SetMetadataConfiguration":
            wanted = request.find(f"{{{xml.MEDIA_NS}}}Configuration")
            return metadata.set_configuration(self._media, wanted, "trt")
        if operation in _LISTS:
            return metadata.configurations(self._media, operation, "trt:Configurations")
        if operation in _CHANGES:
            kind, there = _CHANGES[operation]
            profile, token = asked.get("ProfileToken", ""), asked.get("ConfigurationToken", "")
            metadata.add(self._media, profile, kind, token, there=there)
            return xml.envelope(f"<trt:{operation}Response/>")
        if operation not in known:
            raise xml.unsupported(operation)
        return known[operation](asked)

    def _known(self) -> list[StreamProfile]:
        return profiles_of(self._media)

    def _capabilities(self, _asked: Mapping[str, str]) -> str:
        return xml.envelope(
            "<trt:GetServiceCapabilitiesResponse><trt:Capabilities/>"
            "</trt:GetServiceCapabilitiesResponse>"
        )

    def _profiles(self, _asked: Mapping[str, str]) -> str:
        found = self._known()
        bare = found[1:2] if Quirk.PROFILE_WITHOUT_ENCODER in self._media.quirks else []
        return xml.profiles(found, self._more, bare=bare)

    def _more(self, one: StreamProfile) -> str:
        """Return what a profile has of analytics, PTZ and metadata."""
        return metadata.around(self._media, one, self._media.ptz_configuration, version=1)

    def _profile(self, asked: Mapping[str, str]) -> str:
        one = find_profile(self._media, asked.get("ProfileToken", ""))
        return xml.profile(one, self._known()[0], more=self._more(one))

    def _uri(self, operation: str, asked: Mapping[str, str]) -> str:
        one = find_profile(self._media, asked.get("ProfileToken", ""))
        return xml.media_uri(operation, address_of(self._media, one, operation))

    def _sources(self, _asked: Mapping[str, str]) -> str:
        main = (self._known() or [StreamProfile("main", "", 1280, 720, 25.0, 2000, 25)])[0]
        return xml.envelope(
            '<trt:GetVideoSourcesResponse><trt:VideoSources token="source">'
            f"<tt:Framerate>{main.fps}</tt:Framerate><tt:Resolution><tt:Width>{main.width}"
            f"</tt:Width><tt:Height>{main.height}</tt:Height></tt:Resolution>"
            "</trt:VideoSources></trt:GetVideoSourcesResponse>"
        )

    def _encoders(self, _asked: Mapping[str, str]) -> str:
        return xml.envelope(
            "<trt:GetVideoEncoderConfigurationsResponse>"
            + "".join(xml.encoder("trt:Configurations", one) for one in self._known())
            + "</trt:GetVideoEncoderConfigurationsResponse>"
        )

    def _encoder(self, asked: Mapping[str, str]) -> str:
        one = find_encoder(self._media, asked.get("ConfigurationToken", ""))
        return xml.envelope(
            "<trt:GetVideoEncoderConfigurationResponse>"
            f"{xml.encoder('trt:Configuration', one)}"
            "</trt:GetVideoEncoderConfigurationResponse>"
        )

    def _options(self, asked: Mapping[str, str]) -> str:
        if token := asked.get("ConfigurationToken", ""):
            find_encoder(self._media, token)
        options = self._media.encoder_options
        sizes = "".join(
            f"<tt:ResolutionsAvailable><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>"
            "</tt:ResolutionsAvailable>"
            for width, height in options.resolutions
        )
        common = (
            f"{sizes}{_range('tt:GovLengthRange', options.gop)}"
            f"{_range('tt:FrameRateRange', options.fps)}"
            f"{_range('tt:EncodingIntervalRange', (1, 1))}"
            "<tt:H264ProfilesSupported>Baseline</tt:H264ProfilesSupported>"
            "<tt:H264ProfilesSupported>Main</tt:H264ProfilesSupported>"
        )
        return xml.envelope(
            "<trt:GetVideoEncoderConfigurationOptionsResponse><trt:Options>"
            f"{_range('tt:QualityRange', (1, 6))}<tt:H264>{common}</tt:H264>"
            f"<tt:Extension><tt:H264>{common}{_range('tt:BitrateRange', options.bitrate_kbps)}"
            "</tt:H264></tt:Extension>"
            "</trt:Options></trt:GetVideoEncoderConfigurationOptionsResponse>"
        )

    def _set(self, request: Element) -> str:
        wanted = request.find(f"{{{xml.MEDIA_NS}}}Configuration")
        if wanted is None:
            raise SoapFaultError("InvalidArgVal", "There is no configuration.")
        before = find_encoder(self._media, wanted.get("token", ""))
        rate = f"{_TT}RateControl"
        wish = replace(
            before,
            encoding=wanted.findtext(f"{_TT}Encoding", before.encoding),
            width=number(wanted, f"{_TT}Resolution/{_TT}Width", before.width),
            height=number(wanted, f"{_TT}Resolution/{_TT}Height", before.height),
            fps=float(number(wanted, f"{rate}/{_TT}FrameRateLimit", round(before.fps))),
            bitrate_kbps=number(wanted, f"{rate}/{_TT}BitrateLimit", before.bitrate_kbps),
            gop=number(wanted, f"{_TT}H264/{_TT}GovLength", before.gop),
        )
        set_encoder(self._media, before, wish)
        return xml.envelope("<trt:SetVideoEncoderConfigurationResponse/>")


def profiles_of(media: Media) -> list[StreamProfile]:
    """Return the profiles that the device says it has."""
    if Quirk.NO_PROFILES in media.quirks:
        return []
    if Quirk.DUPLICATE_TOKENS in media.quirks:
        return [replace(one, token=media.profiles[0].token) for one in media.profiles]
    return media.profiles


def find_profile(media: Media, token: str) -> StreamProfile:
    """Return the profile with this token, or raise the fault that there is none."""
    for one in profiles_of(media):
        if one.token == token:
            return one
    raise SoapFaultError("InvalidArgVal", f"There is no profile {token}.")


def find_encoder(media: Media, token: str) -> StreamProfile:
    """Return the profile that this encoder belongs to, or raise the fault that there is none."""
    for one in profiles_of(media):
        if PREFIX + one.token == token:
            return one
    raise SoapFaultError("InvalidArgVal", f"There is no configuration {token}.")


def set_encoder(media: Media, before: StreamProfile, wish: StreamProfile) -> None:
    """Take a wish over, as near as the encoder can; or lie, or refuse, where a quirk says so."""
    if Quirk.ENCODER_REFUSES in media.quirks:
        raise SoapFaultError("ConfigModify", "The configuration cannot be set.")
    if Quirk.ENCODER_LIES in media.quirks:
        return
    taken = media.encoder_options.clamp(wish)
    media.profiles = [taken if one is before else one for one in media.profiles]


def address_of(media: Media, one: StreamProfile, operation: str) -> str:
    """Return the address of a stream or snapshot, as the device tells it."""
    url = one.url
    if operation == "GetSnapshotUri":
        url = media.snapshot_url(one.token)
        if Quirk.EMPTY_SNAPSHOT_URI in media.quirks:
            return ""
    if Quirk.WRONG_HOST_IN_URI in media.quirks:
        url = url.replace("//127.0.0.1", f"//{WRONG_HOST}", 1)
    return url


def number(element: Element, path: str, otherwise: int) -> int:
    """Return a whole number of a request.

    Raises:
        SoapFaultError: there is something else.
    """
    text = element.findtext(path)
    if text is None:
        return otherwise
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        raise SoapFaultError("InvalidArgVal", f"{text} is no number.") from None


def _range(tag: str, limits: tuple[int, int]) -> str:
    return f"<{tag}><tt:Min>{limits[0]}</tt:Min><tt:Max>{limits[1]}</tt:Max></{tag}>"
