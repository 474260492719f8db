"""Finding cameras: WS-Discovery by multicast, and asking every address of a range.

Whoever answers is a stranger. It is asked at the address that its answer came from, on the port
that it names; nothing else of what it says becomes a request. Without credentials given for this
search none are sent; given ones are sent as digests only (WS-UsernameToken, HTTP digest).
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import etree  # type: ignore[import-untyped]

from camera_hub.devices.address import bracketed
from camera_hub.devices.elements import Element, clean, every, first, node, text
from camera_hub.devices.soap import parse_safely
from camera_hub.streams.reach import Reach
from core.clock import Clock
from core.errors import InvalidInputError
from core.ids import new_id

GROUP, GROUP_6, PORT = "239.255.255.250", "ff02::c", 3702
MOST_ADDRESSES = 4096
"""A /20; so many in all ranges of one search."""
ONVIF_PORTS = (80, 8080, 8000, 8899, 2020, 5000)
RTSP_PORTS = (554,)
_LARGEST = 65535
_MOST_ANSWERS = 4096
_SIOCGIFADDR = 0x8915
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")
_CONNECT_S = 1.0
_AT_ONCE = 200
_TYPES = ("dn:NetworkVideoTransmitter", "tds:Device")
_SCOPE = "onvif://www.onvif.org/"


@dataclass(frozen=True, slots=True)
class Heard:
    """Who answered: where it is to be asked, and what it says of itself (may be empty)."""

    kind: str
    host: str
    port: int
    path: str = ""
    name: str = ""
    model: str = ""
    device: str = ""
    """What the device calls itself, wherever it answers from; may be empty."""

    @property
    def address(self) -> str:
        """What to enter to add it."""
        place = f"{bracketed(self.host)}:{self.port}"
        if self.kind == "rtsp":
            return f"rtsp://{place}/"
        usual = self.path in ("", "/onvif/device_service")
        return place if usual else f"http://{place}{self.path}"


def addresses_of(ranges: Iterable[str], reach: Reach) -> list[str]:
    """Return every address of `ranges` (IPv4) where a camera may be, each once.

    A range is CIDR, one address, or the first and the last with a dash between.

    Raises:
        InvalidInputError: `invalid-range`: no range, not of a private network, or too many.
    """
    found: dict[str, None] = {}
    for given in ranges:
        first, last, whole = _ends_of(given)
        count = int(last) - int(first) + 1
        if len(found) + count > MOST_ADDRESSES:
            raise _wrong_range(f"{given.strip()} makes it more than {MOST_ADDRESSES} addresses.")
        # The first and the last of a network of more than two are nobody's.
        edge = 1 if whole and count > 2 else 0
        for number in range(int(first) + edge, int(last) + 1 - edge):
            ip = ipaddress.IPv4Address(number)
            if not ip.is_private or ip.is_link_local:
                raise _wrong_range(f"{given.strip()} is no range of a private network.")
            if not reach.refusal(ip, 0):
                found[str(ip)] = None
    return list(found)


def _ends_of(given: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address, bool]:
    """Return the first and the last address of a range, and whether it is a network (CIDR)."""
    start, dash, end = (part.strip() for part in given.partition("-"))
    try:
        if not dash:
            network = ipaddress.IPv4Network(start, strict=False)
            return network.network_address, network.broadcast_address, True
        first = ipaddress.IPv4Address(start)
        # The last part alone will do: 192.168.1.10-60.
        last = ipaddress.IPv4Address(f"{start.rpartition('.')[0]}.{end}" if end.isdigit() else end)
    except ValueError:
        raise _wrong_range(f"'{given[:40]}' is no range of addresses.") from None
    if last < first:
        raise _wrong_range(f"{given.strip()} ends before it begins.")
    return first, last, False


def _wrong_range(message: str) -> InvalidInputError:
    return InvalidInputError(
        message,
        remedy="Enter ranges such as 192.168.1.0/24 or 192.168.1.10-60, at most 4096 addresses "
        "in all.",
        code="invalid-range",
    )


def interfaces() -> list[str]:
    """Return the addresses of this machine's network interfaces at which cameras may answer.

    IPv4, and IPv6 but for link-local addresses: a camera that is asked from one answers from one,
    and no camera is added by such an address. Loopback is left out.
    """
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with suppress(OSError):
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(answer[20:24]))
    found += [str(ip) for ip in addresses_6() if not ip.is_link_local]
    return [ip for ip in found if not ipaddress.ip_address(ip).is_loopback]


def addresses_6() -> dict[ipaddress.IPv6Address, int]:
    """Return this machine's IPv6 addresses and the index of the interface of each."""
    try:
        lines = _IPV6_ADDRESSES.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}  # IPv6 is switched off
    rows = [line.split() for line in lines]
    return {ipaddress.IPv6Address(int(row[0], 16)): int(row[1], 16) for row in rows}


async def call_out(
    clock: Clock, reach: Reach, on: Sequence[str], *, seconds: float, port: int = PORT
) -> AsyncIterator[Heard]:
    """Ask by multicast on the interfaces with the addresses `on`; yield who answers, each once.

    An interface without multicast is left out.
    """
    answers: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(maxsize=_MOST_ANSWERS)
    ways: list[_Way] = []
    for ip in on:
        group = GROUP_6 if ":" in ip else GROUP
        with suppress(OSError):
            ways.append((await _open(answers, ip), [(group, port)]))
    try:
        async for one in _collect(clock, reach, answers, ways=ways, seconds=seconds):
            yield one
    finally:
        for transport, _ in ways:
            transport.close()


async def call_each(
    clock: Clock, reach: Reach, addresses: Sequence[str], *, seconds: float, port: int = PORT
) -> AsyncIterator[Heard]:
    """Ask each of `addresses` the same by unicast; yield who answers, each once."""
    answers: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(maxsize=_MOST_ANSWERS)
    transport = await _open(answers, "")
    try:
        ways: list[_Way] = [(transport, [(ip, port) for ip in addresses])]
        async for one in _collect(clock, reach, answers, ways=ways, seconds=seconds):
            yield one
    finally:
        transport.close()


_Way = tuple[asyncio.DatagramTransport, Sequence[tuple[str, int]]]
"""A socket, and where questions are sent from it."""


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, answers: asyncio.Queue[tuple[bytes, str]]) -> None:
        self._answers = answers

    def datagram_received(self, data: bytes, addr: Any) -> None:
        # Somebody who floods is left out, not remembered.
        with suppress(asyncio.QueueFull):
            self._answers.put_nowait((data[:_LARGEST], str(addr[0])))


async def _open(answers: asyncio.Queue[tuple[bytes, str]], ip: str) -> asyncio.DatagramTransport:
    """Return a socket that sends on the interface with the address `ip` ("": any)."""
    six = ":" in ip
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if six:
            index = addresses_6().get(ipaddress.IPv6Address(ip), 0)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        if ip and not six:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ip))
        made.bind((ip, 0))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Listener(answers), sock=made
        )
    except OSError:
        made.close()
        raise
    return transport


async def _collect(
    clock: Clock,
    reach: Reach,
    answers: asyncio.Queue[tuple[bytes, str]],
    *,
    ways: Sequence[_Way],
    seconds: float,
) -> AsyncIterator[Heard]:
    asked: set[str] = set()

    async def send() -> None:
        # Twice: datagrams get lost, most of all where a hundred cameras answer at once.
        for _ in range(2):
            for types in _TYPES:
                message_id, probe = _probe(types)
                asked.add(message_id)
                for transport, targets in ways:
                    for number, target in enumerate(targets):
                        transport.sendto(probe, target)
                        if number % 64 == 63:
                            await clock.sleep(0.01)
            await clock.sleep(seconds / 4)

    sending = asyncio.create_task(send())
    ends = clock.monotonic() + seconds
    seen: set[tuple[str, int, str]] = set()
    try:
        while (left := ends - clock.monotonic()) > 0 and ways:
            try:
                data, host = await asyncio.wait_for(answers.get(), left)
            except TimeoutError:
                break
            for one in _heard(data, host, asked, reach):
                if (key := (one.host, one.port, one.path)) not in seen:
                    seen.add(key)
                    yield one
    finally:
        sending.cancel()


def _probe(types: str) -> tuple[str, bytes]:
    """Return the id and the text of a question for devices of `types`."""
    message_id = f"urn:uuid:{new_id()}"
    action = "http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe"
    envelope = node(
        "s:Envelope",
        node(
            "s:Header",
            node("a:Action", action),
            node("a:MessageID", message_id),
            node("a:To", "urn:schemas-xmlsoap-org:ws:2005:04:discovery"),
        ),
        node("s:Body", node("d:Probe", node("d:Types", types))),
    )
    return message_id, b'<?xml version="1.0" encoding="UTF-8"?>' + etree.tostring(envelope)


def _heard(data: bytes, host: str, asked: set[str], reach: Reach) -> Iterator[Heard]:
    """Yield what an answer from `host` names, if it answers one of our questions."""
    try:
        root = parse_safely(data)
    except ValueError:
        return
    relates = first(root, "Header/RelatesTo")
    if relates is None or (relates.text or "").strip() not in asked:
        return
    for match in list(every(root, "Body/ProbeMatches/ProbeMatch"))[:8]:
        if (one := _matched(match, host)) and not reach.refusal(
            ipaddress.ip_address(host), one.port
        ):
            yield one


def _matched(match: Element, host: str) -> Heard | None:
    named = first(match, "XAddrs")
    urls = ((named.text or "") if named is not None else "").split()[:16]
    places = []
    for url in urls:
        with suppress(ValueError):
            parts = urlsplit(url[:500])
            if parts.scheme in ("http", "https") and parts.hostname:
                places.append((parts.hostname != host, parts.port or 80, parts.path))
    # The one at the address that it answered from, if it names several.
    _, port, path = min(places, default=(True, 80, ""))
    scopes = first(match, "Scopes")
    said = _scopes(((scopes.text or "") if scopes is not None else "").split()[:200])
    if not path.startswith("/") or not path.isascii() or not path.isprintable():
        path = ""
    return Heard(
        "onvif",
        host,
        port,
        path,
        name=said.get("name", ""),
        model=said.get("hardware", ""),
        device=text(match, "EndpointReference/Address"),
    )


def _scopes(scopes: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for scope in scopes:
        if scope.startswith(_SCOPE):
            key, _, value = scope[len(_SCOPE) :].partition("/")
            found.setdefault(key, clean(unquote(value))[:120])
    return found


async def knock(
    addresses: Sequence[str],
    ports: Sequence[int],
    rtsp_ports: Sequence[int],
    ask: Callable[[str, int], Awaitable[Heard | None]],
    step: Callable[[], None],
) -> AsyncIterator[Heard]:
    """Try to connect to each of `addresses`; yield what answers there.

    `ask` says what an open port is, `step` is called when an address is done. At most 200
    connections are open at once.
    """
    places = asyncio.Semaphore(_AT_ONCE)
    found: asyncio.Queue[Heard | None] = asyncio.Queue()

    async def port_of(host: str, port: int, kind: str) -> None:
        async with places:
            if not await _opens(host, port, rtsp=kind == "rtsp"):
                return
            if kind == "rtsp":
                await found.put(Heard("rtsp", host, port))
            elif (one := await ask(host, port)) is not None:
                await found.put(one)

    async def host_of(host: str) -> None:
        await asyncio.gather(
            *(port_of(host, port, "onvif") for port in ports),
            *(port_of(host, port, "rtsp") for port in rtsp_ports),
        )
        step()

    async def everything() -> None:
        # A few hundred addresses at a time: thousands of tasks would only wait for each other.
        for begin in range(0, len(addresses), _AT_ONCE):
            await asyncio.gather(*(host_of(ip) for ip in addresses[begin : begin + _AT_ONCE]))
        await found.put(None)

    working = asyncio.create_task(everything())
    try:
        while (one := await found.get()) is not None:
            yield one
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def _opens(host: str, port: int, *, rtsp: bool) -> bool:
    """Say whether something listens; with `rtsp`, whether it answers as an RTSP server does."""
    writer = None
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port)
            if not rtsp:
                return True
            question = f"OPTIONS rtsp://{host}:{port}/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"
            writer.write(question.encode())
            await writer.drain()
            return (await reader.read(64)).startswith(b"RTSP/1.0")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()
