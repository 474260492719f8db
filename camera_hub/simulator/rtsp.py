"""An RTSP server on loopback that plays looped clips as live cameras do (RFC 2326, TCP only).

It is our own because the packaged one that was looked at (aio-rtsp-toolkit) plays a file to
each viewer from the file's first frame: two viewers of a camera, or its two streams, would
show different moments, no camera could start in the middle of its footage, and every new
loop reopens the file. It also has no authentication and writes its log to standard output.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from camera_hub.simulator.broadcast import Broadcast, TrackBroadcast, Viewer
from camera_hub.simulator.digest import DigestGuard

HOST = "127.0.0.1"
_TRACK = re.compile(r"/?trackID=(\d)/?$")
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
}
_MAX_BODY = 1 << 16


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return _TRACK.sub("", urlsplit(self.url).path).rstrip("/")

    @property
    def track(self) -> int:
        found = _TRACK.search(urlsplit(self.url).path)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Offer:
    """What is at an address: the video first, then sound or words (tracks 1, 2, ...).

    Tracks that are not `shown` are not there just now; `refused` ones are described and cannot be
    set up.
    """

    tracks: Sequence[TrackBroadcast]
    shown: Callable[[TrackBroadcast], bool] = lambda _track: True
    refused: Callable[[TrackBroadcast], bool] = lambda _track: False

    def described(self) -> list[tuple[int, TrackBroadcast]]:
        """Return the tracks that are there just now, with their numbers."""
        return [(n, one) for n, one in enumerate(self.tracks) if self.shown(one)]


@dataclass
class _Session:
    """What one connection has agreed on so far."""

    writer: asyncio.StreamWriter
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    offer: Offer | None = None
    viewers: dict[int, Viewer] = field(default_factory=dict)
    playing: bool = False


class RtspServer:
    """Serves `streams` (path, such as `/lobby-1/sub`, to what is there) to who has the password."""

    def __init__(
        self,
        streams: Mapping[str, Broadcast | Offer],
        *,
        username: str,
        password: str,
        port: int = 0,
        algorithm: str = "MD5",
    ) -> None:
        """Ask for the password with digest of `algorithm`, `MD5` or `SHA-256`."""
        self.port = port
        self._streams = {
            path: one if isinstance(one, Offer) else Offer((one,)) for path, one in streams.items()
        }
        self._guard = DigestGuard(username, password, realm="camera", algorithm=algorithm)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; on the same port as before when it was closed in between.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections and break those that are there."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for offer in self._streams.values():
            for track in offer.tracks:
                await track.close()

    def url(self, path: str) -> str:
        """Return the address of a stream, without credentials."""
        return f"rtsp://{HOST}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()  # accepted in the moment of closing
            return
        session = _Session(writer)
        self._writers.add(writer)
        broken = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        try:
            with contextlib.suppress(*broken, ValueError):
                while (request := await _read_request(reader)) is not None:
                    self._answer(session, request)
                    await writer.drain()
                    if request.method == "TEARDOWN":
                        break
        finally:
            self._writers.discard(writer)
            for track, viewer in _watched(session):
                track.leave(viewer)
            writer.close()

    def _answer(self, session: _Session, request: _Request) -> None:
        handlers = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "GET_PARAMETER": self._keep_alive,
            "TEARDOWN": self._keep_alive,
        }
        headers: dict[str, str] = {}
        body = ""
        handler = handlers.get(request.method)
        if handler is None:
            status, headers = 405, {"Allow": _METHODS}
        elif request.method != "OPTIONS" and not self._guard.admits(
            request.method, request.headers.get("authorization", "")
        ):
            status, headers = 401, {"WWW-Authenticate": self._guard.challenge()}
        else:
            status, headers, body = handler(session, request)
        lines = [f"RTSP/1.0 {status} {_REASONS[status]}"]
        lines.append(f"CSeq: {request.headers.get('cseq', '0')}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body.encode())}")
        session.writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        if session.playing:
            # After the answer is queued, so that no packet comes before it.
            for track, viewer in _watched(session):
                track.join(viewer)

    def _options(self, _session: _Session, _request: _Request) -> tuple[int, dict[str, str], str]:
        return 200, {"Public": _METHODS}, ""

    def _describe(self, _session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        offer = self._streams.get(request.path)
        if offer is None:
            return 404, {}, ""
        headers = {
            "Content-Base": f"{self.url(request.path)}/",
            "Content-Type": "application/sdp",
        }
        return 200, headers, _sdp(offer)

    def _setup(self, session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        offer = self._streams.get(request.path)
        track = None if offer is None else dict(offer.described()).get(request.track)
        if offer is None or track is None:
            return 404, {}, ""
        if session.offer not in (None, offer) or request.track in session.viewers:
            return 455, {}, ""
        if offer.refused(track):
            return 403, {}, ""
        channels = _channels(request.headers.get("transport", ""))
        if channels is None:
            return 461, {}, ""
        session.offer = offer
        viewer = session.viewers[request.track] = Viewer(session.writer, *channels)
        transport = (
            f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]};ssrc={viewer.ssrc:08X}"
        )
        return 200, {"Transport": transport, "Session": f"{session.id};timeout=60"}, ""

    def _play(self, session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        if not session.viewers:
            return 455, {}, ""
        if request.headers.get("session", "").partition(";")[0] != session.id:
            return 454, {}, ""
        session.playing = True
        info = ",".join(
            f"url={self.url(request.path)}/trackID={number};seq={viewer.sequence}"
            for number, viewer in session.viewers.items()
        )
        return 200, {"Session": session.id, "Range": "npt=now-", "RTP-Info": info}, ""

    def _keep_alive(self, session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        if request.headers.get("session", session.id).partition(";")[0] != session.id:
            return 454, {}, ""
        return 200, {"Session": session.id}, ""


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """Return the next request; RTCP from the viewer is skipped. None at the end."""
    while (first := await reader.read(1)) == b"$":
        size = int.from_bytes((await reader.readexactly(3))[1:], "big")
        await reader.readexactly(size)
    if not first:
        return None
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
    request_line, *lines = head.strip().split("\r\n")
    method, url, _version = request_line.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= _MAX_BODY:
        raise ValueError("body too large")
    await reader.readexactly(size)
    return _Request(method, url, headers)


def _channels(transport: str) -> tuple[int, int] | None:
    """Return the (RTP, RTCP) channels that a Transport header asks for, None if not TCP."""
    for offer in transport.split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        if kind.upper() != "RTP/AVP/TCP":
            continue
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            first, _, second = value.partition("-")
            if name == "interleaved" and first.isdigit() and int(first) < 255:
                return int(first), int(second) if second.isdigit() else int(first) + 1
        return 0, 1
    return None


def _watched(session: _Session) -> list[tuple[TrackBroadcast, Viewer]]:
    """Return what a session has set up."""
    tracks = session.offer.tracks if session.offer is not None else ()
    return [(tracks[number], viewer) for number, viewer in session.viewers.items()]


def _sdp(offer: Offer) -> str:
    lines = [
        "v=0",
        f"o=- 0 0 IN IP4 {HOST}",
        "s=Camera",
        f"c=IN IP4 {HOST}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
    ]
    for number, track in offer.described():
        lines += [*track.describe(), f"a=control:trackID={number}"]
    return "\r\n".join(lines) + "\r\n"
