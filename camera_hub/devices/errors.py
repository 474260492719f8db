"""The ways in which a probe of a camera fails. None of them ever holds a password."""

from core.errors import UpstreamError


class CameraError(UpstreamError):
    """A camera answered wrongly or not at all (502)."""


class CameraUnreachableError(CameraError):
    """Nothing listens at the address, or there is no way to it."""

    code = "camera-unreachable"


class CameraTimeoutError(CameraError):
    """The camera did not answer in time."""

    code = "camera-timeout"


class CameraUnauthorisedError(CameraError):
    """The camera does not accept the user name and password."""

    code = "camera-unauthorised"


class ClockUnknownError(CameraUnauthorisedError):
    """The camera does not accept a signed request, and its clock could not be read to sign it."""

    code = "camera-clock-unknown"


class NotACameraError(CameraError):
    """What answers at the address is no camera of the kind that was asked for."""

    code = "not-a-camera"


class MalformedAnswerError(CameraError):
    """The device speaks the protocol, but its answer cannot be understood."""

    code = "malformed-answer"


class NoVideoProfileError(CameraError):
    """The camera offers no stream of pictures."""

    code = "no-video-profile"


class CameraRefusedError(CameraError):
    """The camera understood what it should do, and does not do it."""

    code = "camera-refused"


class NoMetadataError(CameraError):
    """The camera does not say what it sees (409)."""

    status = 409
    code = "no-metadata"


class NoPtzError(CameraError):
    """The camera cannot be turned (409)."""

    status = 409
    code = "no-ptz"


class PresetNotReachedError(CameraError):
    """The camera did not say that it has turned to a preset, so that was not changed (409)."""

    status = 409
    code = "preset-not-reached"


class StopFailedError(CameraError):
    """The camera was told to stop turning and has not said that it does."""

    code = "ptz-stop-failed"


def slow_camera(place: str, seconds: float) -> CameraTimeoutError:
    """Return the error of a camera at `place` that did not finish within `seconds`."""
    return CameraTimeoutError(
        f"The camera at {place} did not finish answering within {seconds:.0f} s.",
        remedy="Check the network to it, and restart it if this lasts.",
    )
