"""The metadata of a simulated device: one configuration of it, and one of analytics.

Both media services ask here. A profile sends metadata when both configurations are in it and the
metadata configuration has Analytics switched on.
"""

from dataclasses import replace
from typing import Protocol
from xml.etree.ElementTree import Element

from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.onvif_xml import SoapFaultError, StreamProfile
from camera_hub.simulator.quirks import Quirk, Quirks

METADATA_TOKEN = "metadata_config"  # noqa: S105 - a configuration's name
ANALYTICS_TOKEN = "analytics_config"  # noqa: S105 - a configuration's name


class Telling(Protocol):
    """What the metadata of a device needs of it."""

    profiles: list[StreamProfile]
    sends_analytics: bool

    @property
    def quirks(self) -> Quirks:
        """How the device misbehaves."""
        ...


def configuration(tag: str, telling: Telling) -> str:
    """Return the metadata configuration."""
    sends = "true" if telling.sends_analytics else "false"
    return (
        f'<{tag} token="{METADATA_TOKEN}" CompressionType="None"><tt:Name>metadata</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Analytics>{sends}</tt:Analytics>{xml.MULTICAST}"
        f"<tt:SessionTimeout>PT60S</tt:SessionTimeout></{tag}>"
    )


def analytics(tag: str) -> str:
    """Return the analytics configuration."""
    return (
        f'<{tag} token="{ANALYTICS_TOKEN}"><tt:Name>analytics</tt:Name><tt:UseCount>1</tt:UseCount>'
        "<tt:AnalyticsEngineConfiguration/><tt:RuleEngineConfiguration/>"
        f"</{tag}>"
    )


def around(telling: Telling, one: StreamProfile, ptz: str, *, version: int) -> str:
    """Return what a profile has of both, around its `ptz`, as this version of media writes it."""
    names = ("tr2:Analytics", "tr2:Metadata")
    if version == 1:
        names = ("tt:VideoAnalyticsConfiguration", "tt:MetadataConfiguration")
    before = analytics(names[0]) if one.analytics else ""
    return before + ptz + (configuration(names[1], telling) if one.metadata else "")


def configurations(telling: Telling, operation: str, tag: str) -> str:
    """Answer Get...Configurations of either."""
    prefix = tag.partition(":")[0]
    made = ""
    if Quirk.NO_METADATA not in telling.quirks:
        made = analytics(tag) if "Analytics" in operation else configuration(tag, telling)
    return xml.envelope(f"<{prefix}:{operation}Response>{made}</{prefix}:{operation}Response>")


def set_configuration(telling: Telling, wanted: Element | None, prefix: str) -> str:
    """Answer SetMetadataConfiguration.

    Raises:
        SoapFaultError: there is no such configuration.
    """
    if wanted is None or wanted.get("token") != METADATA_TOKEN or _none(telling):
        raise SoapFaultError("InvalidArgVal", "There is no such configuration.")
    # By its local name: what a device writes in a namespace of its own comes back in that.
    said = next((one for one in wanted if one.tag.rpartition("}")[2] == "Analytics"), None)
    telling.sends_analytics = said is not None and (said.text or "").strip() in ("true", "1")
    return xml.envelope(f"<{prefix}:SetMetadataConfigurationResponse/>")


def add(telling: Telling, profile: str, kind: str, token: str, *, there: bool = True) -> None:
    """Put a configuration into a profile, or take it out; `kind` is `Metadata` or `Analytics`.

    Raises:
        SoapFaultError: there is no such profile or configuration.
    """
    tokens = {"Metadata": METADATA_TOKEN, "Analytics": ANALYTICS_TOKEN}
    if kind not in tokens or _none(telling) or token not in ("", tokens[kind]):
        raise SoapFaultError("InvalidArgVal", f"There is no configuration {token}.")
    if profile not in {one.token for one in telling.profiles}:
        raise SoapFaultError("InvalidArgVal", f"There is no profile {profile}.")
    if Quirk.METADATA_NOT_TAKEN in telling.quirks:
        return
    telling.profiles = [
        one
        if one.token != profile
        else replace(one, metadata=there)
        if kind == "Metadata"
        else replace(one, analytics=there)
        for one in telling.profiles
    ]


def _none(telling: Telling) -> bool:
    return Quirk.NO_METADATA in telling.quirks
