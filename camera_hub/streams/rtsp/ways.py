"""The ways in which a camera's packets come: within the connection, to a pair of ports, to a group.

A way is chosen for a whole session. For each track it says what to ask for in SETUP and makes
channel numbers of the answer; those of datagrams are our own, and each stands for two sockets.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Protocol

from camera_hub.streams.rtsp.answers import Agreed, agreed, channels_of
from camera_hub.streams.rtsp.datagrams import punch
from camera_hub.streams.rtsp.messages import ProtocolError
from camera_hub.streams.rtsp.ports import Group, Place, Ports, joined, neighbours
from camera_hub.streams.rtsp.sdp import SideTrack, VideoTrack
from camera_hub.streams.types import Transport

_FAR = 16
"""How many networks far reports to a group go where the camera does not say."""


class TransportRefusedError(Exception):
    """The camera does not send its packets in the way that was asked for."""


class Way(Protocol):
    """How the packets of one session come. `ports` are those of datagrams, one for each track."""

    ports: list[Ports]

    def offer(self) -> str:
        """Return the Transport header that asks for the next track.

        Raises:
            OSError: there is no port left on this machine.
        """
        ...

    def agree(self, given: str, track: VideoTrack | SideTrack) -> tuple[int, int]:
        """Return the channels of RTP and RTCP, by the Transport header of the answer.

        Raises:
            TransportRefusedError: the camera sends otherwise.
            ProtocolError: what it says cannot be.
            OSError: what it says cannot be done here.
        """
        ...

    def ready(self) -> None:
        """Everything is set up, and PLAY is said next."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


def way_of(transport: Transport, sock: socket.socket) -> Way:
    """Return the way of `transport` for a session over the connection `sock`."""
    if transport == "tcp":
        return _Interleaved()
    return _Datagrams(sock, multicast=transport == "multicast")


class _Interleaved:
    """Within the connection (RFC 2326 section 10.12)."""

    def __init__(self) -> None:
        self.ports: list[Ports] = []
        self._taken: set[int] = set()
        self._asked = (0, 1)

    def offer(self) -> str:
        first = max(self._taken, default=-1) + 1
        self._asked = (first, first + 1)
        return f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"

    def agree(self, given: str, track: VideoTrack | SideTrack) -> tuple[int, int]:
        del track
        # Some cameras leave out the word TCP and name the channels all the same.
        named = re.search("tcp|interleaved", given, re.IGNORECASE)
        if given and not named and not self._taken:
            raise TransportRefusedError
        channels = channels_of(given, self._asked)
        if self._taken & set(channels):
            raise ProtocolError("two tracks on one channel")
        self._taken.update(channels)
        return channels

    def ready(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Datagrams:
    """To a pair of ports of this machine, or to a group."""

    def __init__(self, sock: socket.socket, *, multicast: bool) -> None:
        self.ports: list[Ports] = []
        self._local: Place = sock.getsockname()
        self._camera: Place = sock.getpeername()
        self._family = sock.family
        self._multicast = multicast
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._servers: list[Place | None] = []

    def offer(self) -> str:
        if self._multicast:
            return "RTP/AVP;multicast"
        self._let_go()
        self._pair = neighbours(self._local, self._family)
        port = self._pair[0].getsockname()[1]
        return f"RTP/AVP;unicast;client_port={port}-{port + 1}"

    def agree(self, given: str, track: VideoTrack | SideTrack) -> tuple[int, int]:
        answer = agreed(given)
        if answer.interleaved or (self._multicast and given and not answer.multicast):
            raise TransportRefusedError
        channel = 2 * len(self.ports)
        if answer.multicast or self._multicast:
            self.ports.append(self._group(channel, answer, track))
            self._servers.append(None)
        else:
            self.ports.append(self._own(channel, answer))
        return channel, channel + 1

    def ready(self) -> None:
        self._let_go()
        for ports, server in zip(self.ports, self._servers, strict=True):
            punch(ports, server)

    def close(self) -> None:
        self._let_go()
        for ports in self.ports:
            ports.close()

    def _own(self, channel: int, answer: Agreed) -> Ports:
        assert self._pair is not None
        (rtp, rtcp), self._pair = self._pair, None
        server: Place | None = None
        reports: Place | None = None
        if answer.server_ports is not None:
            # To the camera itself, whatever it names: nobody else is sent anything.
            server = (self._camera[0], answer.server_ports[0], *self._camera[2:])
            reports = (self._camera[0], answer.server_ports[1], *self._camera[2:])
        self._servers.append(server)
        return Ports(channel, rtp, rtcp, self._senders(answer), reports, answer.ssrc)

    def _group(self, channel: int, answer: Agreed, track: VideoTrack | SideTrack) -> Ports:
        self._let_go()
        told = track.group
        group = answer.destination or (told.address if told else "")
        port = answer.ports[0] if answer.ports else told.port if told else 0
        reports_port = answer.ports[1] if answer.ports else port + 1
        if not port or not 0 < reports_port < 65536 or not self._is_group(group):
            raise TransportRefusedError
        ttl = answer.ttl or (told.ttl if told else 0) or _FAR
        source = answer.source if self._fits(answer.source) else ""
        rtp = joined(Group(group, port, self._local, source, ttl))
        try:
            rtcp = joined(Group(group, reports_port, self._local, source, ttl))
        except OSError:
            rtp.close()
            raise
        place = (group, reports_port, *rtp.getsockname()[2:])
        senders = self._senders(answer)
        return Ports(channel, rtp, rtcp, senders, place, answer.ssrc, group=group)

    def _senders(self, answer: Agreed) -> frozenset[str]:
        return frozenset({str(self._camera[0]), answer.source} - {""})

    def _fits(self, address: str) -> bool:
        version = 6 if self._family == socket.AF_INET6 else 4
        return address != "" and ipaddress.ip_address(address).version == version

    def _is_group(self, group: str) -> bool:
        if not self._fits(group):
            return False
        ip = ipaddress.ip_address(group)
        # Groups of the network's own routers carry no pictures.
        return ip.is_multicast and ip not in _ROUTERS

    def _let_go(self) -> None:
        if self._pair is not None:
            for sock in self._pair:
                sock.close()
            self._pair = None


_ROUTERS = ipaddress.ip_network("224.0.0.0/24")
