"""A panel that speaks DC-09, as one would on the wire, for tests."""

import asyncio
from datetime import datetime

from governance.alarms.dc09.frames import read_content, read_frame, stamp_of, write_frame
from governance.alarms.dc09.sealed import seal, unseal


def plain(
    data: str,
    *,
    account: str = "AB12",
    seq: int = 1,
    id: str = "SIA-DCS",
    at: datetime | None = None,
) -> bytes:
    """A frame in the clear. `data` such as `NFA1`, or `1110 01 015` of Contact ID."""
    stamp = "" if at is None else stamp_of(at)
    content = f"#{account}|{data}]" if data else "]"
    return write_frame(f'"{id}"{seq:04}R1L1#{account}[{content}{stamp}')


def sealed(
    data: str, key: bytes, at: datetime, *, account: str = "AB12", seq: int = 1, id: str = "SIA-DCS"
) -> bytes:
    """An encrypted frame."""
    content = f"#{account}|{data}]{stamp_of(at)}" if data else f"]{stamp_of(at)}"
    return write_frame(f'"*{id}"{seq:04}R1L1#{account}[{seal(content, key)}')


def word(answer: bytes) -> str:
    """The word of an answer (ACK, NAK, DUH) and its sequence, whose CRC and length are right."""
    frame = read_frame(answer[1:-1])
    return f"{'*' if frame.encrypted else ''}{frame.id} {frame.sequence}"


def stamped(answer: bytes, key: bytes | None = None) -> datetime | None:
    """The moment in an answer."""
    frame = read_frame(answer[1:-1])
    return read_content(unseal(frame.rest, key) if key else frame.rest).at


async def over_tcp(port: int, *pieces: bytes) -> bytes:
    """Send `pieces` one after the other; return the first answer, b"" if the hub closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.readuntil(b"\r"), 20)
    except asyncio.IncompleteReadError as error:
        return error.partial
    finally:
        writer.close()
        await writer.wait_closed()


class _Once(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.answer.done():
            self.answer.set_result(data)


async def over_udp(port: int, frame: bytes) -> bytes:
    """Send one datagram; return the answer."""
    loop = asyncio.get_running_loop()
    transport, once = await loop.create_datagram_endpoint(_Once, remote_addr=("127.0.0.1", port))
    try:
        transport.sendto(frame)
        return await asyncio.wait_for(once.answer, 20)
    finally:
        transport.close()
