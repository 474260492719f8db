"""Messages on the workers' Unix sockets: a JSON header and a payload, length-prefixed.

`u32 header length (big endian) | u32 payload length | JSON header | payload`, as described
in docs/design/processes.md. A message over the limits is refused before it is read.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any

import orjson

HEADER_LIMIT = 64 * 1024
PAYLOAD_LIMIT = 32 * 1024 * 1024

_LENGTHS = struct.Struct(">II")

Message = tuple[dict[str, Any], bytes]
"""Header and payload."""

Payload = bytes | bytearray | memoryview


class WireError(Exception):
    """The peer broke the framing; the connection is of no more use."""


def encode(header: Mapping[str, Any], payload: Payload = b"") -> bytes:
    """Return one message ready to be sent.

    Raises:
        WireError: header or payload is over its limit.
    """
    text = orjson.dumps(header)
    size = len(payload)
    _check(len(text), size)
    return b"".join((_LENGTHS.pack(len(text), size), text, payload))


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Read one message; None when the peer closed between two messages.

    Raises:
        WireError: the framing is broken or the connection ended inside a message.
    """
    try:
        lengths = await reader.readexactly(_LENGTHS.size)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise WireError("The connection ended inside a message.") from error
    header_size, payload_size = _LENGTHS.unpack(lengths)
    _check(header_size, payload_size)
    try:
        body = await reader.readexactly(header_size + payload_size)
    except asyncio.IncompleteReadError as error:
        raise WireError("The connection ended inside a message.") from error
    return _header(body[:header_size]), body[header_size:]


async def write_message(
    writer: asyncio.StreamWriter, header: Mapping[str, Any], payload: Payload = b""
) -> None:
    """Send one message and wait until the socket takes more.

    Raises:
        WireError: header or payload is over its limit.
        OSError: the connection is gone.
    """
    writer.write(encode(header, payload))
    await writer.drain()


def send_message(sock: socket.socket, header: Mapping[str, Any], payload: Payload = b"") -> None:
    """Send one message on a blocking socket.

    Raises:
        WireError: header or payload is over its limit.
        OSError: the connection is gone, or the socket's timeout passed.
    """
    sock.sendall(encode(header, payload))


def receive_message(sock: socket.socket) -> Message | None:
    """Read one message from a blocking socket; None when the peer closed between two messages.

    Raises:
        WireError: the framing is broken or the connection ended inside a message.
        OSError: the connection is gone, or the socket's timeout passed.
    """
    lengths = _receive_exactly(sock, _LENGTHS.size)
    if not lengths:
        return None
    header_size, payload_size = _LENGTHS.unpack(lengths)
    _check(header_size, payload_size)
    body = _receive_exactly(sock, header_size + payload_size)
    if len(body) != header_size + payload_size:
        raise WireError("The connection ended inside a message.")
    return _header(body[:header_size]), bytes(memoryview(body)[header_size:])


def _receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Return `size` bytes, or nothing when the peer closed before the first."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    done = 0
    while done < size:
        count = sock.recv_into(view[done:])
        if count == 0:
            if done == 0:
                return b""
            raise WireError("The connection ended inside a message.")
        done += count
    return bytes(buffer)


def _check(header_size: int, payload_size: int) -> None:
    if header_size > HEADER_LIMIT or payload_size > PAYLOAD_LIMIT:
        raise WireError(
            f"A message of {header_size} + {payload_size} bytes is over the limit of "
            f"{HEADER_LIMIT} + {PAYLOAD_LIMIT}."
        )


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WireError("A message's header is not JSON.") from error
    if not isinstance(header, dict):
        raise WireError("A message's header is not a JSON object.")
    return header
