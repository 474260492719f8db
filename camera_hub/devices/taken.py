"""Devices that look into a home: nobody adds one again as a camera of another place.

Consent belongs to the household, so a second camera of the same device in another place would be a
way around it. A device is known again by its host and port, by the addresses that its name leads
to, by its streams, and by what it says it is (maker, model, serial number). What a household has
given up (`release`), or what it leaves behind when it moves out, is free again.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.households.models import Household
from camera_hub.devices.models import Camera, CameraStream
from core.clock import Clock
from core.errors import ConflictError
from core.ids import new_id

RESOLVE_WITHIN_S = 2.0
_SHORTEST_SERIAL = 4
"""Shorter ones are what makers leave in a device that has none, such as "0"."""
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


@dataclass(frozen=True, slots=True)
class _Traits:
    """By what a device is known again."""

    kind: str
    hosts: frozenset[str]
    port: int
    streams: frozenset[tuple[int, str]]
    identity: tuple[str, str, str] | None


async def addresses_of(url: str) -> frozenset[str]:
    """Return the addresses that the host of `url` leads to; none if it is one, or is not found."""
    host = _host(urlsplit(url))
    if _is_address(host):
        return frozenset()
    try:
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError, UnicodeError):
        return frozenset()
    return frozenset(_plain(str(entry[4][0])) for entry in found)


async def check_free(
    session: AsyncSession, camera: Camera, also: Mapping[UUID, frozenset[str]]
) -> None:
    """Refuse `camera`, as it is now, if its device looks into a home and the camera is another's.

    `also` holds further addresses of cameras by id, such as what a name leads to.

    Raises:
        ConflictError: code `address-is-a-home`.
    """
    mine = _traits(camera, also.get(camera.id, frozenset()))
    if mine is None:
        return
    for other in await _others(session, camera):
        theirs = _traits(other, also.get(other.id, frozenset()))
        if theirs is not None and _alike(mine, theirs):
            raise ConflictError(
                "This device looks into a home."
                if camera.place_kind != "home" or other.place_kind == "home"
                else "This device is a camera of another place already.",
                remedy="A device of a home is free for another place when its household deletes "
                "the camera or has moved out; one of another place when that camera is deleted.",
                code="address-is-a-home",
            )


async def keep_former(
    session: AsyncSession, clock: Clock, camera: Camera, address: str, urls: Iterable[str]
) -> None:
    """Keep where a home camera's device was before its address was changed, as a deleted camera.

    Else whoever may change addresses could free a home's device by changing its camera's.
    """
    now = clock.now()
    former = Camera(
        id=new_id(),
        name=camera.name,
        area=camera.area,
        place_kind=camera.place_kind,
        household_id=camera.household_id,
        source_kind=camera.source_kind,
        address=address,
        enabled=False,
        device={"former_of": str(camera.id)},
        created_at=now,
        deleted_at=now,
    )
    former.streams = [
        CameraStream(role=f"was-{number}", url=url) for number, url in enumerate(urls)
    ]
    session.add(former)
    await session.flush()


async def release(session: AsyncSession, camera: Camera) -> None:
    """Forget where a home camera's device is and was: its household has given it up."""
    query = select(Camera).where(
        Camera.household_id == camera.household_id, Camera.deleted_at.is_not(None)
    )
    former = [
        row
        for row in await session.scalars(query)
        if (row.device or {}).get("former_of") == str(camera.id)
    ]
    for row in (camera, *former):
        row.address = ""
        row.device = None
        for stream in row.streams:
            stream.url = stream.snapshot_url = ""
    await session.flush()


async def _others(session: AsyncSession, camera: Camera) -> list[Camera]:
    """Return the cameras whose device `camera` must not have."""
    lived_in = or_(Household.id.is_(None), Household.closed_at.is_(None))
    homes = (
        select(Camera)
        .outerjoin(Household, Household.id == Camera.household_id)
        .where(Camera.id != camera.id, Camera.place_kind == "home", lived_in)
    )
    if camera.place_kind != "home":
        return list(await session.scalars(homes.order_by(Camera.id)))
    # Of the same household it may be added again; of another one, or of another place, not.
    foreign = homes.where(
        or_(Camera.household_id.is_(None), Camera.household_id != camera.household_id)
    )
    elsewhere = select(Camera).where(
        Camera.id != camera.id, Camera.place_kind != "home", Camera.deleted_at.is_(None)
    )
    return [
        *await session.scalars(foreign.order_by(Camera.id)),
        *await session.scalars(elsewhere.order_by(Camera.id)),
    ]


def _traits(camera: Camera, also: frozenset[str]) -> _Traits | None:
    if not camera.address:
        return None
    parts = urlsplit(camera.address)
    streams = [urlsplit(stream.url) for stream in camera.streams if stream.url]
    device = camera.device or {}
    serial = str(device.get("serial", "")).strip()
    return _Traits(
        kind=camera.source_kind,
        hosts=frozenset({_host(parts)}) | also,
        port=_port(parts),
        streams=frozenset((_port(one), one.path.rstrip("/")) for one in streams),
        identity=(str(device.get("manufacturer")), str(device.get("model")), serial)
        if len(serial) >= _SHORTEST_SERIAL
        else None,
    )


def _alike(one: _Traits, other: _Traits) -> bool:
    if one.identity is not None and one.identity == other.identity:
        return True
    if not one.hosts & other.hosts:
        return False
    if one.kind == other.kind and one.port == other.port:
        return True
    if one.kind == other.kind:
        return bool(one.streams & other.streams)
    stream, device = (one, other) if one.kind == "rtsp" else (other, one)
    return stream.port in {port for port, _ in device.streams}


def _host(parts: SplitResult) -> str:
    return _plain((parts.hostname or "").casefold().rstrip("."))


def _plain(host: str) -> str:
    """Return an IP address in its one spelling; a name as it is."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 0)
