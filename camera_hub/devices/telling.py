"""Having a camera say what it sees: metadata of its own analytics in a stream (profile M).

A profile sends it when it has a configuration of analytics and one of metadata, and that one has
analytics switched on. Cameras say yes and do not do it, so all of it is read back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from camera_hub.devices.conversation import Conversation, refused
from camera_hub.devices.elements import Element, attribute, every, first, name_of, node, truth
from camera_hub.devices.errors import MalformedAnswerError, NoMetadataError
from camera_hub.devices.media import PREFIXES, Version, read_profiles
from camera_hub.devices.soap import DeviceFaultError

_LISTS: dict[Version, tuple[str, str]] = {
    1: ("GetVideoAnalyticsConfigurations", "GetMetadataConfigurations"),
    2: ("GetAnalyticsConfigurations", "GetMetadataConfigurations"),
}
_KINDS = ("Analytics", "Metadata")


async def offers(talk: Conversation, version: Version) -> bool:
    """Say whether the camera has both configurations for a profile to have.

    Raises:
        CameraError: the camera cannot be asked. One that refuses to tell has none.
    """
    for operation in _LISTS[version]:
        if not await _configurations(talk, version, operation):
            return False
    return True


async def switch_on(talk: Conversation, profile: str) -> None:
    """Have the profile with the token `profile` send what the camera sees; read it back.

    Raises:
        NoMetadataError: `no-metadata`: it has no analytics to tell of, or it did not take it.
        CameraError: the camera cannot be asked, or refuses.
    """
    version, profiles = await read_profiles(talk)
    before = next((one for one in profiles if one.token == profile), None)
    if before is None:
        raise _without(talk, "has no profile of this name any more")
    missing = {"Analytics": not before.analytics, "Metadata": not before.metadata}
    tokens = {"Analytics": before.analytics, "Metadata": before.metadata}
    for kind, operation in zip(_KINDS, _LISTS[version], strict=True):
        if missing[kind]:
            found = await _configurations(talk, version, operation)
            if not found:
                raise _without(talk, "has no analytics of its own that it could tell of")
            tokens[kind] = attribute(found[0], "token")
    wanted = {kind: tokens[kind] for kind in _KINDS if missing[kind]}
    if wanted:
        await _add(talk, version, profile, wanted)
    await _set_analytics(talk, version, tokens["Metadata"])
    version, profiles = await read_profiles(talk)
    after = next((one for one in profiles if one.token == profile), None)
    sends = await _sends_analytics(talk, version, tokens["Metadata"])
    if after is None or not after.analytics or not after.metadata or not sends:
        raise _without(talk, "took the setting without a word and did not keep it")


async def _configurations(talk: Conversation, version: Version, operation: str) -> list[Element]:
    prefix = PREFIXES[version]
    try:
        answer = await talk.ask(prefix, node(f"{prefix}:{operation}"))
    except (DeviceFaultError, MalformedAnswerError):
        return []
    return [one for one in every(answer, "Configurations") if attribute(one, "token")]


async def _add(talk: Conversation, version: Version, profile: str, wanted: dict[str, str]) -> None:
    if version == 2:
        configurations = [
            node("tr2:Configuration", node("tr2:Type", kind), node("tr2:Token", token))
            for kind, token in wanted.items()
        ]
        request = node("tr2:AddConfiguration", node("tr2:ProfileToken", profile), *configurations)
        await _tell(talk, "tr2", request)
        return
    names = {"Analytics": "AddVideoAnalyticsConfiguration", "Metadata": "AddMetadataConfiguration"}
    for kind, token in wanted.items():
        await _tell(
            talk,
            "trt",
            node(
                f"trt:{names[kind]}",
                node("trt:ProfileToken", profile),
                node("trt:ConfigurationToken", token),
            ),
        )


async def _set_analytics(talk: Conversation, version: Version, token: str) -> None:
    """Switch analytics on in the metadata configuration; what else it says goes back unchanged."""
    said = await _metadata(talk, version, token)
    if said is None or truth(said, "Analytics"):
        return
    prefix = PREFIXES[version]
    wanted = node(f"{prefix}:Configuration", token=token)
    for key, value in said.attrib.items():
        wanted.set(key, value)
    for child in said:
        wanted.append(copy.deepcopy(child))
    _put_analytics(wanted)
    request = node(f"{prefix}:SetMetadataConfiguration", wanted)
    if version == 1:
        request.append(node("trt:ForcePersistence", "true"))
    await _tell(talk, prefix, request)


def _put_analytics(wanted: Element) -> None:
    found = first(wanted, "Analytics")
    if found is not None:
        found.text = "true"
        return
    # Where the schema has it: before these.
    after = ("Multicast", "SessionTimeout", "AnalyticsEngineConfiguration", "Extension")
    following = next((child for child in wanted if name_of(child) in after), None)
    made = node("tt:Analytics", "true")
    put: Callable[[Element], None] = wanted.append if following is None else following.addprevious
    put(made)


async def _metadata(talk: Conversation, version: Version, token: str) -> Element | None:
    for one in await _configurations(talk, version, _LISTS[version][1]):
        if attribute(one, "token") == token:
            return one
    return None


async def _sends_analytics(talk: Conversation, version: Version, token: str) -> bool:
    said = await _metadata(talk, version, token)
    return said is not None and truth(said, "Analytics")


async def _tell(talk: Conversation, service: str, request: Element) -> None:
    try:
        await talk.ask(service, request)
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, "to say what it sees") from None


def _without(talk: Conversation, what: str) -> NoMetadataError:
    return NoMetadataError(
        f"The camera at {talk.camera.place} {what}.",
        remedy="Let the hub look at its pictures, or switch its analytics on in the camera's own "
        "settings and try again.",
    )
