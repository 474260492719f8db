"""The application: routers, middleware, errors, and the server that runs it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from access.jurisdictions.changes import note_changes
from api import (
    accounts,
    alarm_devices,
    alarms,
    answers,
    areas,
    asyncapi,
    camera_devices,
    camera_discoveries,
    camera_health,
    camera_imports,
    cameras,
    console,
    contact_points,
    contacts,
    deliveries,
    departments,
    digests,
    dispatch,
    duty,
    events,
    explanations,
    export_previews,
    exports,
    gateways,
    grants,
    health,
    home,
    households,
    incident_photos,
    incident_steps,
    incidents,
    law,
    ledger,
    ledger_watch,
    live,
    lost_workers,
    masks,
    metrics,
    oidc,
    own_account,
    plans,
    playbacks,
    ptz,
    purposes,
    recording_watch,
    recordings,
    seals,
    segments,
    sessions,
    signals,
    storage,
    system,
    tokens,
    transparency,
    viewings,
    views,
    webhooks,
    workers,
)
from api.alarm_doors import alarm_loops
from api.camera_events import CameraEvents
from api.connections import MAX_HEAD, make_protocol
from api.door import check_routes
from api.hub import Hub
from api.middleware import BodyLimit, Boundary, security_headers
from api.open_streams import OpenStreams
from api.origins import OriginCheck
from api.peers import KnownHost, Networks, RealPeer
from api.playback_guard import end_left_open
from api.problems import MEDIA_TYPE, FieldError, Problem, install
from api.store_problems import install_store_problems
from core.errors import HubError
from core.logging import get_logger
from governance.service import supervise

BASE = "/api/v1"
OPENAPI_URL = f"{BASE}/openapi.json"

ROUTERS = (
    # They are asked in turn: first what comes often and may not wait.
    alarms.router,
    signals.router,
    workers.router,
    segments.router,
    asyncapi.router,
    health.router,
    metrics.router,
    sessions.router,
    oidc.router,
    own_account.router,
    accounts.router,
    tokens.router,
    explanations.router,
    views.router,
    ledger.router,
    exports.router,
    export_previews.router,
    system.router,
    cameras.router,
    camera_devices.router,
    camera_health.router,
    camera_discoveries.router,
    camera_imports.router,
    plans.router,
    ptz.router,
    live.router,
    playbacks.router,
    masks.router,
    households.router,
    grants.router,
    home.router,
    purposes.router,
    law.router,
    viewings.router,
    seals.router,
    transparency.router,
    webhooks.router,
    gateways.router,
    contacts.router,
    contact_points.router,
    answers.router,
    deliveries.router,
    areas.router,
    departments.router,
    duty.router,
    dispatch.router,
    recordings.router,
    storage.router,
    incidents.router,
    incident_steps.router,
    incident_photos.router,
    alarm_devices.router,
    events.router,
)

BODY_LIMIT = 1024 * 1024
BODY_LIMITS = {
    f"{BASE}/signals": 8 * 1024 * 1024 + 64 * 1024,
    f"{BASE}/alarms": 64 * 1024,
    f"{BASE}/incidents/*/photos": 10 * 1024 * 1024 + 64 * 1024,
    f"{BASE}/plans": 20 * 1024 * 1024 + 64 * 1024,
    f"{BASE}/plans/*/image": 20 * 1024 * 1024 + 64 * 1024,
}
"""Largest body in bytes, by path; signals carry pictures, alarms nothing."""

BODY_WITHIN_S = 120.0
"""How long a body may take to arrive: 8 MB at 0.6 Mbit/s."""

_log = get_logger("api.app")

GRACE_S = 3
"""How long a stopping server waits for open requests."""


def create_app(hub: Hub) -> FastAPI:
    """Make the application that serves `hub`. The caller closes the hub.

    Raises:
        UnguardedRouteError: a route neither names its action nor is public.
    """
    app = _bare_app()
    app.state.hub = hub
    server = hub.settings.server
    app.state.open_streams = OpenStreams(server)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(OriginCheck, public_url=server.public_url)
    app.add_middleware(BodyLimit, default=BODY_LIMIT, by_path=BODY_LIMITS, seconds=BODY_WITHIN_S)
    app.add_middleware(KnownHost, server=server)
    app.add_middleware(Boundary, clock=hub.clock, server=server)
    app.add_middleware(RealPeer, trusted=server.trusted_proxies)
    check_routes(app)
    return app


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI description; needs no database and no settings."""
    return _bare_app().openapi()


def _bare_app() -> FastAPI:
    """Return the application with routes and errors, without a hub."""
    app = FastAPI(
        title="Camera Hub",
        version=version("camera-hub"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    for router in ROUTERS:
        app.include_router(router, prefix=BASE)
    app.add_api_route(
        OPENAPI_URL, _serve_openapi, name="openapi", include_in_schema=False, methods=["GET"]
    )
    app.include_router(console.console_router())
    install(app)
    install_store_problems(app)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


async def _serve_openapi(request: Request) -> Response:
    """Return the description of the interface."""
    # Made once, and that takes half a second: not on the event loop.
    return JSONResponse(await asyncio.to_thread(request.app.openapi))


def _operation_id(route: APIRoute) -> str:
    return route.name


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run what the hub does besides answering."""
    hub = app.state.hub
    assert isinstance(hub, Hub)
    async with hub.database.transaction() as session:
        await hub.sessions.forget_old(session)
        if hub.database.is_sqlite:
            # With SQLite this is the only API process: what is still open was cut by a kill.
            await hub.views.close_abandoned(session)
        await hub.governance.policies.load(session)
    await hub.plans.forget_drawings(hub.database)
    if hub.database.is_sqlite:
        await end_left_open(hub.database, hub.playbacks, hub.views)
    async with (
        hub.governance.running(),
        _beside(hub, "lost-workers", lambda: lost_workers.watch_for_lost_workers(hub)),
        _beside(hub, "camera-events", lambda: CameraEvents(hub).run()),
        _beside(hub, "ptz", lambda: ptz.stop_abandoned(hub)),
        _beside(hub, "camera-outages", lambda: camera_health.watch_outages(hub)),
        _signing_ledger(hub),
        _beside(hub, "playbacks", lambda: playbacks.guard_playbacks(hub)),
        _beside(hub, "recordings", lambda: recording_watch.watch_recordings(hub)),
        _beside(hub, "recordings-check", lambda: recording_watch.check_recordings(hub)),
        _beside(hub, "exports", lambda: exports.build_exports(hub)),
        _beside(hub, "residents", lambda: digests.watch_residents(hub)),
        _beside(hub, "webhooks", hub.webhook_sender.run),
        AsyncExitStack() as optional,
    ):
        for name, run in alarm_loops(hub).items():
            await optional.enter_async_context(_beside(hub, name, run))
        if hub.dead_man is not None:
            await optional.enter_async_context(_beside(hub, "dead-man", hub.dead_man.run))
        if hub.redis_stream is not None:
            await optional.enter_async_context(_beside(hub, "redis", hub.redis_stream.run))
        try:
            yield
        finally:
            hub.closing.set()


@asynccontextmanager
async def _beside(hub: Hub, name: str, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run `work` for ever, started anew when it fails, while the block runs."""
    task = asyncio.create_task(supervise(name, work, hub.clock), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _signing_ledger(hub: Hub) -> AsyncIterator[None]:
    """Sign the ledger while the block runs, and once more at its end."""
    try:
        async with _beside(hub, "ledger", lambda: ledger_watch.sign_ledger(hub)):
            async with hub.database.transaction() as session:
                await hub.ledger.append(session, "hub.started", actor=None, data={})
                await note_changes(session, hub.clock, hub.ledger, hub.law, hub.policy)
            yield
    finally:
        # A full disk must not keep the hub from stopping; the next start is in the ledger.
        with suppress(DBAPIError):
            async with hub.database.transaction() as session:
                await hub.ledger.append(session, "hub.stopped", actor=None, data={})
        with suppress(HubError, OSError, DBAPIError):
            await hub.signer.sign()


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; every operation may answer with a problem."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description="Errors are RFC 9457 problem details. See docs/design/api.md.",
        routes=app.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    reference = "#/components/schemas/{model}"
    schemas["Problem"] = Problem.model_json_schema(ref_template=reference)
    schemas["Problem"].pop("$defs", None)
    schemas["FieldError"] = FieldError.model_json_schema(ref_template=reference)
    document["components"]["responses"] = {
        "Problem": {
            "description": "What went wrong and what to do about it",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    document["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "camera_hub_session"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    seen: set[str] = set()
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            if name in seen:
                raise ValueError(f"two routes are called {name!r}; their clients would clash")
            seen.add(name)
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    document["security"] = [{"session": []}, {"token": []}]
    app.openapi_schema = document
    return document


class HubServer(uvicorn.Server):
    """uvicorn, telling the hub's open streams to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, end the streams, wait for the rest at most `GRACE_S`."""
        self._hub.closing.set()
        await super().shutdown(sockets)


def make_server(hub: Hub) -> HubServer:
    """Return the server for `hub`; run it with `await server.serve(sockets=[listener])`.

    The peer's address counts, unless it is a proxy of `server.trusted_proxies`: see `RealPeer`.
    """
    server = hub.settings.server
    if server.public_url and not server.trusted_proxies:
        _log.warning(
            "server.public_url is set but server.trusted_proxies is empty: "
            "everybody seems to come from the proxy's address"
        )
    config = uvicorn.Config(
        create_app(hub),
        host=server.host,
        port=server.port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        http=make_protocol(security_headers(server), Networks(server.trusted_proxies)),
        h11_max_incomplete_event_size=MAX_HEAD,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACE_S,
    )
    return HubServer(config, hub)
