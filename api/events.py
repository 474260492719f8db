"""What changes, as server-sent events in the order of the commits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from typing import Annotated

import orjson
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from access.policy.areas import covers
from access.policy.types import Actor
from access.scope import camera_scope
from api.door import actor_now, permit
from api.hub import Hub, HubDep
from api.open_streams import stream_slot
from camera_hub.devices import homes
from governance.outbox import repository
from governance.outbox.broadcaster import Subscription
from governance.outbox.models import OutboxEvent

router = APIRouter(tags=["events"])

PING_S = 15
SEND_TIMEOUT_S = 30
RECONNECT_MS = 1000
LOOK_AGAIN_S = 1.0
"""How often a stream asks whether its session still counts."""

MAX_RESUMED = 1000
"""A client that has missed more than this loads everything again; that is faster."""

_TAKE_S = 0.5


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream_events(
    hub: HubDep,
    actor: Annotated[Actor, permit("event.stream")],
    _slot: Annotated[None, stream_slot],
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> EventSourceResponse:
    """Stream what changes in the own areas; `Last-Event-ID` resumes where a stream broke off."""
    return EventSourceResponse(
        _events(hub, actor, last_event_id),
        ping=PING_S,
        ping_message_factory=lambda: ServerSentEvent(comment="ping"),
        send_timeout=SEND_TIMEOUT_S,
        headers={"Cache-Control": "no-store"},
    )


async def _events(hub: Hub, actor: Actor, last_event_id: str | None) -> AsyncIterator[bytes]:
    broadcaster = hub.governance.broadcaster
    await broadcaster.ready()
    visible = _Sight(hub, actor)
    now = asyncio.get_running_loop().time
    with broadcaster.subscribe() as subscription:
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        if last_event_id is None:
            # A place to resume from, even if the stream breaks before its first event.
            yield f"id: {subscription.start}\n\n".encode()
        else:
            for message in await _resume(hub, visible, subscription, last_event_id):
                yield message
        asked = now()
        while not hub.closing.is_set():
            rows = await subscription.take(_TAKE_S)
            if now() - asked >= LOOK_AGAIN_S:
                # Signed out, deactivated or given other rights: the client comes back and is
                # asked who it is again.
                if await actor_now(hub, actor) != actor:
                    return
                asked = now()
            if subscription.overflowed:
                yield _reset(hub, None, "the stream was too slow")
                return
            for row in await visible.among(rows):
                yield _message(hub, row)


async def _resume(
    hub: Hub, visible: "_Sight", subscription: Subscription, last_event_id: str
) -> list[bytes]:
    """Return what came between the client's last event and the start of its subscription."""
    start = subscription.start
    if not last_event_id.isdecimal() or int(last_event_id) > start:
        return [_reset(hub, start, "the last event is not known here")]
    seen = int(last_event_id)
    async with hub.database.read() as session:
        lowest, _ = await repository.bounds(session)
        rows = await repository.read_after(session, seen, MAX_RESUMED + 1)
    if seen + 1 < lowest or len(rows) > MAX_RESUMED:
        return [_reset(hub, start, "too much has happened since")]
    # Later ones are in the subscription already.
    missed = [row for row in rows if row.seq <= start]
    return [_message(hub, row) for row in await visible.among(missed)]


class _Sight:
    """What one actor may hear of.

    That there is a camera in a home, and how it is doing, is for those who look after it only.
    """

    def __init__(self, hub: Hub, actor: Actor) -> None:
        self._hub = hub
        self._homes = camera_scope(hub.policy, actor, "camera.list").home_areas
        self._incidents = hub.policy.areas(actor, "incident.list")
        self._cameras = hub.policy.areas(actor, "camera.list")
        self._exports = hub.policy.areas(actor, "export.list")

    async def among(self, rows: Sequence[OutboxEvent]) -> list[OutboxEvent]:
        """Return those of `rows` of which the actor may hear."""
        heard = [row for row in rows if self._hears(row, at_home=False)]
        cameras = {
            row.camera_id
            for row in heard
            if row.camera_id is not None and row.type.startswith("camera.")
        }
        if not cameras:
            return heard
        async with self._hub.database.read() as session:
            at_home = await homes.at_home(session, cameras)
        return [
            row for row in heard if row.camera_id not in at_home or self._hears(row, at_home=True)
        ]

    def _hears(self, row: OutboxEvent, *, at_home: bool) -> bool:
        areas: Sequence[str]
        if row.type.startswith("incident."):
            areas = self._incidents
        elif row.type.startswith("export."):
            areas = self._exports
        else:
            areas = self._homes if at_home else self._cameras
        return any(covers(above, row.area) for above in areas)


def _message(hub: Hub, row: OutboxEvent) -> bytes:
    data = {**row.payload, "emitted_at": _now(hub)}
    return f"id: {row.seq}\nevent: {row.type}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _reset(hub: Hub, seq: int | None, reason: str) -> bytes:
    place = "" if seq is None else f"id: {seq}\n"
    data = orjson.dumps({"reason": reason, "emitted_at": _now(hub)})
    return f"{place}event: reset\ndata: ".encode() + data + b"\n\n"


def _now(hub: Hub) -> str:
    return hub.clock.now().astimezone(UTC).isoformat()
