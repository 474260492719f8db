"""The api process: the HTTP interface and the governance loops on a socket it was handed."""

import asyncio
import contextlib
import os
import socket

import uvicorn

from api.app import make_server
from api.hub import Hub, build_hub
from app.migrate import upgrade
from app.process import Pulse
from app.worker_token import token_file
from core.clock import SystemClock
from core.settings import Settings

SERVICE_NAME = "this node's workers"
SERVICE_SCOPES = ("signal.post", "worker.heartbeat")


async def ensure_service_token(hub: Hub) -> None:
    """Keep the node's service token if it still counts, else make a new one.

    The workers read the file again when they are told 401, so that a new token needs no restart.
    """
    path = token_file(hub.settings)
    async with hub.database.transaction() as session:
        if path.exists() and await hub.tokens.resolve(session, path.read_text().strip()):
            return
        secret = await hub.tokens.renew(session, name=SERVICE_NAME, scopes=SERVICE_SCOPES)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    fresh.replace(path)


async def api_child(settings: Settings, pulse: Pulse, listener_fd: int) -> None:
    """Serve until SIGTERM."""
    hub = build_hub(settings, SystemClock())
    await upgrade(hub.database)
    await ensure_service_token(hub)
    server = make_server(hub)
    listener = socket.socket(fileno=listener_fd)
    beating = asyncio.create_task(_beat_once_started(server, pulse))
    try:
        await server.serve(sockets=[listener])
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        await hub.close()


async def _beat_once_started(server: uvicorn.Server, pulse: Pulse) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn tells of it in no other way
        await asyncio.sleep(0.02)
    await pulse.beat_forever()
