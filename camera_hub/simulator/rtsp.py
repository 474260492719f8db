"""An RTSP server on loopback that plays looped clips as live cameras do (RFC 2326).

Packets go within the connection, to a viewer's ports, or to a group, as the viewer asks.

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
from camera_hub.simulator.datagrams import Datagrams
from camera_hub.simulator.digest import DigestGuard
from camera_hub.simulator.quirks import Quirk, Quirks

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
_Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


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


class _Groups:
    """The groups to which tracks are sent, one for each track: all its viewers share it."""

    def __init__(self, quirks: Callable[[], Quirks]) -> None:
        self._quirks = quirks
        self._found: dict[TrackBroadcast, tuple[Viewer, str]] = {}
        self._viewers: dict[TrackBroadcast, int] = {}

    def join(self, track: TrackBroadcast) -> tuple[Viewer, str]:
        """Return who stands for all viewers, and the Transport header that names the group.

        Raises:
            OSError: there is no port left.
        """
        if track not in self._found:
            group = f"239.255.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
            port = 20_000 + 2 * secrets.randbelow(20_000)
            datagrams = Datagrams(group, (port, port + 1), self._quirks)
            header = f"RTP/AVP;multicast;destination={group};source={HOST};port={port}-{port + 1}"
            self._found[track] = Viewer(None, 0, 0, datagrams=datagrams), f"{header};ttl=1"
        self._viewers[track] = self._viewers.get(track, 0) + 1
        return self._found[track]

    def leave(self, track: TrackBroadcast, viewer: Viewer) -> bool:
        """Take that one of the viewers has gone; False if `viewer` stands for no group."""
        if track not in self._found or self._found[track][0] is not viewer:
            return False
        self._viewers[track] -= 1
        if not self._viewers[track]:
            track.leave(viewer)
            del self._found[track]
            if viewer.datagrams is not None:
                viewer.datagrams.close()
        return True


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
        quirks: Callable[[], Quirks] = lambda: (),
    ) -> None:
        """Ask for the password with digest of `algorithm`, `MD5` or `SHA-256`."""
        self._quirks = quirks
        self._groups = _Groups(quirks)
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
                if not self._groups.leave(track, viewer):
                    track.leave(viewer)
                    if viewer.datagrams is not None:
                        viewer.datagrams.close()
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
        body = b""
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
            lines.append(f"Content-Length: {len(body)}")
        session.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        if session.playing:
            # After the answer is queued, so that no packet comes before it.
            for track, viewer in _watched(session):
                track.join(viewer)

    def _options(self, _session: _Session, _request: _Request) -> _Answer:
        return 200, {"Public": _METHODS}, b""

    def _describe(self, _session: _Session, request: _Request) -> _Answer:
        offer = self._streams.get(request.path)
        if offer is None:
            return 404, {}, b""
        headers = {
            "Content-Base": f"{self.url(request.path)}/",
            "Content-Type": "application/sdp",
        }
        sdp = _sdp(offer)
        if Quirk.NAME_IN_GBK in self._quirks():
            return 200, headers, sdp.replace("s=Camera", "s=大门摄像机").encode("gbk")
        return 200, headers, sdp.encode()

    def _setup(self, session: _Session, request: _Request) -> _Answer:
        offer = self._streams.get(request.path)
        track = None if offer is None else dict(offer.described()).get(request.track)
        if offer is None or track is None:
            return 404, {}, b""
        if session.offer not in (None, offer) or request.track in session.viewers:
            return 455, {}, b""
        if offer.refused(track):
            return 403, {}, b""
        asked = _asked(request.headers.get("transport", ""), self._quirks())
        if asked is None:
            return 461, {}, b""
        how, numbers = asked
        try:
            if how == "multicast":
                viewer, transport = self._groups.join(track)
            elif how == "udp":
                host = session.writer.get_extra_info("peername")[0]
                viewer = Viewer(None, 0, 0, datagrams=Datagrams(host, numbers, self._quirks))
                transport = _unicast(viewer, numbers)
            else:
                viewer = Viewer(session.writer, *numbers)
                transport = f"RTP/AVP/TCP;unicast;interleaved={numbers[0]}-{numbers[1]}"
        except OSError:
            return 461, {}, b""
        session.offer = offer
        session.viewers[request.track] = viewer
        headers = {
            "Transport": f"{transport};ssrc={viewer.ssrc:08X}",
            "Session": f"{session.id};timeout=60",
        }
        return 200, headers, b""

    def _play(self, session: _Session, request: _Request) -> _Answer:
        if not session.viewers:
            return 455, {}, b""
        if request.headers.get("session", "").partition(";")[0] != session.id:
            return 454, {}, b""
        session.playing = True
        info = ",".join(
            f"url={self.url(request.path)}/trackID={number};seq={viewer.sequence}"
            for number, viewer in session.viewers.items()
        )
        return 200, {"Session": session.id, "Range": "npt=now-", "RTP-Info": info}, b""

    def _keep_alive(self, session: _Session, request: _Request) -> _Answer:
        if request.headers.get("session", session.id).partition(";")[0] != session.id:
            return 454, {}, b""
        return 200, {"Session": session.id}, b""


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


def _asked(transport: str, quirks: Quirks) -> tuple[str, tuple[int, int]] | None:
    """Return the first way of a Transport header that is served, and its channels or ports.

    The way is `tcp`, `udp` or `multicast`; None: there is none.
    """
    for offer in transport.split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        said = dict(part.partition("=")[::2] for part in parameters)
        if kind.upper() == "RTP/AVP/TCP" and Quirk.TCP_REFUSED not in quirks:
            return "tcp", _pair(said.get("interleaved", ""), 255) or (0, 1)
        if kind.upper() not in ("RTP/AVP", "RTP/AVP/UDP"):
            continue
        if "multicast" in said:
            return "multicast", (0, 0)
        ports = _pair(said.get("client_port", ""), 65535)
        if ports is not None and Quirk.UDP_REFUSED not in quirks:
            return "udp", ports
    return None


def _pair(text: str, below: int) -> tuple[int, int] | None:
    first, _, second = text.partition("-")
    if not first.isdigit() or int(first) >= below:
        return None
    return int(first), int(second) if second.isdigit() else int(first) + 1


def _unicast(viewer: Viewer, ports: tuple[int, int]) -> str:
    assert viewer.datagrams is not None
    own = viewer.datagrams.ports
    return (
        f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]};server_port={own[0]}-{own[1]}"
        f";source={HOST}"
    )


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
