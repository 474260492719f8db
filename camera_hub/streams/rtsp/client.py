"""Opening a stream: OPTIONS, DESCRIBE, SETUP, PLAY (RFC 2326 section 10).

Beside the video only what `StreamSource` asks for is set up; if that is refused, the video goes on.
Blocks, on a short-lived thread of its own. Redirects are not followed, and an address that the
camera names is asked on the host that the person entered.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from camera_hub.streams import diagnosis
from camera_hub.streams.address import endpoint, parse
from camera_hub.streams.diagnosis import Note, StreamFailure
from camera_hub.streams.rtsp.answers import base_of, session_of
from camera_hub.streams.rtsp.auth import Authorizer, UnknownDigestError, read_challenges
from camera_hub.streams.rtsp.messages import (
    MAX_BODY,
    MAX_HEAD,
    Message,
    ProtocolError,
    read_message,
    write_request,
)
from camera_hub.streams.rtsp.ports import Ports
from camera_hub.streams.rtsp.sdp import (
    Description,
    SideTrack,
    VideoTrack,
    read_description,
    resolve,
)
from camera_hub.streams.rtsp.sound import readable
from camera_hub.streams.rtsp.ways import TransportRefusedError, Way, way_of
from camera_hub.streams.types import SoundState, StreamSource, Transport
from core.clock import Clock

_EARLY_LIMIT = 1 << 20
_CHUNK = 65536


PLAIN_METADATA = "VND.ONVIF.METADATA"


class LeaveToLibraryError(Exception):
    """The stream is packed in a way that only the media library reads."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A track beside the video that was set up."""

    kind: Literal["sound", "metadata"]
    track: SideTrack
    channel: int
    rtcp_channel: int


@dataclass(slots=True)
class Playing:
    """A connection on which packets come, not blocking; `early` is what was read beyond the answer.

    `place` is the camera's host and port, `uri` the address of the whole stream, `method` what
    keeps the session, every `keep_alive_s` seconds. `ports` are where datagrams come; none: all
    comes within the connection. `beside` are the other tracks that come; `no_metadata` says why
    the camera does not say what it sees, if it was asked to, `sound` how its sound is doing.
    """

    sock: socket.socket
    track: VideoTrack
    channel: int
    rtcp_channel: int
    uri: str
    session: str
    method: str
    keep_alive_s: float
    authorizer: Authorizer
    sequence: int
    early: bytes
    beside: tuple[Beside, ...] = ()
    no_metadata: Note | None = None
    sound: SoundState = SoundState.OFF
    offers_metadata: bool = False
    """Whether the camera could say what it sees, asked or not."""
    ports: tuple[Ports, ...] = ()
    place: str = ""

    def close(self) -> None:
        """Close every socket."""
        self.sock.close()
        for ports in self.ports:
            ports.close()


class RtspClient:
    """Opens one stream once. `abort` may be called from any thread and ends it at once.

    `asked_beside`: a camera was asked for more than its video. If it then failed, that may be why.
    """

    def __init__(
        self,
        source: StreamSource,
        clock: Clock,
        *,
        timeout_s: float,
        total_s: float | None = None,
        beside: bool = True,
        transport: Transport = "tcp",
    ) -> None:
        """Prepare.

        Args:
            source: where the stream is; its host an address that was checked.
            clock: measures the timeouts.
            timeout_s: for connecting and for each answer.
            total_s: for everything; twice `timeout_s` if not given.
            beside: False: ask for the video alone, whatever `source` says.
            transport: how the packets are to come; what `source` says is not looked at.
        """
        self._transport: Transport = transport
        self.asked_beside = False
        self._beside = beside
        self._source = source
        self._clock = clock
        self._timeout_s = timeout_s
        self._total_s = 2 * timeout_s if total_s is None else total_s
        self._lock = threading.Lock()
        self._aborted = False
        self._sock: socket.socket | None = None
        self._sequence = 0
        self._data = b""
        self._early = b""
        self._authorizer = Authorizer(source.username, source.password)
        self._until = 0.0
        host, port = endpoint(source.url)
        self._place = f"{host}:{port}"

    def abort(self) -> None:
        """End whatever goes on."""
        with self._lock:
            self._aborted = True
            if self._sock is not None:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)

    def open(self) -> Playing:
        """Return the stream as it begins to play.

        Raises:
            StreamFailure: it cannot be had; says why.
            TransportRefusedError, LeaveToLibraryError: another way may work.
        """
        self._until = self._clock.monotonic() + self._total_s
        sock = self._connect()
        try:
            way = way_of(self._transport, sock)
            try:
                playing = self._converse(sock, way)
            except BaseException:
                way.close()
                raise
        except ProtocolError:
            sock.close()
            raise StreamFailure(diagnosis.not_rtsp(self._place)) from None
        except TimeoutError:
            sock.close()
            raise StreamFailure(
                diagnosis.timed_out(self._place, self._timeout_s, connected=True)
            ) from None
        except (OSError, EOFError):
            sock.close()
            raise StreamFailure(diagnosis.CLOSED) from None
        except BaseException:
            sock.close()
            raise
        return playing

    def _connect(self) -> socket.socket:
        host, port = endpoint(self._source.url)
        try:
            sock = socket.create_connection((host, port), timeout=self._timeout_s)
        except TimeoutError:
            failure = diagnosis.timed_out(self._place, self._timeout_s, connected=False)
        except ConnectionRefusedError:
            failure = diagnosis.refused(self._place)
        except (OSError, UnicodeError):
            failure = diagnosis.unreachable(self._place)
        else:
            with self._lock:
                if not self._aborted:
                    self._sock = sock
                    return sock
            sock.close()
            failure = diagnosis.CLOSED
        raise StreamFailure(failure) from None

    def _converse(self, sock: socket.socket, way: Way) -> Playing:
        uri = parse(self._source.url).geturl()
        offered = self._ask("OPTIONS", uri).get("public").upper()
        described = self._must("DESCRIBE", uri, ("Accept", "application/sdp"))
        description = read_description(described.body)
        track = description.video
        if track is None:
            raise StreamFailure(diagnosis.NOT_VIDEO)
        if track.codec is None:
            raise StreamFailure(diagnosis.unsupported_codec(track.encoding))
        if track.interleaved_units:
            raise LeaveToLibraryError
        base = base_of(described, uri)
        try:
            whole = resolve(base, description.control)
            track_uri = resolve(base, track.control) if track.control else whole
        except ValueError:
            raise ProtocolError("a control address that is none") from None
        setup, channel, rtcp_channel = self._set_up_video(track_uri, track, way)
        session, timeout_s = session_of(setup)
        if not session:
            raise ProtocolError("no session")
        sides = _Sides(base, session, way)
        sound = self._set_up_sound(description, sides)
        no_metadata = self._set_up_metadata(description, sides)
        way.ready()
        self._must("PLAY", whole, ("Session", session), ("Range", "npt=0.000-"))
        sock.setblocking(False)
        return Playing(
            sock=sock,
            track=track,
            channel=channel,
            rtcp_channel=rtcp_channel,
            uri=whole,
            session=session,
            method="GET_PARAMETER" if "GET_PARAMETER" in offered else "OPTIONS",
            keep_alive_s=min(max(timeout_s / 2, 0.5), 30.0),
            authorizer=self._authorizer,
            sequence=self._sequence,
            early=self._early + self._data,
            beside=tuple(sides.found),
            no_metadata=no_metadata,
            sound=sound,
            offers_metadata=any(t.encoding == PLAIN_METADATA for t in description.metadata),
            ports=tuple(way.ports),
            place=self._place,
        )

    def _set_up_video(self, uri: str, track: VideoTrack, way: Way) -> tuple[Message, int, int]:
        try:
            offer = way.offer()
        except OSError:
            raise StreamFailure(diagnosis.cannot_receive(self._place)) from None
        setup = self._must("SETUP", uri, ("Transport", offer))
        try:
            return setup, *way.agree(setup.get("transport"), track)
        except OSError:
            raise StreamFailure(diagnosis.cannot_receive(self._place)) from None

    def _set_up_sound(self, description: Description, sides: _Sides) -> SoundState:
        """Set up the sound; return how it is doing, `waiting` where it may come."""
        if not self._source.sound:
            return SoundState.OFF
        if not self._beside:
            return SoundState.REFUSED
        if not description.sounds:
            return SoundState.NONE
        track = readable(description.sounds)
        if track is None:
            return SoundState.CODEC
        return SoundState.WAITING if self._set_up(sides, "sound", track) else SoundState.REFUSED

    def _set_up_metadata(self, description: Description, sides: _Sides) -> Note | None:
        """Set up what the camera says it sees; return why it does not, if it was to."""
        if not self._source.metadata:
            return None
        if not self._beside:
            return diagnosis.METADATA_REFUSED
        if not description.metadata:
            return diagnosis.NO_METADATA
        plain = [t for t in description.metadata if t.encoding == PLAIN_METADATA]
        if not plain:
            return diagnosis.METADATA_PACKED
        return None if self._set_up(sides, "metadata", plain[0]) else diagnosis.METADATA_REFUSED

    def _set_up(self, sides: _Sides, kind: Literal["sound", "metadata"], track: SideTrack) -> bool:
        """Set up a track beside the video on channels of its own; False if the camera will not."""
        try:
            uri = resolve(sides.base, track.control) if track.control else ""
            offer = sides.way.offer()
        except (ValueError, OSError):
            return False
        if not uri:
            return False
        self.asked_beside = True
        try:
            answer = self._ask("SETUP", uri, ("Transport", offer), ("Session", sides.session))
        except StreamFailure:
            return False
        try:
            # A camera that puts two tracks on one channel is not told apart.
            channels = sides.way.agree(answer.get("transport"), track) if answer.good else None
        except (ProtocolError, TransportRefusedError, OSError):
            channels = None
        if channels is None:
            return False
        sides.found.append(Beside(kind, track, *channels))
        return True

    def _must(self, method: str, uri: str, *headers: tuple[str, str]) -> Message:
        """Ask and return the answer if it is a good one.

        Raises:
            StreamFailure, TransportRefusedError: it is not.
        """
        answer = self._ask(method, uri, *headers)
        status = answer.status
        if answer.good:
            return answer
        if status == 461:
            raise TransportRefusedError
        if 300 <= status < 400:
            raise StreamFailure(diagnosis.redirected(self._place))
        if status == 403:
            raise StreamFailure(diagnosis.wrong_credentials(self._source))
        if status == 404:
            raise StreamFailure(diagnosis.no_such_stream(self._place))
        if status == 503:
            raise diagnosis.CameraBusyFailure(self._place)
        raise StreamFailure(diagnosis.answered_with(self._place, str(status)))

    def _ask(self, method: str, uri: str, *headers: tuple[str, str]) -> Message:
        """Send a request, again with credentials where the camera asks for them."""
        for attempt in range(3):
            self._sequence += 1
            authorization = ("Authorization", self._authorizer.header(method, uri))
            self._send(write_request(method, uri, self._sequence, (authorization, *headers)))
            answer = self._answer()
            if answer.status != 401:
                return answer
            challenges = read_challenges(answer.all("www-authenticate"))
            try:
                if not self._authorizer.accept(challenges, again=attempt > 0):
                    break
            except UnknownDigestError as error:
                raise StreamFailure(diagnosis.unknown_digest(error.algorithms)) from None
        raise StreamFailure(diagnosis.wrong_credentials(self._source))

    def _send(self, data: bytes) -> None:
        assert self._sock is not None
        self._sock.settimeout(self._patience())
        self._sock.sendall(data)

    def _answer(self) -> Message:
        """Return the answer to the last request; packets that come before it are kept."""
        until = self._clock.monotonic() + self._timeout_s
        while True:
            data = self._data
            if data[:1] == b"$":
                size = 4 + int.from_bytes(data[2:4], "big")
                if len(data) >= max(4, size):
                    if len(self._early) < _EARLY_LIMIT:
                        self._early += data[:size]
                    self._data = data[size:]
                    continue
            elif data:
                read = read_message(data)
                if read is not None:
                    message, end = read
                    self._data = data[end:]
                    # Numbers are not compared: one request is open, and some cameras err in them.
                    if message.status:
                        return message
                    continue
                if len(data) > MAX_HEAD + MAX_BODY:
                    raise ProtocolError("an answer without an end")
            self._receive(until)

    def _receive(self, until: float) -> None:
        assert self._sock is not None
        self._sock.settimeout(min(self._patience(), max(until - self._clock.monotonic(), 0.001)))
        chunk = self._sock.recv(_CHUNK)
        if not chunk:
            raise EOFError
        self._data += chunk

    def _patience(self) -> float:
        left = self._until - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Sides:
    """The tracks beside the video: what has been set up."""

    def __init__(self, base: str, session: str, way: Way) -> None:
        self.base, self.session, self.way = base, session, way
        self.found: list[Beside] = []
