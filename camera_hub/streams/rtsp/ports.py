"""The sockets on which a track's datagrams come: a pair of ports, or a group that is joined.

Linux only, as the poller is: the numbers of options that Python does not name are from its headers.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Place = tuple[Any, ...]
"""The address of a socket, as `socket` has it: host and port first."""

_RECEIVE_BUFFER = 4 << 20
"""What is asked for; the kernel gives `net.core.rmem_max` at most."""
_TRIES = 64
_SO_RCVBUFFORCE = 33
_IP_MULTICAST_ALL = 49
_IP_ADD_SOURCE_MEMBERSHIP = 39
_IPV6_MULTICAST_ALL = 29
_MCAST_JOIN_SOURCE_GROUP = 46
_INTERFACES = Path("/proc/net/if_inet6")


@dataclass(slots=True)
class Ports:
    """Where one track's datagrams come; both sockets do not block.

    `channel` is the number by which the connection knows the track. Datagrams are taken from
    `senders` only. `reports_to` is where receiver reports go, None where nobody said. `ssrc` is
    what the camera said its packets bear, `group` the group that was joined.
    """

    channel: int
    rtp: socket.socket
    rtcp: socket.socket
    senders: frozenset[str]
    reports_to: Place | None = None
    ssrc: int | None = None
    group: str = ""

    def close(self) -> None:
        """Close both; leaves the group."""
        self.rtp.close()
        self.rtcp.close()


def neighbours(local: Place, family: int) -> tuple[socket.socket, socket.socket]:
    """Bind two sockets at the address `local`, the first to an even port, the second to the next.

    Raises:
        OSError: there are none.
    """
    for _ in range(_TRIES):
        first = _socket(family)
        try:
            first.bind((local[0], 0, *local[2:]))
            port = first.getsockname()[1]
            second = _socket(family)
        except OSError:
            first.close()
            raise
        try:
            second.bind((local[0], port ^ 1, *local[2:]))
        except OSError:
            first.close()
            second.close()
            continue
        return (second, first) if port & 1 else (first, second)
    raise OSError("no two neighbouring ports are free")


@dataclass(frozen=True, slots=True)
class Group:
    """A group on the network of `local`, an address of this machine.

    `source` is the only sender that is wanted (RFC 4607), empty: anybody. What is sent to the
    group from here goes `ttl` networks far.
    """

    address: str
    port: int
    local: Place
    source: str
    ttl: int


def joined(group: Group) -> socket.socket:
    """Return a socket that gets what is sent to `group`, and from which can be sent to it.

    Raises:
        OSError: it cannot be joined.
    """
    six = ":" in group.address
    sock = _socket(socket.AF_INET6 if six else socket.AF_INET)
    try:
        # Others on this machine may watch the same group.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        (_join_6 if six else _join_4)(sock, group)
    except (OSError, ValueError) as error:
        sock.close()
        raise OSError("the group cannot be joined") from error
    return sock


def _socket(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    with suppress(OSError):
        # Whoever administers the network gets what was asked for.
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    return sock


def _join_4(sock: socket.socket, group: Group) -> None:
    packed, interface = socket.inet_aton(group.address), socket.inet_aton(group.local[0])
    # Bound to the group, and given nothing that others on this machine have joined.
    sock.bind((group.address, group.port))
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, group.ttl)
    if group.source:
        request = packed + interface + socket.inet_aton(group.source)
        sock.setsockopt(socket.IPPROTO_IP, _IP_ADD_SOURCE_MEMBERSHIP, request)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + interface)


def _join_6(sock: socket.socket, group: Group) -> None:
    packed, interface = ipaddress.IPv6Address(group.address).packed, _interface_of(group.local)
    sock.bind((group.address, group.port, 0, interface))
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, group.ttl)
    if group.source:
        request = struct.pack("I", interface) + bytes(struct.calcsize("P") - 4)
        request += _storage(packed) + _storage(ipaddress.IPv6Address(group.source).packed)
        sock.setsockopt(socket.IPPROTO_IPV6, _MCAST_JOIN_SOURCE_GROUP, request)
    else:
        request = packed + struct.pack("I", interface)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)


def _storage(address: bytes) -> bytes:
    """Return a `sockaddr_storage` of an IPv6 address."""
    return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, address, 0).ljust(128, b"\0")


def _interface_of(local: Place) -> int:
    """Return the number of the interface that has an IPv6 address; 0: let the kernel choose."""
    if len(local) > 3 and local[3]:
        return int(local[3])
    wanted = ipaddress.IPv6Address(str(local[0]).partition("%")[0]).packed.hex()
    with suppress(OSError, ValueError):
        for line in _INTERFACES.read_text().splitlines():
            words = line.split()
            if words[:1] == [wanted]:
                return int(words[1], 16)
    return 0
