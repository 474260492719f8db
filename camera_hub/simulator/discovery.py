"""Answering WS-Discovery probes, as cameras in a network do (WS-Discovery 1.0 draft of 2005).

One responder answers for any number of devices: it listens on UDP at the multicast address, on
one interface (loopback by default), and sends each device's ProbeMatches back to who asked.
"""

import asyncio
import socket
import struct
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from camera_hub.simulator.management import scopes_of
from camera_hub.simulator.onvif import DEVICE_PATH, HOST, WRONG_HOST, OnvifDevice
from camera_hub.simulator.quirks import Quirk

GROUP = "239.255.255.250"
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
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Join the group and listen.

        Raises:
            OSError: the interface has no multicast, or the port is taken by somebody alone.
        """
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Other devices on this machine, and the hub's own tests, listen there as well.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((GROUP, self.port))
            group = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(self._interface))
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            listening.setblocking(False)
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Listener(self._answer), sock=listening
            )
        except OSError:
            listening.close()
            raise
        self.port = listening.getsockname()[1]

    async def close(self) -> None:
        """Leave the group."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _answer(self, data: bytes, sender: Any) -> None:
        message_id = _probe_id(data)
        if message_id is None or self._transport is None:
            return
        self.probes += 1
        for device in self._devices():
            if Quirk.DISCOVERY_GARBAGE in device.quirks:
                self._transport.sendto(b"\x00\xff<ProbeMatches" * 20, sender)
            else:
                self._transport.sendto(_matches(device, message_id).encode(), sender)


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
