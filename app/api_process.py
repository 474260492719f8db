"""The api process: the HTTP interface and the governance loops on a socket it was handed."""

import asyncio
import os
import socket

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from api.app import make_server
from api.services import Hub, build_hub
from app.libraries import check_api
from app.process import Pulse
from app.schema import bring_up_to_date
from app.tables import all_tables
from app.worker_token import token_file
from core.clock import SystemClock
from core.errors import HubError
from core.logging import get_logger
from core.memory import freeze_what_stays
from core.settings import Settings

log = get_logger("app.api")

LOOK_FOR_TOKEN_S = 2.0
SERVICE_NAME = "this node's workers"
SERVICE_SCOPES = ("signal.post", "worker.heartbeat")


async def ensure_service_token(hub: Hub) -> None:
    """Keep the node's service token if it still counts, else make a new one.

    The workers read the file again when they are told 401, so that a new token needs no restart.
    """
    if await _service_token_counts(hub):
        return
    path = token_file(hub.settings)
    async with hub.database.transaction() as session:
        secret = await hub.tokens.renew(session, name=SERVICE_NAME, scopes=SERVICE_SCOPES)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    fresh.replace(path)


async def _keep_service_token(hub: Hub) -> None:
    """Make the token anew when it is gone or revoked: without it no signal here is taken."""
    while True:
        await asyncio.sleep(LOOK_FOR_TOKEN_S)
        try:
            if await _service_token_counts(hub):
                continue
            token_file(hub.settings).parent.mkdir(mode=0o700, exist_ok=True)
            await ensure_service_token(hub)
        except (OSError, SQLAlchemyError, HubError) as error:
            log.warning("the service token could not be made again", error=str(error))
        else:
            log.warning("the service token did not count any more and has been made again")


async def _service_token_counts(hub: Hub) -> bool:
    path = token_file(hub.settings)
    if not path.exists():
        return False
    async with hub.database.read() as session:
        return await hub.tokens.resolve(session, path.read_text().strip()) is not None


async def api_child(settings: Settings, pulse: Pulse, listener_fd: int) -> None:
    """Serve until SIGTERM."""
    check_api()
    all_tables()
    hub = build_hub(settings, SystemClock())
    await bring_up_to_date(hub.database)
    await ensure_service_token(hub)
    server = make_server(hub)
    listener = socket.socket(fileno=listener_fd)
    tasks = [
        asyncio.create_task(_beat_once_started(server, pulse)),
        asyncio.create_task(_keep_service_token(hub)),
    ]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await hub.close()


async def _beat_once_started(server: uvicorn.Server, pulse: Pulse) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn tells of it in no other way
        await asyncio.sleep(0.02)
    freeze_what_stays()
    await pulse.beat_forever()
