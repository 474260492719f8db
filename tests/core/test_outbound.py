"""Requests to addresses of others: what one of them does on purpose holds up no other."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from core.outbound import Outbound, OutboundFailedError
from tests.support.receiver import Receiver

MANY = 110  # more than the threads of an event loop, and than the usual pool of connections


async def test_names_that_take_for_ever_hold_up_no_other_name_and_no_other_work(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, look_up = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *args: Any, **more: Any) -> Any:
        if str(host).endswith(".slow.example"):
            gate.wait(60)
            raise socket.gaierror("nobody knows")
        return look_up(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    outbound = Outbound(allow_private=True, timeout_s=60)
    hostile = [
        asyncio.create_task(outbound.post(f"http://h{n}.slow.example/", b"", {}))
        for n in range(MANY)
    ]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert (await outbound.post(receiver.url, b"alarm", {})).status == 200
            assert await asyncio.to_thread(len, "x") == 1
    finally:
        gate.set()
        answers = await asyncio.gather(*hostile, return_exceptions=True)
        await outbound.close()
    assert {type(answer) for answer in answers} == {OutboundFailedError}


async def test_receivers_that_never_answer_take_nobody_elses_connection(receiver: Receiver) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0, backlog=MANY)
    port = server.sockets[0].getsockname()[1]
    outbound = Outbound(allow_private=True, timeout_s=60)
    hostile = [
        asyncio.create_task(outbound.post(f"http://127.0.0.1:{port}/", b"", {}))
        for _ in range(MANY)
    ]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert (await outbound.post(receiver.url, b"alarm", {})).status == 200
    finally:
        for task in hostile:
            task.cancel()
        await asyncio.gather(*hostile, return_exceptions=True)
        await outbound.close()
        server.close()
