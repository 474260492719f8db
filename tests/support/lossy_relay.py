"""A network that loses datagrams: an RTSP conversation passed on, its RTP over UDP with holes."""

import random
import re
import socket
import threading
from contextlib import suppress

_PORTS = re.compile(rb"client_port=(\d+)-(\d+)")


class LossyRelay:
    """Stands before the camera at `127.0.0.1:target_port`, for clients on this machine.

    It puts its own ports in place of the client's into what the client asks for, and passes on
    what the camera sends there. Attributes (may be set at any time): `loss`, the share of RTP
    packets that vanish (0..1); `lost` and `passed` count RTP packets.
    """

    def __init__(self, target_port: int) -> None:
        self.loss = 0.0
        self.lost = self.passed = 0
        self._target = ("127.0.0.1", target_port)
        self._random = random.Random(7)
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop for good."""
        self._closed.set()
        self._listener.close()
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                camera = socket.create_connection(self._target)
                self._sockets += [client, camera]
                for pair in ((client, camera), (camera, client)):
                    threading.Thread(target=self._talk, args=pair, daemon=True).start()

    def _talk(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(_PORTS.sub(self._ports, data) if b"SETUP" in data else data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _ports(self, asked: re.Match[bytes]) -> bytes:
        rtp, rtcp = _neighbours()
        self._sockets += [rtp, rtcp]
        ways = ((rtp, int(asked[1]), True), (rtcp, int(asked[2]), False))
        for way in ways:
            threading.Thread(target=self._pass_on, args=way, daemon=True).start()
        return b"client_port=%d-%d" % (rtp.getsockname()[1], rtcp.getsockname()[1])

    def _pass_on(self, sock: socket.socket, port: int, media: bool) -> None:
        with suppress(OSError):
            while not self._closed.is_set():
                data = sock.recv(65536)
                if media and self._random.random() < self.loss:
                    self.lost += 1
                    continue
                self.passed += media
                sock.sendto(data, ("127.0.0.1", port))


def _neighbours() -> tuple[socket.socket, socket.socket]:
    """Return two datagram sockets on neighbouring ports, the first an even one."""
    while True:
        first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if port % 2 == 0:
                second.bind(("127.0.0.1", port + 1))
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
