"""Answering WS-Discovery probes, as cameras in a network do (WS-Discovery 1.0 draft of 2005).

One responder answers for any number of devices: it listens on UDP at the multicast address and at
that of one interface (loopback by default), IPv4 or IPv6, and sends each device's ProbeMatches back
to who asked.
"""

import asyncio
import ipaddress
import socket
import struct
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from camera_hub.simulator.management import scopes_of
from camera_hub.simulator.onvif import DEVICE_PATH, HOST, WRONG_HOST, OnvifDevice
from camera_hub.simulator.quirks import Quirk

GROUP, GROUP_6 = "239.255.255.250", "ff02::c"
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")
PORT = 3702
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_DISCOVERY = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_LARGEST = 8192
_OURS = uuid.UUID("6f1d8a35-5f0d-4a9b-9d4e-3c9c2d8b7a10")


class DiscoveryResponder:
    """Answers for `devices` (asked at each probe) while it runs; `probes` counts what came."""

    def __init__(
        self,
        devices: Callable[[], Iterable[OnvifDevice]],
        *,
        interface: str = HOST,
        port: int = PORT,
    ) -> None:
        self.probes = 0
        self.port = port
        self._devices = devices
        self._interface = interface
        self._transports: list[asyncio.DatagramTransport] = []

    async def start(self) -> None:
        """Join the group and listen.

        Raises:
            OSError: the interface has no multicast, or the port is taken by somebody alone.
        """
        group = self._bound(GROUP_6 if self._six else GROUP, self.port)
        await self._listen(group)
        self.port = group.getsockname()[1]
        try:
            # A probe that is sent to the device itself is answered as well.
            await self._listen(self._bound(self._interface, self.port))
        except OSError:
            await self.close()
            raise

    @property
    def _six(self) -> bool:
        return ":" in self._interface

    def _bound(self, host: str, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET6 if self._six else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Other devices on this machine, and the hub's own tests, listen there as well.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setblocking(False)
            if self._six:
                self._bind_6(bound, host, port)
            else:
                bound.bind((host, port))
            if host == GROUP:
                group = struct.pack("4s4s", *map(socket.inet_aton, (GROUP, self._interface)))
                bound.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        except OSError:
            bound.close()
            raise
        return bound

    def _bind_6(self, bound: socket.socket, host: str, port: int) -> None:
        lines = [line.split() for line in _IPV6_ADDRESSES.read_text().splitlines()]
        wanted = ipaddress.IPv6Address(self._interface)
        index = next((int(row[1], 16) for row in lines if int(row[0], 16) == int(wanted)), 0)
        bound.bind((host, port, 0, index if host == GROUP_6 else 0))
        if host == GROUP_6:
            group = socket.inet_pton(socket.AF_INET6, GROUP_6) + struct.pack("@I", index)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)

    async def _listen(self, listening: socket.socket) -> None:
        def listener() -> _Listener:
            return _Listener(self._answer)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(listener, sock=listening)
        self._transports.append(transport)

    async def close(self) -> None:
        """Leave the group."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def _answer(self, data: bytes, sender: Any) -> None:
        message_id = _probe_id(data)
        if message_id is None or not self._transports:
            return
        # From the address of the interface, as a device answers.
        transport = self._transports[-1]
        self.probes += 1
        for device in self._devices():
            if Quirk.DISCOVERY_GARBAGE in device.quirks:
                transport.sendto(b"\x00\xff<ProbeMatches" * 20, sender)
            else:
                transport.sendto(_matches(device, message_id).encode(), sender)


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes, Any], None]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._answer(data, addr)


def _probe_id(data: bytes) -> str | None:
    """Return the id of a probe that video transmitters answer, None of anything else."""
    if len(data) > _LARGEST or b"<!" in data:
        return None
    try:
        envelope = ElementTree.fromstring(data)  # noqa: S314 - short, and without a document type
    except ElementTree.ParseError:
        return None
    probe = envelope.find(f"{{{_SOAP}}}Body/{{{_DISCOVERY}}}Probe")
    message_id = envelope.findtext(f"{{{_SOAP}}}Header/{{{_ADDRESSING}}}MessageID")
    if probe is None or not message_id:
        return None
    types = (probe.findtext(f"{{{_DISCOVERY}}}Types") or "").split()
    known = {"NetworkVideoTransmitter", "Device"}
    if types and not {name.rpartition(":")[2] for name in types} & known:
        return None
    return message_id.strip()


def _matches(device: OnvifDevice, message_id: str) -> str:
    host = WRONG_HOST if Quirk.XADDR_OF_OTHER_HOST in device.quirks else HOST
    # The same device has the same name in every answer, and after every start.
    name = uuid.uuid5(_OURS, f"{device.identity.serial}@{device.port}")
    answer_id = uuid.uuid5(_OURS, f"{message_id}{name}")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_SOAP}" '
        f'xmlns:a="{_ADDRESSING}" xmlns:d="{_DISCOVERY}" '
        'xmlns:dn="http://www.onvif.org/ver10/network/wsdl">'
        f"<s:Header><a:MessageID>urn:uuid:{answer_id}</a:MessageID>"
        f"<a:RelatesTo>{escape(message_id)}</a:RelatesTo>"
        f"<a:To>{_ADDRESSING}/role/anonymous</a:To>"
        f"<a:Action>{_DISCOVERY}/ProbeMatches</a:Action></s:Header>"
        "<s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference>"
        f"<a:Address>urn:uuid:{name}</a:Address></a:EndpointReference>"
        "<d:Types>dn:NetworkVideoTransmitter</d:Types>"
        f"<d:Scopes>{escape(' '.join(scopes_of(device.identity)))}</d:Scopes>"
        f"<d:XAddrs>http://{host}:{device.port}{DEVICE_PATH}</d:XAddrs>"
        "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body>"
        "</s:Envelope>"
    )
