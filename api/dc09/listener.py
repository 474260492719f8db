"""The sockets of alarm panels: TCP and UDP on one port, bounded in every direction.

Whoever reaches the port can send anything. A connection that sends no whole frame in time, too much
garbage, or one frame after the other that means nothing, is closed; where there is no room, those
that have never sent a frame that counts give way first.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from api.dc09.panels import Panels
from api.hub import Hub
from core.logging import get_logger
from governance.alarms.dc09.frames import Splitter

MAX_CONNECTIONS = 200
MAX_OF_ADDRESS = 40
MAX_DATAGRAMS = 64
FIRST_FRAME_S = 30.0
WHOLE_FRAME_S = 10.0
IDLE_S = 900.0
"""Seconds until a connection must have sent its first frame, a whole frame, its next frame."""

MAX_GARBAGE = 64 * 1024
MAX_REFUSED = 50
"""Bytes outside of frames, and frames in a row without an ACK, that a connection may send."""

_READ = 4096
_WRITE_S = 10.0
_log = get_logger("api.dc09")


@dataclass(eq=False)
class _Connection:
    """One panel, or somebody who pretends to be one."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    task: asyncio.Task[None]
    address: str
    proven: bool = False
    refused: int = 0
    splitter: Splitter = field(default_factory=Splitter)


class Listener:
    """Serves panels until it is cancelled. `port` is known once `ready` is set."""

    def __init__(self, hub: Hub) -> None:
        self._settings = hub.settings.dc09
        self._clock = hub.clock
        self._door = hub.alarm_devices.dc09
        self._presence = hub.alarm_devices.presence
        self._panels = Panels(hub)
        self._connections: dict[_Connection, None] = {}
        self._datagrams: set[asyncio.Task[None]] = set()
        self.ready = asyncio.Event()
        self.port = 0

    async def run(self) -> None:
        """Listen. Raises OSError if the port cannot be had; the supervisor tries it again."""
        loop = asyncio.get_running_loop()
        try:
            server = await asyncio.start_server(
                self._serve, self._settings.host, self._settings.port, limit=_READ
            )
            self.port = server.sockets[0].getsockname()[1]
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(self._settings.host, self.port)
            )
        except OSError as error:
            self._presence.deaf.add("dc09")
            self._door.turn("away", f"port {self._settings.port}: {error.strerror}")
            raise
        self._presence.deaf.discard("dc09")
        self._door.turn("open")
        self.ready.set()
        try:
            async with server:
                await server.serve_forever()
        finally:
            transport.close()
            await self._close_all()
            self._door.turn("off")

    async def _close_all(self) -> None:
        tasks = [*(c.task for c in self._connections), *self._datagrams]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        connection = _Connection(reader, writer, task, peer[0] if peer else "")
        try:
            if self._make_room(connection):
                await self._talk(connection)
            else:
                self._door.refuse("full")
        except (OSError, TimeoutError):
            pass  # it went away, or was too slow: its panel comes back
        finally:
            self._connections.pop(connection, None)
            self._door.connections = len(self._connections)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _make_room(self, new: _Connection) -> bool:
        """Take a connection in, in place of the oldest that never proved itself if need be."""
        of_address = Counter(c.address for c in self._connections)[new.address]
        crowded = of_address >= MAX_OF_ADDRESS
        if crowded or len(self._connections) >= MAX_CONNECTIONS:
            rivals = (
                c
                for c in self._connections
                if not c.proven and (not crowded or c.address == new.address)
            )
            oldest = next(rivals, None)
            if oldest is None:
                return False
            self._door.refuse("gave-way")
            self._connections.pop(oldest)
            oldest.task.cancel()
        self._connections[new] = None
        self._door.connections = len(self._connections)
        return True

    async def _talk(self, connection: _Connection) -> None:
        """Answer frame by frame until it is gone.

        Raises:
            TimeoutError: its next frame, or the rest of one, did not come in time.
        """
        loop, splitter = asyncio.get_running_loop(), connection.splitter
        deadline = loop.time() + FIRST_FRAME_S
        while True:
            async with asyncio.timeout_at(deadline):
                data = await connection.reader.read(_READ)
            if not data:
                return
            was_halfway = splitter.halfway
            frames = splitter.feed(data)
            for raw in frames:
                await self._reply(connection, raw)
            if frames:
                deadline = loop.time() + _patience(connection)
            elif splitter.halfway and not was_halfway:
                deadline = loop.time() + WHOLE_FRAME_S
            if splitter.skipped > MAX_GARBAGE or connection.refused > MAX_REFUSED:
                self._door.refuse("garbage")
                return

    async def _reply(self, connection: _Connection, raw: bytes) -> None:
        answer = await self._panels.answer(raw)
        if answer is not None and b"ACK" in answer[:20]:
            connection.proven, connection.refused = True, 0
        else:
            connection.refused += 1
        if answer is not None:
            connection.writer.write(answer)
            async with asyncio.timeout(_WRITE_S):
                await connection.writer.drain()

    def datagram(
        self, transport: asyncio.DatagramTransport, data: bytes, address: tuple[str, int]
    ) -> None:
        """Answer one datagram beside the others; where there are too many, panels send again."""
        if len(self._datagrams) >= MAX_DATAGRAMS:
            self._door.refuse("full")
            return

        async def reply() -> None:
            for raw in Splitter().feed(data)[:1]:
                answer = await self._panels.answer(raw)
                if answer is not None and not transport.is_closing():
                    transport.sendto(answer, address)

        task = asyncio.create_task(reply(), name="dc09-datagram")
        self._datagrams.add(task)
        task.add_done_callback(self._datagrams.discard)


def _patience(connection: _Connection) -> float:
    if connection.splitter.halfway:
        return WHOLE_FRAME_S
    return IDLE_S if connection.proven else FIRST_FRAME_S


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP side."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._listener.datagram(self._transport, data, addr)
