"""An RTSP server on loopback that plays looped clips as live cameras do (RFC 2326, TCP only).

It is our own because the packaged one that was looked at (aio-rtsp-toolkit) plays a file to
each viewer from the file's first frame: two viewers of a camera, or its two streams, would
show different moments, no camera could start in the middle of its footage, and every new
loop reopens the file. It also has no authentication and writes its log to standard output.
"""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from camera_hub.simulator import rtp
from camera_hub.simulator.broadcast import Broadcast, Viewer
from camera_hub.simulator.clip import CLOCK_RATE, LoopedClip
from camera_hub.simulator.digest import DigestGuard

HOST = "127.0.0.1"
_TRACK = "trackID=0"
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
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
        return urlsplit(self.url).path.removesuffix(_TRACK).rstrip("/")


@dataclass
class _Session:
    """What one connection has agreed on so far."""

    writer: asyncio.StreamWriter
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    broadcast: Broadcast | None = None
    viewer: Viewer | None = None
    playing: bool = False


class RtspServer:
    """Serves `streams` (path, such as `/lobby-1/sub`, to broadcast) to whoever has the password."""

    def __init__(
        self,
        streams: Mapping[str, Broadcast],
        *,
        username: str,
        password: str,
        port: int = 0,
        algorithm: str = "MD5",
    ) -> None:
        """Ask for the password with digest of `algorithm`, `MD5` or `SHA-256`."""
        self.port = port
        self._streams = dict(streams)
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
        for broadcast in self._streams.values():
            await broadcast.close()

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
            if session.broadcast is not None and session.viewer is not None:
                session.broadcast.leave(session.viewer)
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
        if session.playing and session.broadcast and session.viewer:
            # After the answer is queued, so that no packet comes before it.
            session.broadcast.join(session.viewer)

    def _options(self, _session: _Session, _request: _Request) -> tuple[int, dict[str, str], str]:
        return 200, {"Public": _METHODS}, ""

    def _describe(self, _session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        broadcast = self._streams.get(request.path)
        if broadcast is None:
            return 404, {}, ""
        headers = {
            "Content-Base": f"{self.url(request.path)}/",
            "Content-Type": "application/sdp",
        }
        return 200, headers, _sdp(broadcast.clip)

    def _setup(self, session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        broadcast = self._streams.get(request.path)
        if broadcast is None:
            return 404, {}, ""
        if session.viewer is not None:
            return 455, {}, ""
        channels = _channels(request.headers.get("transport", ""))
        if channels is None:
            return 461, {}, ""
        session.broadcast = broadcast
        session.viewer = Viewer(session.writer, *channels)
        transport = (
            f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"
            f";ssrc={session.viewer.ssrc:08X}"
        )
        return 200, {"Transport": transport, "Session": f"{session.id};timeout=60"}, ""

    def _play(self, session: _Session, request: _Request) -> tuple[int, dict[str, str], str]:
        if session.viewer is None:
            return 455, {}, ""
        if request.headers.get("session", "").partition(";")[0] != session.id:
            return 454, {}, ""
        session.playing = True
        info = f"url={self.url(request.path)}/{_TRACK};seq={session.viewer.sequence}"
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


def _sdp(clip: LoopedClip) -> str:
    sets = ",".join(base64.b64encode(part).decode() for part in (clip.sps, clip.pps))
    lines = (
        "v=0",
        f"o=- 0 0 IN IP4 {HOST}",
        "s=Camera",
        f"c=IN IP4 {HOST}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {rtp.PAYLOAD_TYPE}",
        f"a=rtpmap:{rtp.PAYLOAD_TYPE} H264/{CLOCK_RATE}",
        f"a=fmtp:{rtp.PAYLOAD_TYPE} packetization-mode=1;"
        f"profile-level-id={clip.sps[1:4].hex().upper()};sprop-parameter-sets={sets}",
        f"a=framerate:{clip.fps:.3f}",
        f"a=control:{_TRACK}",
    )
    return "\r\n".join(lines) + "\r\n"
