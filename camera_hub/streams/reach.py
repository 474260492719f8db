"""Where a camera may be: checked when an address is entered, and again at each connection.

An address becomes a network request made by the hub. A name can lead elsewhere at every look-up
(DNS rebinding), so a name is looked up here, its addresses are checked, and the connection goes
to the very address that was checked.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Where clouds keep a machine's secrets, besides the link-local address that most of them use.
_METADATA = {ipaddress.ip_address("100.100.100.200"), ipaddress.ip_address("fd00:ec2::254")}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a site adds to the addresses that no camera has anywhere.

    `own_port` is the hub's own port: nothing on this machine may be asked there.
    """

    refused: tuple[Network, ...] = ()
    loopback: bool = True
    own_port: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Reach:
        """Return what the settings say.

        Loopback is open while nobody but this machine uses the hub (the demo, a first try): who
        may add cameras there can reach the machine's own services anyway.
        """
        server, media = settings.server, settings.media
        alone = not server.public_url and server.host in {"127.0.0.1", "::1", "localhost"}
        return cls(
            refused=tuple(ipaddress.ip_network(n, strict=False) for n in media.refused_networks),
            loopback=alone if media.allow_loopback is None else media.allow_loopback,
            own_port=server.port,
        )

    def refusal(self, ip: Address, port: int) -> str:
        """Return why no camera may be at `ip` and `port`; an empty string if one may."""
        plain = _embedded(ip)
        if why := never_a_camera(plain):
            return why
        if any(plain in network for network in self.refused):
            return "lies in a network that media.refused_networks names"
        if plain.is_loopback and not self.loopback:
            return "is this machine itself (media.allow_loopback)"
        if plain.is_loopback and port == self.own_port != 0:
            return "is the hub itself"
        return ""

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Return the IP addresses of `host`, in the order to try them. Blocks: asks the network.

        Raises:
            OSError: the name is unknown.
            InvalidInputError: one of them is none of a camera; code `invalid-address`.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError("no name of a host") from error
        addresses = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        for text in addresses:
            if why := self.refusal(ipaddress.ip_address(text.partition("%")[0]), port):
                raise InvalidInputError(
                    f"The name {host} leads to {text}, which {why}.",
                    remedy="Enter the address that the camera has in your network.",
                    code="invalid-address",
                )
        return addresses

    def pinned(self, url: str, default_port: int, timeout_s: float) -> str:
        """Return `url` with its host's name replaced by a checked address that answers.

        An IP address is checked and stays. Blocks for at most about `timeout_s` seconds.

        Raises:
            OSError: the name is unknown.
            InvalidInputError: an address of it is none of a camera.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or default_port
        addresses = self.resolve(host, port)
        with suppress(ValueError):
            ipaddress.ip_address(host)
            return url
        chosen = _first_that_answers(addresses, port, timeout_s) or addresses[0]
        place = f"[{chosen}]" if ":" in chosen else chosen
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}{place}:{port}").geturl()


ANYWHERE = Reach()


def never_a_camera(ip: Address) -> str:
    """Return why no camera anywhere has the address `ip`; an empty string if one may."""
    ip = _embedded(ip)
    if ip.is_link_local:
        return "is link-local"
    if ip in _METADATA:
        return "belongs to a cloud's own service"
    if ip.is_unspecified or ip.is_multicast or ip == ipaddress.IPv4Address("255.255.255.255"):
        return "is no address of one machine"
    if ip.version == 4 and int(ip) >> 24 == 0:
        return "is no address of one machine"
    return ""


def _embedded(ip: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries, else `ip`."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner
    return ip


def _first_that_answers(addresses: tuple[str, ...], port: int, timeout_s: float) -> str:
    if len(addresses) == 1:
        return addresses[0]
    for address in addresses:
        with (
            suppress(OSError),
            socket.create_connection((address, port), timeout=timeout_s / len(addresses)),
        ):
            return address
    return ""
