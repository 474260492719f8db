"""The demo: four virtual cameras through ONVIF, and everything else as in daily use.

Nothing here is a short cut into the product: the demo signs in, probes, adds cameras, draws
zones and listens to events through the HTTP interface, as a user's browser does.
"""

import asyncio
import contextlib
import math
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from httpx_sse import aconnect_sse

from app.demo_home import (
    AREA,
    HOME_CAMERA,
    HOME_CAMERA_NAME,
    WITH_HOME,
    Home,
    bind_devices,
    consent,
    make_home,
    place,
    succeeded,
)
from app.demo_loop import (
    NUMBERS,
    ask_contact,
    make_areas,
    make_gateways,
    verify_number,
)
from app.demo_phones import Phones, running_phones
from app.demo_site import Site, simulated_site
from app.serve import running_node
from app.supervisor import Supervisor
from core.clock import Clock, SystemClock
from core.errors import HubError, UnavailableError
from core.settings import Settings

FOOTAGE = "simulator"
MARKER = "this-is-a-camera-hub-demo"
ONLINE_WITHIN_S = 60.0
DRAIN_WITHIN_S = 20.0
ROLES = {
    "duty": ("duty_staff", "Duty desk", "works the queue, watches the cameras"),
    "supervisor": ("supervisor", "Supervisor", "the same, and draws zones"),
    "patrol": ("patrol", "Patrol", "takes tasks on a phone"),
    "deputy": ("supervisor", "Deputy supervisor", "the second person whom an export needs"),
    "auditor": ("auditor", "Auditor", "reads the ledger, sees no video"),
    "admin": ("administrator", "Administrator", "adds cameras and accounts, sees no video"),
    "resident": ("resident", "Chen Jing", "lives in Flat 1204: decides who sees its camera"),
}
Progress = Callable[[str], None]


@dataclass
class Login:
    """An account that the demo made; the password is random and shown once."""

    username: str
    password: str
    role: str
    what: str


@dataclass
class Tally:
    """What the demo saw on the event stream."""

    opened: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def percentile(self, q: float) -> float | None:
        """Return the q-quantile (0..1, nearest rank) of the latencies, None without any."""
        if not self.latencies_ms:
            return None
        ordered = sorted(self.latencies_ms)
        # 0.07 * 100 is a hair above 7: without rounding it would be the eighth.
        rank = math.ceil(round(q * len(ordered), 9))
        return round(ordered[max(1, rank) - 1], 1)


@dataclass
class Demo:
    """A running demo. `home` is there with four cameras or more, `phones` if they were wanted."""

    url: str
    logins: list[Login]
    supervisor: Supervisor
    clock: Clock
    site: Site
    tally: Tally = field(default_factory=Tally)
    home: Home | None = None
    phones: Phones | None = None
    follower: asyncio.Task[None] | None = None

    def login(self, name: str) -> Login:
        """Return the account `name`."""
        return next(login for login in self.logins if login.username == name)


def fresh_directory(path: Path) -> None:
    """Empty the demo's data directory but for prepared footage; refuse one it did not make.

    Raises:
        HubError: the directory holds something else, or cannot be made or emptied.
    """
    try:
        if path.exists() and any(path.iterdir()):
            _empty(path)
        path.mkdir(parents=True, exist_ok=True)
        (path / MARKER).touch()
    except OSError as error:
        raise HubError(
            f"The demo cannot use {path}: {error.strerror or error}.",
            remedy="Name a directory that this user may write to with --data-dir.",
        ) from error


def _empty(path: Path) -> None:
    if not (path / MARKER).exists():
        raise HubError(
            f"{path} is not empty and was not made by the demo.",
            remedy="Name another with --data-dir; the demo empties its directory.",
        )
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if entry.name != FOOTAGE:
                shutil.rmtree(entry)
        else:
            entry.unlink()


async def _make_accounts(settings: Settings, clock: Clock) -> list[Login]:
    from access.policy.types import Role, RoleBinding
    from api.services import build_hub

    hub = build_hub(settings, clock)
    logins = []
    try:
        for username, (role, display_name, what) in ROLES.items():
            login = Login(username, secrets.token_urlsafe(9), role, what)
            hashed = await hub.accounts.hash_password(login.password, username=username)
            async with hub.database.transaction() as session:
                await hub.accounts.create(
                    session,
                    username=username,
                    display_name=display_name,
                    password=hashed,
                    locale=_language(),
                    roles=[RoleBinding(Role(role), AREA if role == "resident" else "")],
                )
            logins.append(login)
    finally:
        await hub.close()
    return logins


def _language() -> str:
    """Return the language in which the demo's people are told things: that of this terminal."""
    return "zh-CN" if os.environ.get("LANG", "").startswith("zh") else "en"


@contextlib.asynccontextmanager
async def signed_in(url: str, login: Login) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client with the session and CSRF token of `login`."""
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=30) as client:
        answer = await client.post(
            "/sessions", json={"username": login.username, "password": login.password}
        )
        succeeded(answer)
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        yield client


async def add_camera(
    client: httpx.AsyncClient, camera: dict[str, Any], home: Home | None = None
) -> None:
    """Add one virtual camera the way a person does: probe, add, draw the zone.

    With `home` it is the home camera of that household; nothing is detected there.
    """
    source = {
        "source_kind": "onvif",
        "address": camera["onvif_address"],
        "username": camera["username"],
        "password": camera["password"],
    }
    probe = await client.post("/cameras/probe", json=source)
    succeeded(probe)
    added = await client.post(
        "/cameras",
        json={
            **source,
            "name": camera["name"] if home is None else HOME_CAMERA_NAME,
            "area": AREA,
            **place(home),
            "main_profile": probe.json()["main"],
            "sub_profile": probe.json()["sub"],
            "analyse": home is None,
        },
    )
    succeeded(added)
    if home is not None:
        return
    camera_id = added.json()["id"]
    current = await client.get(f"/cameras/{camera_id}/zones")
    succeeded(current)
    objects = ["person"] if camera["zone"]["people"] else ["person", "car", "truck", "bus"]
    rules: list[dict[str, Any]] = [
        {"kind": "intrusion", "severity": "severe", "objects": objects, "dwell_seconds": 0.0},
        {"kind": "person_down", "severity": "extreme", "dwell_seconds": 5.0},
    ]
    zone = {
        "name": camera["zone"]["name"],
        "polygon": camera["zone"]["polygon"],
        "rules": rules if camera["zone"]["people"] else rules[:1],
    }
    stored = await client.put(
        f"/cameras/{camera_id}/zones", json={"version": current.json()["version"], "zones": [zone]}
    )
    succeeded(stored)


async def _wait_online(client: httpx.AsyncClient, wanted: int, clock: Clock) -> None:
    """Wait until `wanted` cameras are online.

    Raises:
        UnavailableError: they are not; names each with its reason.
    """
    deadline = clock.monotonic() + ONLINE_WITHIN_S
    while True:
        cameras = (await client.get("/cameras")).json()["items"]
        if sum(c["status"]["state"] == "online" for c in cameras) >= wanted:
            return
        if clock.monotonic() > deadline:
            reasons = "; ".join(f"{c['name']}: {c['status']['reason']}" for c in cameras)
            raise UnavailableError(f"The virtual cameras did not come online: {reasons}")
        await asyncio.sleep(0.2)


async def _add_cameras(demo: Demo, cameras: Sequence[dict[str, Any]], progress: Progress) -> None:
    """Add `cameras` as the administrator does and wait until they are online."""
    async with signed_in(demo.url, demo.login("admin")) as admin:
        if len(cameras) >= WITH_HOME:
            demo.home = await make_home(admin)
        for number, camera in enumerate(cameras, 1):
            progress(f"adding {camera['name']} through ONVIF at {camera['onvif_address']}")
            await add_camera(admin, camera, demo.home if number == HOME_CAMERA else None)
        if demo.home is not None:
            async with signed_in(demo.url, demo.login("resident")) as resident:
                await consent(resident)
                demo.home = await bind_devices(resident, demo.home)
                if demo.phones is not None:
                    await ask_contact(resident, demo.home)
        progress("waiting for pictures")
        await _wait_online(admin, len(cameras), demo.clock)


@contextlib.asynccontextmanager
async def running_demo(
    settings: Settings,
    footage: Path | None,
    cameras: int,
    progress: Progress,
    *,
    add: int | None = None,
    on_incident: Callable[[dict[str, Any]], None] | None = None,
    prepared: Path | None = None,
    with_phones: bool = False,
) -> AsyncIterator[Demo]:
    """Start the whole demo; gives it once every camera is online.

    With `add` only so many of the cameras are added to the hub; the others wait to be.
    `prepared` is where prepared footage is kept; by default in the data directory.
    `with_phones` lets the staff be told by SMS and telephone; what arrives is on a page.
    With `on_incident` the event stream is followed from before the first camera is added.

    Raises:
        HubError: footage that is no video, a port in use, a camera that does not come up.
    """
    clock = SystemClock()
    progress("starting virtual cameras")
    async with (
        simulated_site(footage, cameras, prepared or settings.data_dir / FOOTAGE, progress) as site,
        _phones(clock, wanted=with_phones) as phones,
    ):
        progress("starting the hub")
        async with running_node(settings, clock) as (url, supervisor):
            demo = Demo(url, await _make_accounts(settings, clock), supervisor, clock, site)
            demo.phones = phones
            if on_incident is not None:
                demo.follower = asyncio.create_task(follow(demo, on_incident))
            try:
                if phones is not None:
                    await _connect_phones(demo, phones, progress)
                await _add_cameras(demo, site.cameras[:add], progress)
                yield demo
            finally:
                if demo.follower is not None:
                    demo.follower.cancel()


@contextlib.asynccontextmanager
async def _phones(clock: Clock, *, wanted: bool) -> AsyncIterator[Phones | None]:
    if not wanted:
        yield None
        return
    async with running_phones(clock) as phones:
        yield phones


async def _connect_phones(demo: Demo, phones: Phones, progress: Progress) -> None:
    """Let alarms reach telephones: the tree of areas, gateways, the numbers of the staff."""
    progress("connecting telephones")
    async with signed_in(demo.url, demo.login("admin")) as admin:
        await make_areas(admin)
        await make_gateways(admin, phones)
    for username, number in NUMBERS.items():
        async with signed_in(demo.url, demo.login(username)) as client:
            await verify_number(client, phones, "sms", number, demo.clock)
    async with signed_in(demo.url, demo.login("duty")) as client:
        await verify_number(client, phones, "voice", NUMBERS["duty"], demo.clock)


async def follow(demo: Demo, on_incident: Callable[[dict[str, Any]], None]) -> None:
    """Listen to the event stream as the duty desk does, tallying latency, for ever.

    The stream ends when the api restarts; it is then resumed where it stopped.
    """
    last_id = ""
    while True:
        # Also while signing in the api may be away: the next try begins anew.
        with contextlib.suppress(httpx.TransportError):
            async with signed_in(demo.url, demo.login("duty")) as client:
                headers = {"Last-Event-ID": last_id} if last_id else {}
                async with aconnect_sse(
                    client, "GET", "/events", headers=headers, timeout=60
                ) as stream:
                    async for event in stream.aiter_sse():
                        last_id = event.id or last_id
                        if event.event.startswith("incident."):
                            _note(demo, event.event, orjson.loads(event.data), on_incident)
        await asyncio.sleep(0.5)


def _note(
    demo: Demo, event: str, data: dict[str, Any], on_incident: Callable[[dict[str, Any]], None]
) -> None:
    opened = event == "incident.opened"
    if (opened or data.get("change") == "joined") and data.get("observed_at"):
        delay = demo.clock.now() - datetime.fromisoformat(data["observed_at"])
        demo.tally.latencies_ms.append(delay.total_seconds() * 1000)
    if opened:
        demo.tally.opened += 1
        on_incident(data)


async def report(demo: Demo) -> dict[str, Any]:
    """Return the demo's figures as one JSON object, after the spools have drained."""
    async with signed_in(demo.url, demo.login("admin")) as client:
        deadline = demo.clock.monotonic() + DRAIN_WITHIN_S
        while True:
            system = (await client.get("/system")).json()
            waiting = system["signals"]["emitted"] - system["signals"]["stored"]
            if waiting <= 0 or demo.clock.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        cameras: Sequence[dict[str, Any]] = (await client.get("/cameras")).json()["items"]
    status = [camera["status"] for camera in cameras]
    return {
        "cameras_online": sum(s["state"] == "online" for s in status),
        "frames_read": sum(s["frames_read"] for s in status),
        "frames_analysed": sum(s["frames_analysed"] for s in status),
        "signals_posted": system["signals"]["stored"],
        "incidents_opened": demo.tally.opened,
        # Workers report once a second, so that the hub may know of more signals than they said.
        "signals_lost": max(0, waiting),
        "alert_latency_ms": {"p50": demo.tally.percentile(0.5), "p95": demo.tally.percentile(0.95)},
    }
