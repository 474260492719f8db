"""Where the datagrams of one track go: to one viewer's ports, or to a group on loopback."""

import contextlib
import socket
from collections.abc import Callable, Sequence

from camera_hub.simulator.quirks import Quirk, Quirks

HOST = "127.0.0.1"
STRANGER = "127.0.0.2"
"""From where the datagrams of `datagrams-forged` come."""
_EACH_LOST = 20
_EACH_LATE = 8
_EACH_TWICE = 5
_FIRST_LOST = 7
_TRIES = 64


class Datagrams:
    """Sends the RTP and RTCP of one track from two neighbouring ports, as `quirks` say.

    `reports` are what came back on the second port.
    """

    def __init__(self, host: str, ports: tuple[int, int], quirks: Callable[[], Quirks]) -> None:
        """Bind; `host` may be a group.

        Raises:
            OSError: there are no ports.
        """
        self.reports: list[bytes] = []
        self._to, self._reports_to = (host, ports[0]), (host, ports[1])
        self._quirks = quirks
        self._rtp, self._rtcp = _neighbours(HOST)
        self._stranger = _socket()
        self._stranger.bind((STRANGER, 0))
        self._late: bytes | None = None
        self._count = 0

    @property
    def ports(self) -> tuple[int, int]:
        """The ports that it sends from."""
        return self._rtp.getsockname()[1], self._rtcp.getsockname()[1]

    def send(self, packets: Sequence[tuple[bool, bytes]]) -> None:
        """Send packets; each with whether it is a report."""
        quirks = self._quirks()
        self._hear()
        for report, data in packets:
            if Quirk.DATAGRAMS_BLOCKED in quirks:
                continue
            if report:
                _to(self._rtcp, data, self._reports_to)
            else:
                self._media(data, quirks)

    def close(self) -> None:
        """Close the ports."""
        for sock in (self._rtp, self._rtcp, self._stranger):
            sock.close()

    def _media(self, data: bytes, quirks: Quirks) -> None:
        self._count += 1
        if Quirk.DATAGRAMS_FORGED in quirks:
            # All is right but the address and what is inside.
            _to(self._stranger, data[:12] + bytes(len(data) - 12), self._to)
            _to(self._stranger, b"", self._to)
        if Quirk.DATAGRAMS_LOST in quirks and self._count % _EACH_LOST == _FIRST_LOST:
            return
        if Quirk.DATAGRAMS_LATE in quirks and self._count % _EACH_LATE == 0:
            self._late = data
            return
        _to(self._rtp, data, self._to)
        if Quirk.DATAGRAMS_TWICE in quirks and self._count % _EACH_TWICE == 0:
            _to(self._rtp, data, self._to)
        if self._late is not None:
            late, self._late = self._late, None
            _to(self._rtp, late, self._to)

    def _hear(self) -> None:
        for sock in (self._rtp, self._rtcp):
            with contextlib.suppress(OSError):
                while True:
                    data = sock.recv(2048)
                    if sock is self._rtcp:
                        self.reports.append(data)


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HOST))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
    return sock


def _neighbours(host: str) -> tuple[socket.socket, socket.socket]:
    for _ in range(_TRIES):
        first, second = _socket(), _socket()
        try:
            first.bind((host, 0))
            port = first.getsockname()[1]
            second.bind((host, port ^ 1))
        except OSError:
            first.close()
            second.close()
            continue
        return (second, first) if port & 1 else (first, second)
    raise OSError("no two neighbouring ports are free")


def _to(sock: socket.socket, data: bytes, place: tuple[str, int]) -> None:
    # A viewer that has gone is noticed on its connection.
    with contextlib.suppress(OSError):
        sock.sendto(data, place)
