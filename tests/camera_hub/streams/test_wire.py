"""The framing of the workers' sockets."""

import asyncio
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.streams import wire
from tests.support.examples import examples


@settings(deadline=None, max_examples=examples(50))
@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(), st.integers(-(2**31), 2**31)), st.binary()), max_size=5
    )
)
def test_what_is_sent_is_received(messages: list[tuple[dict[str, int], bytes]]) -> None:
    left, right = socket.socketpair()
    with left, right:
        for header, payload in messages:
            wire.send_message(left, header, payload)
        left.close()
        received = []
        while (message := wire.receive_message(right)) is not None:
            received.append(message)
    assert received == messages


async def test_asynchronous_and_blocking_speak_the_same(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (message := await wire.read_message(reader)) is not None:
            await wire.write_message(writer, *message)
        writer.close()

    server = await asyncio.start_unix_server(echo, path=tmp_path / "echo.sock")

    def talk() -> wire.Message | None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / "echo.sock"))
            wire.send_message(sock, {"n": 1}, b"x" * 3_000_000)
            return wire.receive_message(sock)

    assert await asyncio.to_thread(talk) == ({"n": 1}, b"x" * 3_000_000)
    server.close()


def test_what_is_over_the_limits_is_not_sent() -> None:
    with pytest.raises(wire.WireError, match="over the limit"):
        wire.encode({"x": "y" * wire.HEADER_LIMIT})
    with pytest.raises(wire.WireError, match="over the limit"):
        wire.encode({}, bytes(wire.PAYLOAD_LIMIT + 1))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", wire.HEADER_LIMIT + 1, 0),
        struct.pack(">II", 2, wire.PAYLOAD_LIMIT + 1),
        struct.pack(">II", 2, 0) + b"[]",
        struct.pack(">II", 2, 0) + b"{x",
        struct.pack(">II", 2, 5) + b"{}abc",
        b"\x00\x00",
    ],
)
async def test_broken_framing_is_refused(data: bytes) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(data)
        left.close()
        with pytest.raises(wire.WireError):
            wire.receive_message(right)
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    with pytest.raises(wire.WireError):
        await wire.read_message(reader)
