"""From an error of the media library to a sentence that a person can act on.

The library reports several different faults alike (a silent port, a closed one and one that
speaks something else are all "invalid data"), so the camera is asked once more by hand.
The library's own texts are never passed on: they hold the address with the password.
"""

import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import av
import av.error

from camera_hub.streams.address import endpoint, parse, with_credentials
from camera_hub.streams.types import ReasonCode, StreamSource, StreamState, Transport

_PROBE_LIMIT = 8192


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection failed or ended.

    `state` None means: whatever fits a stream that gives no pictures just now.
    `patient` asks for the longest delay before the next attempt: repeating a wrong password
    locks the accounts of many cameras, and a wrong kind of stream will not change by itself.
    """

    code: ReasonCode
    reason: str
    state: StreamState | None = None
    patient: bool = False


class StreamFailure(Exception):  # noqa: N818 - carries a Failure, which is the name people know
    """Raised inside the reader with the failure it found."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class CameraBusyFailure(StreamFailure):
    """The camera has no room for one more viewer just now (RTSP 503)."""

    def __init__(self, place: str) -> None:
        super().__init__(
            Failure(
                ReasonCode.ERROR,
                f"The camera at {place} says that it is busy (503). It may serve only a few "
                "viewers at once: close others that read it, or restart it if this lasts.",
            )
        )


CLOSED = Failure(
    ReasonCode.CLOSED_BY_CAMERA,
    "The camera closed the connection. It may be restarting, or too many viewers are connected "
    "to it; trying again.",
)
NOT_VIDEO = Failure(
    ReasonCode.NOT_VIDEO,
    "The address answers but carries no video. Check the path of the stream.",
    StreamState.UNSUPPORTED,
    patient=True,
)


class Note(NamedTuple):
    """What is to be said of a stream that is online, if there is more than that pictures arrive."""

    code: ReasonCode
    text: str


ARRIVING = Note(ReasonCode.OK, "Pictures are arriving.")
OVER_UDP = Note(
    ReasonCode.OVER_UDP,
    "Pictures are arriving over UDP, because the camera refuses TCP.",
)
DATAGRAMS_LOST = Note(
    ReasonCode.DATAGRAMS_LOST,
    "Pictures are arriving over UDP, but many are lost on the way and left out. Set the camera's "
    "transport to TCP, or mend the network to it.",
)
NO_METADATA = Note(
    ReasonCode.NO_METADATA,
    "Pictures are arriving, but the camera offers no metadata stream here, so it does not say what "
    "it sees. Switch its analytics and metadata on, or let Camera Hub look at the pictures.",
)
METADATA_PACKED = Note(
    ReasonCode.METADATA_PACKED,
    "Pictures are arriving, but the camera packs its metadata (gzip or EXI), which is not read. "
    "Set its metadata stream to plain XML, or let Camera Hub look at the pictures.",
)
METADATA_TRANSPORT = Note(
    ReasonCode.METADATA_TRANSPORT,
    "Pictures are arriving, but what the camera says it sees is read only over RTSP without TLS. "
    "Change the camera's address to rtsp://, or let Camera Hub look at the pictures.",
)
METADATA_REFUSED = Note(
    ReasonCode.METADATA_REFUSED,
    "Pictures are arriving, but the camera refuses its metadata stream, so it does not say what it "
    "sees. Restart it if this lasts, or let Camera Hub look at the pictures.",
)


def unsupported_codec(name: str) -> Failure:
    """Return the failure of a stream whose video is neither H.264 nor H.265."""
    return Failure(
        ReasonCode.CODEC_UNSUPPORTED,
        f"The camera sends {name or 'an unknown kind of video'}. "
        "Set this stream to H.264 (or H.265) in the camera.",
        StreamState.UNSUPPORTED,
        patient=True,
    )


def refused(place: str) -> Failure:
    """Return the failure of a port on which nothing listens."""
    return Failure(
        ReasonCode.REFUSED,
        f"Nothing listens at {place}. Check that the camera is switched on and that "
        "RTSP is enabled on this port.",
    )


def unreachable(place: str) -> Failure:
    """Return the failure of a name that is unknown or a network without a way."""
    return Failure(
        ReasonCode.UNREACHABLE,
        f"There is no way to {place}. Check the address and the network.",
    )


def timed_out(place: str, seconds: float, *, connected: bool) -> Failure:
    """Return the failure of a camera that did not answer in time."""
    what = "accepts the connection but does not answer" if connected else "does not answer"
    return Failure(
        ReasonCode.TIMEOUT,
        f"The camera at {place} {what} within {seconds:.0f} s. "
        "Check its address, its power and the network to it.",
    )


def not_rtsp(place: str) -> Failure:
    """Return the failure of something else than a camera's stream behind the port."""
    return Failure(
        ReasonCode.NOT_VIDEO,
        f"What answers at {place} does not speak RTSP. Check the port.",
        StreamState.UNSUPPORTED,
        patient=True,
    )


def transport_refused(place: str, transport: Transport) -> Failure:
    """Return the failure of a camera that does not send its packets as it was asked to."""
    asked = {
        "tcp": "in any way that is read here",
        "udp": "over UDP to one viewer",
        "multicast": "to a multicast group",
    }[transport]
    remedy = "Set the camera's transport to TCP" if transport != "tcp" else "Allow RTP over TCP"
    return Failure(
        ReasonCode.TRANSPORT_REFUSED,
        f"The camera at {place} refuses to send its pictures {asked}. {remedy}"
        f"{' in its own settings' if transport == 'tcp' else ', which works almost everywhere'}.",
        StreamState.UNSUPPORTED,
        patient=True,
    )


def no_datagrams(place: str, seconds: float, others: str = "") -> Failure:
    """Return the failure of a camera whose datagrams do not arrive though it says it sends them.

    `others` is the address from which some did come, which nobody has said to be the camera's.
    """
    if others:
        return Failure(
            ReasonCode.NO_DATAGRAMS,
            f"The camera at {place} says that it sends its pictures over UDP, but they come from "
            f"{others}, and anybody could send those. Give the camera that address, or set its "
            "transport to TCP; trying again.",
        )
    return Failure(
        ReasonCode.NO_DATAGRAMS,
        f"The camera at {place} says that it sends its pictures over UDP, but not one arrived "
        f"within {seconds:.0f} s. Let UDP from the camera through every firewall between, or set "
        "its transport to TCP; trying again.",
    )


def no_whole_picture(seconds: float) -> Failure:
    """Return the failure of a camera of which datagrams arrive, and never all of a picture."""
    return Failure(
        ReasonCode.DATAGRAMS_LOST,
        f"Parts of pictures arrive over UDP, but for {seconds:.0f} s not one that is whole. Set "
        "the camera's transport to TCP, or mend the network to it; trying again.",
    )


def cannot_receive(place: str) -> Failure:
    """Return the failure of this machine to open the ports or join the group of a camera."""
    return Failure(
        ReasonCode.NO_DATAGRAMS,
        f"This machine cannot receive what the camera at {place} sends over UDP: it has no port "
        "left, or no network with the camera's group. Set the camera's transport to TCP; "
        "trying again.",
    )


def no_such_stream(place: str) -> Failure:
    """Return the failure of a path that the camera does not know."""
    return Failure(
        ReasonCode.NO_SUCH_STREAM,
        f"The camera at {place} has no stream at this path. Check the path, or add the "
        "camera through ONVIF, which finds it.",
        StreamState.NOT_FOUND,
    )


def redirected(place: str) -> Failure:
    """Return the failure of a camera that names another address."""
    return Failure(
        ReasonCode.ERROR,
        f"The camera at {place} sends its viewers to another address, where nobody goes by "
        "itself. Enter the address that its own web page shows.",
        patient=True,
    )


def answered_with(place: str, status: str) -> Failure:
    """Return the failure of an answer that is an error of the camera's own."""
    return Failure(
        ReasonCode.ERROR,
        f"The camera at {place} answers with an error ({status}). Restart it if this lasts.",
    )


def wrong_credentials(source: StreamSource) -> Failure:
    """Return the failure of a user or password that the camera does not take."""
    missing = "a user name and password" if not source.username else "another user or password"
    return Failure(
        ReasonCode.WRONG_CREDENTIALS,
        f"The camera asks for {missing}. Enter what its own web page accepts.",
        StreamState.UNAUTHORISED,
        patient=True,
    )


def unknown_digest(algorithms: Iterable[str], known: str = "SHA-256 or MD5") -> Failure:
    """Return the failure of a camera that wants a digest which nobody here knows."""
    return Failure(
        ReasonCode.DIGEST_UNSUPPORTED,
        "The camera only accepts digest authentication with "
        f"{', '.join(sorted(a.upper() for a in algorithms))}. Allow {known} digest for RTSP in "
        "the camera's security settings.",
        StreamState.UNSUPPORTED,
        patient=True,
    )


def session_lost() -> Failure:
    """Return the failure of a session that the camera has forgotten."""
    return Failure(
        ReasonCode.CLOSED_BY_CAMERA,
        "The camera has ended the session. It may be restarting, or too many viewers are connected "
        "to it; trying again.",
    )


def garbled() -> Failure:
    """Return the failure of a connection on which something else comes than was announced."""
    return Failure(
        ReasonCode.ERROR,
        "The camera sends something else than it announced, as after a change of its settings; "
        "connecting anew.",
    )


def silent(seconds: float) -> Failure:
    """Return the failure of a connection on which nothing came for `seconds`."""
    return Failure(
        ReasonCode.NO_DATA,
        f"The connection stands but no picture came for {seconds:.0f} s. "
        "Check the camera and the network to it; trying again.",
    )


def explain(error: Exception, source: StreamSource, *, opening: bool, timeout_s: float) -> Failure:
    """Return why `error` happened while opening or reading `source`.

    May connect to the camera once more, for at most about `timeout_s` seconds.
    """
    host, port = endpoint(source.url)
    place = f"{host}:{port}"
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return _unauthorised(source, timeout_s)
        case av.error.HTTPNotFoundError():
            return no_such_stream(place)
        case ConnectionRefusedError():
            return refused(place)
        case av.error.ExitError() if not opening:
            return silent(timeout_s)
        case _ if not opening:
            return CLOSED
    return _ask(source, place, timeout_s)


def _unauthorised(source: StreamSource, timeout_s: float) -> Failure:
    answer = _converse(source, timeout_s)
    if isinstance(answer, bytes) and (failure := _unknown_digest(answer)):
        return failure
    return wrong_credentials(source)


def _unknown_digest(answer: bytes) -> Failure | None:
    """Return a failure if `answer` asks for a kind of digest that the media library lacks."""
    algorithms = _digest_algorithms(answer)
    if not algorithms or "md5" in algorithms:
        return None
    return unknown_digest(algorithms, known="MD5")


def _digest_algorithms(answer: bytes) -> set[str]:
    """Return the digest algorithms offered, in lower case; empty if other schemes are too."""
    text = answer.decode("latin-1")
    offers = re.findall(r"^www-authenticate:\s*(\w+)(.*)$", text, re.IGNORECASE | re.MULTILINE)
    algorithms = set()
    for scheme, rest in offers:
        if scheme.lower() != "digest":
            return set()
        found = re.search(r'algorithm\s*=\s*"?([\w-]+)', rest, re.IGNORECASE)
        algorithms.add(found[1].lower() if found else "md5")
    return algorithms


def _ask(source: StreamSource, place: str, timeout_s: float) -> Failure:
    answer = _converse(source, timeout_s)
    if isinstance(answer, Failure):
        return answer
    if not answer.startswith(b"RTSP/"):
        return not_rtsp(place)
    status = answer.split(b" ", 2)[1:2]
    if status in ([b"200"], [b"401"]):
        if failure := _unknown_digest(answer):
            return failure
        if _has_no_video(source, timeout_s):
            return NOT_VIDEO
        return Failure(
            ReasonCode.NO_DATA,
            f"The camera at {place} answers but sent no picture within {timeout_s:.0f} s. "
            "Check whether it shows a picture on its own web page; trying again.",
        )
    code = status[0].decode("latin-1")[:3] if status else "no status"
    return answered_with(place, code)


def _has_no_video(source: StreamSource, timeout_s: float) -> bool:
    """Say whether the stream opens when other media than video are let in, and has no video."""
    options = {"rtsp_transport": "tcp", "fpsprobesize": "0"}
    try:
        with av.open(
            with_credentials(source),
            mode="r",
            options=options,
            timeout=timeout_s,
            metadata_errors="replace",
        ) as c:
            return not c.streams.video
    except av.error.FFmpegError:
        return False


def _converse(source: StreamSource, timeout_s: float) -> bytes | Failure:
    """Send a DESCRIBE without credentials; return the head of the answer."""
    host, port = endpoint(source.url)
    place = f"{host}:{port}"
    url = parse(source.url).geturl()
    request = f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    connected = False
    data = b""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as plain:
            connected = True
            sock = _secured(plain, host) if parse(source.url).scheme == "rtsps" else plain
            sock.sendall(request.encode())
            while b"\r\n\r\n" not in data and len(data) < _PROBE_LIMIT:
                chunk = sock.recv(_PROBE_LIMIT)
                if not chunk:
                    break
                data += chunk
    except TimeoutError:
        if data:
            return data
        return timed_out(place, timeout_s, connected=connected)
    except ConnectionRefusedError:
        return refused(place)
    except ConnectionError:
        return data or CLOSED
    except (OSError, UnicodeError):
        return unreachable(place)
    return data or CLOSED


def _secured(plain: socket.socket, host: str) -> socket.socket:
    # Cameras sign their own certificates, and this conversation carries no secret.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)
