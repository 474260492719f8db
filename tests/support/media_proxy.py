"""A TCP proxy that does to a stream what networks do: stall, reset, delay, throttle, lose."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any


class FaultProxy:
    """Forwards to `127.0.0.1:target_port`; runs in a thread of its own, commanded from any.

    Attributes (may be set at any time): `delay_s` before each chunk from the camera,
    `bytes_per_s` limit from the camera (0: none), `loss` share of interleaved RTP frames
    that vanish (0..1); `shift_s` is added to every RTP timestamp (90 kHz), and `freeze`
    repeats the timestamp it finds, as cameras with a broken clock do.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.delay_s = 0.0
        self.bytes_per_s = 0.0
        self.loss = 0.0
        self.lost = 0
        self.shift_s = 0.0
        self.freeze = False
        self._frozen: int | None = None
        self.connections = 0
        self.port = 0
        self._random = random.Random(7)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()
        self._call(self._listen)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flow = asyncio.Event()
        self._flow.set()
        self._loop.run_forever()

    def _call(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(action(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stall(self) -> None:
        """Forward nothing, on old and new connections alike, but keep them open."""
        self._loop.call_soon_threadsafe(self._flow.clear)

    def resume(self) -> None:
        """Forward again."""
        self._loop.call_soon_threadsafe(self._flow.set)

    def reset(self) -> None:
        """Answer every open connection with RST."""

        async def action() -> None:
            for writer in self._writers:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

        self._call(action)

    def refuse(self) -> None:
        """Close the port and all connections."""

        async def action() -> None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()

        self._call(action)

    def accept(self) -> None:
        """Open the same port again."""
        self._call(self._listen)

    def close(self) -> None:
        """Stop for good."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._flow.set)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._flow.wait()
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upstream[1]}
        try:
            await asyncio.gather(
                self._forward(reader, upstream[1]), self._from_camera(upstream[0], writer)
            )
        finally:
            self._writers -= {writer, upstream[1]}

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flow.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def _retime(self, data: bytes) -> bytes:
        stamp = int.from_bytes(data[8:12], "big")
        if not self.freeze:
            self._frozen = None
        elif self._frozen is None:
            self._frozen = stamp
        stamp = stamp if self._frozen is None else self._frozen
        stamp = (stamp + int(self.shift_s * 90000)) % 2**32
        return data[:8] + stamp.to_bytes(4, "big") + data[12:]

    async def _from_camera(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                first = await reader.readexactly(1)
                if first != b"$":
                    data = first + await reader.readline()
                else:
                    head = await reader.readexactly(3)
                    data = first + head + await reader.readexactly(int.from_bytes(head[1:], "big"))
                    if head[0] % 2 == 0 and self._random.random() < self.loss:
                        self.lost += 1
                        continue
                    if head[0] == 0:
                        data = self._retime(data)
                await self._flow.wait()
                wait = self.delay_s + (len(data) / self.bytes_per_s if self.bytes_per_s else 0)
                if wait:
                    await asyncio.sleep(wait)
                writer.write(data)
                await writer.drain()
        writer.close()
