"""The simulated media service, version 20 (profile T)."""

from collections.abc import Mapping
from dataclasses import replace
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from camera_hub.simulator import metadata
from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.encoders import PREFIX
from camera_hub.simulator.media1 import (
    Media,
    address_of,
    find_encoder,
    find_profile,
    number,
    profiles_of,
    set_encoder,
)
from camera_hub.simulator.onvif_xml import SoapFaultError, StreamProfile
from camera_hub.simulator.quirks import Quirk

_TT = f"{{{xml.SCHEMA_NS}}}"


class Media2:
    """Answers the operations of `http://www.onvif.org/ver20/media/wsdl`."""

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
            "GetStreamUri": lambda asked: self._uri("GetStreamUri", asked),
            "GetSnapshotUri": lambda asked: self._uri("GetSnapshotUri", asked),
            "GetVideoEncoderConfigurations": self._encoders,
            "GetVideoEncoderConfigurationOptions": self._options,
        }
        if operation == "SetVideoEncoderConfiguration":
            return self._set(request)
        if operation == "SetMetadataConfiguration":
            wanted = request.find(f"{{{xml.MEDIA2_NS}}}Configuration")
            return metadata.set_configuration(self._media, wanted, "tr2")
        if operation in ("GetMetadataConfigurations", "GetAnalyticsConfigurations"):
            return metadata.configurations(self._media, operation, "tr2:Configurations")
        if operation in ("AddConfiguration", "RemoveConfiguration"):
            return self._change(operation, request, asked.get("ProfileToken", ""))
        if operation not in known:
            raise xml.unsupported(operation)
        return known[operation](asked)

    def _change(self, operation: str, request: Element, profile: str) -> str:
        for one in request.findall(f"{{{xml.MEDIA2_NS}}}Configuration"):
            kind = one.findtext(f"{{{xml.MEDIA2_NS}}}Type", "")
            token = one.findtext(f"{{{xml.MEDIA2_NS}}}Token", "")
            there = operation == "AddConfiguration"
            metadata.add(self._media, profile, kind, token, there=there)
        return xml.envelope(f"<tr2:{operation}Response/>")

    def _capabilities(self, _asked: Mapping[str, str]) -> str:
        return xml.envelope(
            '<tr2:GetServiceCapabilitiesResponse><tr2:Capabilities SnapshotUri="true">'
            '<tr2:ProfileCapabilities MaximumNumberOfProfiles="4"/>'
            '<tr2:StreamingCapabilities RTSPStreaming="true" RTP_RTSP_TCP="true"/>'
            "</tr2:Capabilities></tr2:GetServiceCapabilitiesResponse>"
        )

    def _profiles(self, asked: Mapping[str, str]) -> str:
        found = profiles_of(self._media)
        if token := asked.get("Token", ""):
            found = [find_profile(self._media, token)]
        bare = found[1:2] if Quirk.PROFILE_WITHOUT_ENCODER in self._media.quirks else []
        return xml.envelope(
            "<tr2:GetProfilesResponse>"
            + "".join(self._profile(one, one in bare) for one in found)
            + "</tr2:GetProfilesResponse>"
        )

    def _profile(self, one: StreamProfile, bare: bool) -> str:
        token = escape(one.token)
        main = self._media.profiles[0]
        ptz = self._media.ptz_configuration.replace("tt:PTZConfiguration", "tr2:PTZ")
        more = metadata.around(self._media, one, ptz, version=2)
        return (
            f'<tr2:Profiles token="{token}" fixed="true"><tr2:Name>{token}</tr2:Name>'
            '<tr2:Configurations><tr2:VideoSource token="source_config"><tt:Name>source</tt:Name>'
            "<tt:UseCount>2</tt:UseCount><tt:SourceToken>source</tt:SourceToken>"
            f'<tt:Bounds x="0" y="0" width="{main.width}" height="{main.height}"/>'
            f"</tr2:VideoSource>{'' if bare else _encoder('tr2:VideoEncoder', one)}{more}"
            "</tr2:Configurations></tr2:Profiles>"
        )

    def _uri(self, operation: str, asked: Mapping[str, str]) -> str:
        one = find_profile(self._media, asked.get("ProfileToken", ""))
        url = address_of(self._media, one, operation)
        return xml.envelope(
            f"<tr2:{operation}Response><tr2:Uri>{escape(url)}</tr2:Uri></tr2:{operation}Response>"
        )

    def _encoders(self, asked: Mapping[str, str]) -> str:
        found = profiles_of(self._media)
        if token := asked.get("ConfigurationToken", ""):
            found = [find_encoder(self._media, token)]
        elif token := asked.get("ProfileToken", ""):
            found = [find_profile(self._media, token)]
        return xml.envelope(
            "<tr2:GetVideoEncoderConfigurationsResponse>"
            + "".join(_encoder("tr2:Configurations", one) for one in found)
            + "</tr2:GetVideoEncoderConfigurationsResponse>"
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
        rates = " ".join(str(fps) for fps in range(options.fps[1], options.fps[0] - 1, -1))
        low, high = options.bitrate_kbps
        entries = "".join(
            f'<tr2:Options GovLengthRange="{options.gop[0]} {options.gop[1]}" '
            f'FrameRatesSupported="{rates}" ProfilesSupported="Main High">'
            f"<tt:Encoding>{encoding}</tt:Encoding><tt:QualityRange><tt:Min>1</tt:Min>"
            f"<tt:Max>6</tt:Max></tt:QualityRange>{sizes}<tt:BitrateRange><tt:Min>{low}</tt:Min>"
            f"<tt:Max>{high}</tt:Max></tt:BitrateRange></tr2:Options>"
            for encoding in options.encodings
        )
        return xml.envelope(
            "<tr2:GetVideoEncoderConfigurationOptionsResponse>"
            f"{entries}</tr2:GetVideoEncoderConfigurationOptionsResponse>"
        )

    def _set(self, request: Element) -> str:
        wanted = request.find(f"{{{xml.MEDIA2_NS}}}Configuration")
        if wanted is None:
            raise SoapFaultError("InvalidArgVal", "There is no configuration.")
        before = find_encoder(self._media, wanted.get("token", ""))
        rate = f"{_TT}RateControl"
        gop = wanted.get("GovLength", "")
        wish = replace(
            before,
            encoding=wanted.findtext(f"{_TT}Encoding", before.encoding),
            width=number(wanted, f"{_TT}Resolution/{_TT}Width", before.width),
            height=number(wanted, f"{_TT}Resolution/{_TT}Height", before.height),
            fps=float(number(wanted, f"{rate}/{_TT}FrameRateLimit", round(before.fps))),
            bitrate_kbps=number(wanted, f"{rate}/{_TT}BitrateLimit", before.bitrate_kbps),
            gop=int(gop) if gop.isdecimal() else before.gop,
        )
        set_encoder(self._media, before, wish)
        return xml.envelope("<tr2:SetVideoEncoderConfigurationResponse/>")


def _encoder(tag: str, one: StreamProfile) -> str:
    token = escape(one.token)
    return (
        f'<{tag} token="{PREFIX}{token}" GovLength="{one.gop}" Profile="Main">'
        f"<tt:Name>{token}</tt:Name><tt:UseCount>1</tt:UseCount>"
        f"<tt:Encoding>{one.encoding}</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{one.width}</tt:Width><tt:Height>{one.height}</tt:Height>"
        '</tt:Resolution><tt:RateControl ConstantBitRate="false">'
        f"<tt:FrameRateLimit>{one.fps:g}</tt:FrameRateLimit>"
        f"<tt:BitrateLimit>{one.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>"
        f"{xml.MULTICAST}<tt:Quality>4</tt:Quality></{tag}>"
    )
