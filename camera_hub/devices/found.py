"""What a probe found, as it is kept of a camera."""

from collections.abc import Iterable

from camera_hub.devices.address import parse_address
from camera_hub.devices.choice import USABLE
from camera_hub.devices.errors import NoMetadataError
from camera_hub.devices.models import Camera, CameraStream
from camera_hub.devices.schemas import CameraCreate
from camera_hub.devices.types import ProbeResult, Profile
from core.errors import InvalidInputError


def check_chosen(found: ProbeResult, tokens: Iterable[str | None]) -> None:
    """Refuse a profile that the camera does not have, or that nobody could be shown.

    Raises:
        InvalidInputError: code `no-such-profile` or `profile-unusable`.
    """
    profiles = {profile.token: profile for profile in found.profiles}
    for token in filter(None, tokens):
        profile = profiles.get(token)
        if profile is None:
            raise InvalidInputError(
                f"The camera has no profile '{token}'.",
                remedy="Probe it again and choose one of the profiles it offers.",
                code="no-such-profile",
            )
        # Without a codec nobody has looked yet.
        if profile.codec and profile.codec not in USABLE:
            raise InvalidInputError(
                f"The profile '{profile.name}' sends {profile.codec.upper()}, "
                "which is neither shown nor analysed.",
                remedy="Choose a profile with H.264 or H.265, or set this one to H.264 in the "
                "camera.",
                code="profile-unusable",
            )


def always_read(camera: Camera, found: ProbeResult, *, moves: bool) -> str:
    """Return the token of the profile of `found` that is read always of `camera`.

    `moves`: the streams are chosen anew, where those that it had are not offered.
    """
    tokens = {stream.role: stream.profile_token for stream in camera.streams}
    offered = {profile.token for profile in found.profiles}
    token = tokens.get("sub", "") or ("" if moves else tokens.get("main", ""))
    return token if token in offered else found.sub


def check_tells(found: ProbeResult, token: str) -> None:
    """Refuse a camera that does not say what it sees.

    Raises:
        NoMetadataError: code `no-metadata`.
    """
    profile = next((one for one in found.profiles if one.token == token), None)
    if profile is None or not profile.metadata:
        raise NoMetadataError(
            "This camera does not say what it sees: it has no metadata stream (ONVIF profile M).",
            remedy="Let the hub look at its pictures, or switch the camera's own analytics on in "
            "its settings and try again.",
        )


def describe_found(camera: Camera, found: ProbeResult, main: str, sub: str) -> None:
    """Fill in what the probe found: device, clock, and the streams of the chosen profiles."""
    if found.device is not None:
        facts = found.device
        camera.device = {
            "manufacturer": facts.manufacturer,
            "model": facts.model,
            "firmware": facts.firmware,
            "serial": facts.serial,
        }
    camera.clock_offset_s = found.clock_offset_s
    profiles = {profile.token: profile for profile in found.profiles}
    chosen = {"main": main} if main == sub else {"main": main, "sub": sub}
    camera.streams = [_stream(role, profiles[token]) for role, token in chosen.items()]


def _stream(role: str, profile: Profile) -> CameraStream:
    return CameraStream(
        role=role,
        profile_token=profile.token,
        url=profile.stream_url,
        codec=profile.codec,
        width=profile.width,
        height=profile.height,
        fps=profile.fps,
        snapshot_url=profile.snapshot_url,
    )


def unprobed(body: CameraCreate) -> ProbeResult:
    """Return what is known of a camera that was not looked at: of an ONVIF one, no stream."""
    url = parse_address("rtsp", body.address).url if body.source_kind == "rtsp" else ""
    profile = Profile(
        token="main",  # noqa: S106 - a profile's name, no secret
        name="main",
        codec="",
        width=0,
        height=0,
        fps=0.0,
        bitrate_kbps=None,
        gop=None,
        stream_url=url,
        snapshot_url="",
    )
    return ProbeResult(
        device=None,
        clock_offset_s=None,
        profiles=(profile,),
        main="main",
        sub="main",
        warnings=(),
    )
