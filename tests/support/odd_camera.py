"""A camera whose every oddity can be chosen: RTSP over TCP, packets in the same connection.

It packs access units that the test gives it, so that the test knows every byte that it sends.
"""

import base64
import itertools
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from camera_hub.simulator.digest import DigestGuard
from camera_hub.simulator.rtp import interleaved
from camera_hub.simulator.rtp import packet as rtp_packet
from camera_hub.streams.parameters import Codec, nal_units, parameter_sets

MTU = 300


def payloads(codec: Codec, unit: bytes) -> list[bytes]:
    """Pack one picture: parameter sets together, large NAL units in fragments, others alone."""
    nals = list(nal_units(unit))
    small = list(itertools.takewhile(lambda n: len(n) < 100, nals))
    packed = []
    if len(small) > 1:
        joined = b"".join(len(n).to_bytes(2, "big") + n for n in small)
        packed.append((b"\x78" if codec == "h264" else b"\x60\x01") + joined)
        nals = nals[len(small) :]
    for nal in nals:
        packed += [nal] if len(nal) <= MTU else _fragments(codec, nal)
    return packed


def _fragments(codec: Codec, nal: bytes) -> Iterator[bytes]:
    size = 1 if codec == "h264" else 2
    for at in range(size, len(nal), MTU):
        marks = (at == size) << 7 | (at + MTU >= len(nal)) << 6
        if codec == "h264":
            head = bytes((nal[0] & 0xE0 | 28, marks | nal[0] & 31))
        else:
            head = bytes((nal[0] & 0x81 | 49 << 1, nal[1], marks | nal[0] >> 1 & 63))
        yield head + nal[at : at + MTU]


class Piece(NamedTuple):
    """One packet of a track beside the video; without a payload it is lost on its way."""

    payload: bytes | None
    ticks: int
    marker: bool = False


@dataclass
class Extra:
    """A track beside the video.

    `lines` are its lines of the description, `send` gives what it sends beside each picture,
    `reports` what is sent on its second channel then. `answer` replaces that to its SETUP; "" sends
    no answer at all. `channels` are what the camera answers; empty: those that it was asked for.
    """

    lines: str
    control: str
    send: Callable[[int], Sequence[Piece]] = lambda _number: ()
    reports: Callable[[int], bytes] = lambda _number: b""
    answer: str | None = None
    channels: str = ""


@dataclass
class Oddities:
    """What is unusual about a camera.

    `answers` replaces whole answers by method; `times` are RTP times of the units, in pictures;
    `between` is sent after every tenth picture. `silent_after_s`: without a request for so long
    the camera stops sending, as when a session has timed out.
    """

    codec: Codec = "h264"
    sets_in_description: bool = True
    algorithm: str = ""
    timeout: str = ""
    silent_after_s: float = 60.0
    methods: str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
    base: str = ""
    control: str = "track1"
    channels: str = "0-1"
    answers: dict[str, str] = field(default_factory=dict)
    times: Sequence[int] = ()
    between: bytes = b""
    early: bool = False
    pace_s: float = 0.008
    before: Callable[["OddCamera", str], None] | None = None
    extras: Sequence[Extra] = ()
    offers_sound: bool = True
    reports: Callable[[int], bytes] = lambda _number: b""


class OddCamera:
    """Listens on a port of its own; one thread a viewer. `requests` are those it was sent."""

    def __init__(
        self,
        units: list[bytes],
        odd: Oddities | None = None,
        *,
        username: str = "",
        password: str = "",
    ) -> None:
        self.units, self.odd = units, odd or Oddities()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.guard: DigestGuard | None = None
        self._account = (username, password)
        self.renew_nonce(stale=False)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._counters: dict[socket.socket, int] = {}
        self._set_up: dict[str, int] = {}
        self._beside: dict[str, int] = {}
        threading.Thread(target=self._run, daemon=True).start()

    def renew_nonce(self, *, stale: bool) -> None:
        """Let the nonce in use expire."""
        self._stale = stale
        if self.odd.algorithm:
            username, password = self._account
            self.guard = DigestGuard(
                username, password, realm="camera", algorithm=self.odd.algorithm
            )

    @property
    def url(self) -> str:
        """The address of its stream."""
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def methods(self) -> list[str]:
        """Return the methods of all requests so far."""
        return [method for method, _, _ in self.requests]

    def close(self) -> None:
        """Hang up and listen no more."""
        self._closed.set()
        self._listener.close()
        for sock in self._sockets:
            sock.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        heard = threading.Event()
        lock = threading.Lock()
        data = b""
        with suppress(OSError):
            while chunk := sock.recv(4096):
                data += chunk
                while True:
                    if data[:1] == b"$":
                        size = 4 + int.from_bytes(data[2:4], "big")
                        if len(data) < max(size, 4):
                            break
                        data = data[size:]
                        continue
                    head, found, rest = data.partition(b"\r\n\r\n")
                    if not found:
                        break
                    data = rest
                    heard.set()
                    self._answer(sock, lock, head.decode(), heard)

    def _answer(
        self, sock: socket.socket, lock: threading.Lock, head: str, heard: threading.Event
    ) -> None:
        first, *lines = head.split("\r\n")
        method, uri, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        self.requests.append((method, uri, headers))
        if self.odd.before is not None:
            self.odd.before(self, method)
        text = self._text(method, uri, headers)
        if method == "PLAY" and self.odd.early and " 200 " in text:
            with lock:
                self._send_picture(sock, 0)
        with lock:
            sock.sendall(text.encode())
        if method == "PLAY" and " 200 " in text:
            threading.Thread(target=self._play, args=(sock, lock, heard), daemon=True).start()
        if method == "TEARDOWN":
            sock.shutdown(socket.SHUT_RDWR)

    def _text(self, method: str, uri: str, headers: dict[str, str]) -> str:
        extra = next((e for e in self.odd.extras if uri.endswith("/" + e.control)), None)
        if method == "SETUP" and extra is not None and extra.answer is not None:
            return extra.answer.replace("{cseq}", headers.get("cseq", ""))
        if method in self.odd.answers:
            return self.odd.answers[method].replace("{cseq}", headers.get("cseq", ""))
        more, body, status = "", "", "200 OK"
        if self.guard is not None and not self.guard.admits(
            method, headers.get("authorization", "")
        ):
            stale = ", stale=true" if self._stale else ""
            status, more = (
                "401 Unauthorized",
                f"WWW-Authenticate: {self.guard.challenge()}{stale}\r\n",
            )
        elif method == "OPTIONS":
            more = f"Public: {self.odd.methods}\r\n"
        elif method == "DESCRIBE":
            body = self._description()
            more = "Content-Type: application/sdp\r\n"
            more += f"Content-Base: {self.odd.base}\r\n" if self.odd.base else ""
        elif method == "SETUP":
            channels = self.odd.channels
            if extra is not None:
                channels = extra.channels or headers["transport"].partition("interleaved=")[2]
                self._set_up[extra.control] = int(channels.partition("-")[0])
            more = f"Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n"
            more += f"Session: 12345{self.odd.timeout}\r\n"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        cseq = headers.get("cseq", "0")
        return f"RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{more}{length}\r\n{body}"

    def _description(self) -> str:
        codec = self.odd.codec
        parameters = "packetization-mode=1"
        if self.odd.sets_in_description:
            sets = [base64.b64encode(s).decode() for s in parameter_sets(codec, self.units[0])]
            names = ("vps", "sps", "pps") if codec == "hevc" else ("parameter-sets",)
            values = sets if codec == "hevc" else [",".join(sets)]
            parameters += "".join(f";sprop-{n}={v}" for n, v in zip(names, values, strict=False))
        name = "H265" if codec == "hevc" else "H264"
        return (
            "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\na=control:*\r\n"
            + ("m=audio 0 RTP/AVP 8\r\na=control:track0\r\n" if self.odd.offers_sound else "")
            + f"m=video 0 RTP/AVP 96\r\na=rtpmap:96 {name}/90000\r\na=fmtp:96 {parameters}\r\n"
            f"a=control:{self.odd.control}\r\n"
        ) + "".join(f"{e.lines}a=control:{e.control}\r\n" for e in self.odd.extras)

    def _play(self, sock: socket.socket, lock: threading.Lock, heard: threading.Event) -> None:
        quiet = 0.0
        with suppress(OSError):
            for number in itertools.count(1 if self.odd.early else 0):
                with lock:
                    self._send_picture(sock, number)
                    self._send_beside(sock, number)
                    if number % 10 == 9:
                        sock.sendall(self.odd.between)
                if self._closed.wait(self.odd.pace_s):
                    return
                quiet = 0.0 if heard.is_set() else quiet + self.odd.pace_s
                heard.clear()
                if quiet > self.odd.silent_after_s:
                    return

    def _send_picture(self, sock: socket.socket, number: int) -> None:
        loop, index = divmod(number, len(self.units))
        times = self.odd.times or range(len(self.units))
        ticks = (loop * len(self.units) + times[index]) * 3600 + 4_294_900_000
        packed = payloads(self.odd.codec, self.units[index])
        channel = int(self.odd.channels.partition("-")[0])
        out = b""
        for position, payload in enumerate(packed):
            data = rtp_packet(
                payload,
                marker=position == len(packed) - 1,
                sequence=self._next(sock),
                ticks=ticks,
                ssrc=7,
            )
            out += interleaved(channel, data)
        sock.sendall(out)

    def _send_beside(self, sock: socket.socket, number: int) -> None:
        out = b""
        if report := self.odd.reports(number):
            out += interleaved(int(self.odd.channels.partition("-")[2]), report)
        for extra in self.odd.extras:
            channel = self._set_up.get(extra.control)
            if channel is None or channel > 254:
                continue
            kind = int(extra.lines.split()[3])
            for piece in extra.send(number):
                sequence = self._beside[extra.control] = self._beside.get(extra.control, 0) + 1
                if piece.payload is None:
                    continue
                data = rtp_packet(
                    piece.payload, marker=piece.marker, sequence=sequence, ticks=piece.ticks, ssrc=9
                )
                out += interleaved(channel, data[:1] + bytes((data[1] & 128 | kind,)) + data[2:])
            if report := extra.reports(number):
                out += interleaved(channel + 1, report)
        sock.sendall(out)

    def _next(self, sock: socket.socket) -> int:
        # Near its end, so that it begins anew in the test.
        self._counters[sock] = self._counters.get(sock, 65500) + 1
        return self._counters[sock]
