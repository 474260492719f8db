"""A drill: alarms pressed at a running server, and how long each step of their way takes.

The presses go over HTTP as a household's device sends them, with status Exercise; the duty desk is
an event stream and acknowledges over HTTP. A press that gets no answer is sent again with the same
id until it has a receipt, as every device does: a server that is killed in between loses nothing.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import orjson
from httpx_sse import aconnect_sse

from api.door import CSRF_HEADER, session_cookie
from api.services import Hub
from app.drill_site import DrillSite, drill_site, stored
from core.clock import Clock
from core.errors import UnavailableError
from core.ids import new_id
from governance.alarms.rates import PRESSES

PATIENCE_S = 60.0
"""How long after its press an alarm may take for its receipt, and then to be acknowledged."""

_AGAIN_S = 0.1
_CONNECTIONS = 32
_KINDS = ("medical", "fire", "security")

Progress = Callable[[int, int, int], None]
"""Told how many alarms have a receipt, are on the console, and are acknowledged."""


@dataclass(slots=True)
class Press:
    """One alarm on its way; times are of the monotonic clock, in seconds."""

    id: UUID
    number: int
    kind: str
    pressed: float = 0.0
    received: float | None = None
    shown: float | None = None
    acknowledged: float | None = None
    incident_id: str | None = None
    version: int = 1


@dataclass(slots=True)
class Seen:
    """What the console knows of an incident that may have no receipt yet."""

    shown: float
    acknowledged: float | None = None
    version: int = 1


@dataclass
class Drill:
    """The state of a drill."""

    clock: Clock
    url: str
    site: DrillSite
    cookie: str
    presses: list[Press]
    progress: Progress
    by_incident: dict[str, Press] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledging: set[asyncio.Task[None]] = field(default_factory=set)

    def tell(self) -> None:
        """Tell how far it is."""
        self.progress(
            sum(p.received is not None for p in self.presses),
            sum(p.shown is not None for p in self.presses),
            sum(p.acknowledged is not None for p in self.presses),
        )

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client of the server."""
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1", headers=headers, limits=limits, timeout=10.0
        )

    def operator(self) -> httpx.AsyncClient:
        """Return a client that is signed in as the duty desk."""
        return self.client(
            **{"Cookie": f"{self.cookie}={self.site.session_token}",
               CSRF_HEADER: self.site.csrf_token}
        )  # fmt: skip


def devices_for(alarms: int) -> int:
    """Return how many devices press, so that none is told that it presses too often.

    Half of what one may: a press that got no answer is sent again.
    """
    return math.ceil(alarms / (PRESSES // 2))


async def run_drill(
    hub: Hub, url: str, *, alarms: int, rate: float, progress: Progress
) -> dict[str, Any]:
    """Press `alarms` alarms, `rate` a second, at the server at `url`; return the figures.

    Raises:
        UnavailableError: no server answers there.
    """
    await _check(url)
    presses = [Press(new_id(), n, _KINDS[n % len(_KINDS)]) for n in range(alarms)]
    async with drill_site(hub, devices_for(alarms)) as site:
        drill = Drill(hub.clock, url, site, session_cookie(hub.settings.server), presses, progress)
        console = asyncio.create_task(_watch(drill))
        try:
            await _within(drill.ready.wait())
            async with drill.client() as device:
                begun = hub.clock.monotonic()
                await asyncio.gather(
                    *(_press(drill, device, p, begun + n / rate) for n, p in enumerate(presses))
                )
            await _until_acknowledged(drill)
        finally:
            console.cancel()
            for task in drill.acknowledging:
                task.cancel()
            await asyncio.gather(console, *drill.acknowledging, return_exceptions=True)
        await _close(drill)
        found = await stored(hub, site)
    return _figures(drill, found)


async def _check(url: str) -> None:
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            (await client.get(f"{url}/api/v1/health/live")).raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"No running hub answers at {url}.",
            remedy="Start it with `camera-hub serve`, or name its address with --url.",
        ) from error


async def _press(drill: Drill, device: httpx.AsyncClient, press: Press, at: float) -> None:
    await asyncio.sleep(max(0.0, at - drill.clock.monotonic()))
    press.pressed = drill.clock.monotonic()
    tokens = drill.site.device_tokens
    headers = {"Authorization": f"Bearer {tokens[press.number % len(tokens)]}"}
    body = {
        "id": str(press.id),
        "kind": press.kind,
        "pressed_at": drill.clock.now().isoformat(),
        "status": "Exercise",
    }
    while drill.clock.monotonic() < press.pressed + PATIENCE_S:
        with suppress(httpx.TransportError):
            answer = await device.post("/alarms", json=body, headers=headers)
            if answer.status_code in {200, 201}:
                press.received = drill.clock.monotonic()
                press.incident_id = str(answer.json()["incident_id"])
                drill.by_incident[press.incident_id] = press
                _match(drill, press.incident_id)
                return
            if answer.status_code < 500 and answer.status_code != 429:
                raise UnavailableError(
                    f"The server refuses the drill's alarms: {answer.text[:300]}",
                    remedy="Look at its log.",
                )
        await asyncio.sleep(_AGAIN_S)


async def _watch(drill: Drill) -> None:
    """Be the console of the duty desk: hear of incidents and acknowledge each, for ever."""
    last_id = ""
    async with drill.operator() as operator:
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            with suppress(httpx.TransportError, httpx.HTTPStatusError):
                async with aconnect_sse(
                    operator, "GET", "/events", headers=headers, timeout=60
                ) as stream:
                    stream.response.raise_for_status()
                    async for event in stream.aiter_sse():
                        last_id = event.id or last_id
                        drill.ready.set()
                        if event.event == "incident.opened":
                            _heard(drill, operator, orjson.loads(event.data))
            await asyncio.sleep(_AGAIN_S)


def _heard(drill: Drill, operator: httpx.AsyncClient, incident: dict[str, Any]) -> None:
    if incident["household_id"] != str(drill.site.household_id):
        return
    incident_id = incident["id"]
    if incident_id in drill.seen:
        return  # the stream was resumed
    drill.seen[incident_id] = Seen(drill.clock.monotonic(), version=incident["version"])
    _match(drill, incident_id)
    task = asyncio.create_task(_acknowledge(drill, operator, incident_id))
    drill.acknowledging.add(task)
    task.add_done_callback(drill.acknowledging.discard)


def _match(drill: Drill, incident_id: str) -> None:
    """Put receipt and console together, whichever of them was quicker."""
    press, seen = drill.by_incident.get(incident_id), drill.seen.get(incident_id)
    if press is not None and seen is not None:
        press.shown, press.acknowledged = seen.shown, seen.acknowledged
        press.version = seen.version
    drill.tell()


async def _acknowledge(drill: Drill, operator: httpx.AsyncClient, incident_id: str) -> None:
    seen = drill.seen[incident_id]
    while seen.acknowledged is None:
        with suppress(httpx.TransportError):
            answer = await operator.post(
                f"/incidents/{incident_id}/acknowledge", json={"version": seen.version}
            )
            if answer.is_success:
                seen.acknowledged = drill.clock.monotonic()
                seen.version = answer.json()["version"]
                break
            if answer.status_code == 409:
                seen.version = answer.json().get("current", {}).get("version", seen.version)
        await asyncio.sleep(_AGAIN_S)
    _match(drill, incident_id)


async def _until_acknowledged(drill: Drill) -> None:
    deadline = drill.clock.monotonic() + PATIENCE_S
    while drill.clock.monotonic() < deadline:
        if all(p.acknowledged is not None or p.received is None for p in drill.presses):
            return
        await asyncio.sleep(0.05)


async def _close(drill: Drill) -> None:
    """Close what may be closed without a check; the rest ends with the place of the drill."""
    slots = asyncio.Semaphore(4)

    async def close(press: Press) -> None:
        body = {"version": press.version, "note": "Drill", "resolution": "handled"}
        async with slots:
            with suppress(httpx.TransportError):
                await operator.post(f"/incidents/{press.incident_id}/close", json=body)

    async with drill.operator() as operator:
        await asyncio.gather(*(close(p) for p in drill.presses if p.acknowledged is not None))


async def _within(awaitable: Any) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await awaitable
    except TimeoutError as error:
        raise UnavailableError(
            "The event stream of the console does not open.", remedy="Look at the server's log."
        ) from error


def _figures(drill: Drill, found: dict[str, Any]) -> dict[str, Any]:
    """Put the figures together: what was lost or doubled is counted in the store itself."""
    kept = Counter(found["presses"])
    receipts = [press for press in drill.presses if press.received is not None]
    lost = sum(kept[str(press.id)] == 0 for press in drill.presses)
    return {
        "at": _now(drill),
        "alarms": len(drill.presses),
        "receipts": len(receipts),
        "incidents": found["incidents"],
        "lost": lost,
        "duplicated": max(0, found["incidents"] - len(kept))
        + sum(count - 1 for count in kept.values()),
        "press_to_receipt_ms": _spread([p.received - p.pressed for p in receipts if p.received]),
        "press_to_console_ms": _spread([p.shown - p.pressed for p in drill.presses if p.shown]),
        "press_to_ack_ms": _spread(
            [p.acknowledged - p.pressed for p in drill.presses if p.acknowledged]
        ),
    }


def _now(drill: Drill) -> str:
    moment: datetime = drill.clock.now()
    return moment.isoformat(timespec="seconds")


def _spread(seconds: Sequence[float]) -> dict[str, float | None]:
    """Return percentiles in milliseconds (nearest rank); None where nothing was measured."""
    ordered = sorted(seconds)

    def at(share: float) -> float | None:
        if not ordered:
            return None
        return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1)

    return {"p50": at(0.50), "p95": at(0.95), "p99": at(0.99)}
