"""The datagrams of one track while it plays: taken from the camera alone, its reports answered.

Everything here runs on the poller's thread and never blocks.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from camera_hub.streams.rtsp.ports import Place, Ports
from camera_hub.streams.rtsp.reorder import Reorder
from camera_hub.streams.rtsp.rtp import RtpTrack
from core.metrics import counter

FOREIGN = counter("stream_datagrams_foreign", "Datagrams left out because no camera sent them")
LEFT_OUT = counter("stream_datagrams_left_out", "Datagrams left out: twice, too late, or wild")
REPORT_EVERY_S = 5.0
_MOST_AT_ONCE = 4096
_ROOM_OF_ONE = 2304
"""What a full datagram takes in the kernel's buffer."""
_RECEIVER_REPORT = struct.Struct(">BBHI")
_BLOCK = struct.Struct(">IIIIII")
_NAME = b"camera-hub"


def punch(ports: Ports, server: Place | None) -> None:
    """Send a datagram each way out, so that a firewall between lets the answers in.

    An RTP packet without payload and an empty receiver report, as other clients send them.
    """
    if ports.group or server is None:
        return
    with suppress(OSError):
        ports.rtp.sendto(b"\x80\x00" + bytes(10), server)
    with suppress(OSError):
        if ports.reports_to is not None:
            ports.rtcp.sendto(_RECEIVER_REPORT.pack(0x80, 201, 1, 0), ports.reports_to)


class DatagramTrack:
    """Reads the sockets of one track, video or beside it.

    `take` is given each datagram in its order, `farewell` is called when the camera says goodbye.
    """

    def __init__(
        self,
        ports: Ports,
        track: RtpTrack,
        take: Callable[[bytes], None],
        farewell: Callable[[], None] = lambda: None,
    ) -> None:
        self.ports = ports
        self._track = track
        self._farewell = farewell
        self._order = Reorder(track.payload_type, ports.ssrc, take)
        self._senders = ports.senders
        self._connected = bool(ports.group)
        self._own_ssrc = int.from_bytes(os.urandom(4), "big")
        self.crowded = False
        """Whether the kernel's buffer was seen so full that a longer pause may overflow it."""
        self.stranger = ""
        """Who last sent what was left out: an address that nobody has said to be the camera's."""
        room = ports.rtp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._crowd = max(8, room // (4 * _ROOM_OF_ONE))
        self._report_at = 0.0
        self._told = self._delivered = self._lost = 0
        self._last_report: tuple[int, float] | None = None
        self._early: tuple[bytes, float] | None = None

    @property
    def delivered(self) -> int:
        """Packets that came in time."""
        return self._order.delivered

    def read(self, buffer: memoryview, now: float) -> None:
        """Read the packets that are there."""
        receive, senders, put = self.ports.rtp.recvfrom_into, self._senders, self._order.put
        foreign = 0
        count = 0
        for count in range(_MOST_AT_ONCE):  # noqa: B007 - used behind the loop
            try:
                size, sender = receive(buffer)
            except BlockingIOError:
                break
            except OSError:
                # What somebody answered to what was sent; or the socket was closed while reading.
                if self.ports.rtp.fileno() < 0:
                    return
                continue
            if sender[0] not in senders:
                foreign += 1
                self.stranger = str(sender[0])
                continue
            if not self._connected:
                self._connect(sender)
            put(bytes(buffer[:size]), now)
            if self.ports.rtp.fileno() < 0:
                return
        if count > self._crowd:
            self.crowded = True
        self._order.expire(now)
        if foreign:
            FOREIGN.inc(foreign)

    def read_reports(self, buffer: memoryview, now: float) -> None:
        """Read the camera's reports."""
        for _ in range(_MOST_AT_ONCE):
            if self.ports.rtcp.fileno() < 0:
                return
            try:
                size, sender = self.ports.rtcp.recvfrom_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                continue
            if sender[0] not in self._senders:
                FOREIGN.inc()
                continue
            if not self.ports.group:
                self.ports.reports_to = sender
            self._reports(bytes(buffer[:size]), now)

    def look(self, now: float) -> None:
        """Give up what waits too long, report to the camera; to be called a few times a second."""
        self._order.expire(now)
        if self._early is not None and self._order.ssrc is not None:
            early, self._early = self._early, None
            self._reports(*early)
        if self._order.left_out > self._told:
            LEFT_OUT.inc(self._order.left_out - self._told)
            self._told = self._order.left_out
        if now >= self._report_at:
            self._report_at = now + REPORT_EVERY_S
            self._send(self._report(now))

    def leave(self) -> None:
        """Say goodbye to the camera and close the sockets."""
        if self.ports.rtcp.fileno() >= 0:
            self._send(_RECEIVER_REPORT.pack(0x80, 201, 1, self._own_ssrc) + self._goodbye())
        self.ports.close()

    def _connect(self, sender: Place) -> None:
        # From here on the kernel throws away what others send, before it fills the buffer.
        self._connected = True
        with suppress(OSError):
            self.ports.rtp.connect(sender)

    def _send(self, data: bytes) -> None:
        if self.ports.reports_to is not None:
            # A camera that takes no reports is none the worse for it.
            with suppress(OSError):
                self.ports.rtcp.sendto(data, self.ports.reports_to)

    def _report(self, now: float) -> bytes:
        """Return a receiver report and our name (RFC 3550 sections 6.4.2, 6.5)."""
        ssrc = self._order.ssrc
        if ssrc is None:
            return _RECEIVER_REPORT.pack(0x80, 201, 1, self._own_ssrc) + self._name()
        lost, delivered = self._track.lost, self._order.delivered
        expected = lost - self._lost + delivered - self._delivered
        fraction = min(255, (lost - self._lost) * 256 // expected) if expected else 0
        self._lost, self._delivered = lost, delivered
        middle = delay = 0
        if self._last_report is not None:
            middle = self._last_report[0]
            delay = min(int((now - self._last_report[1]) * 65536), 0xFFFFFFFF)
        block = _BLOCK.pack(
            int.from_bytes(ssrc, "big"),
            fraction << 24 | min(lost, 0x7FFFFF),
            lost + delivered & 0xFFFF0000 | self._track.highest,
            0,
            middle,
            delay,
        )
        return _RECEIVER_REPORT.pack(0x81, 201, 7, self._own_ssrc) + block + self._name()

    def _name(self) -> bytes:
        item = bytes((1, len(_NAME))) + _NAME
        item += bytes(4 - len(item) % 4)
        return _RECEIVER_REPORT.pack(0x81, 202, 1 + len(item) // 4, self._own_ssrc) + item

    def _goodbye(self) -> bytes:
        return self._name() + _RECEIVER_REPORT.pack(0x81, 203, 1, self._own_ssrc)

    def _reports(self, data: bytes, now: float) -> None:
        """Take a compound packet (RFC 3550 section 6.1); what is wrong in it ends it."""
        if self._order.ssrc is None:
            # Whose it is shows with the first packet.
            self._early = data, now
            return
        at = 0
        while len(data) - at >= 8:
            size = 4 + 4 * (data[at + 2] << 8 | data[at + 3])
            if at + size > len(data) or data[at] >> 6 != 2:
                return
            ours = data[at + 4 : at + 8] == self._order.ssrc
            if data[at + 1] == 200 and size >= 28 and ours:
                self._last_report = (int.from_bytes(data[at + 10 : at + 14], "big"), now)
                self._track.take_sender_report(data, at, now, 0)
            elif data[at + 1] == 203 and ours:
                self._farewell()
                return
            at += size
