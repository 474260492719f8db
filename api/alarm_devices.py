"""What presses a household's alarm: let in by the household, by hand or by a code."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession

from access.factors.totp import qr_svg
from access.households.models import Household
from access.households.service import resource_of
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from api.own_site import base_url
from api.pages import Page, Paging
from core.errors import ConflictError, NotFoundError
from governance.alarms import codes, repository
from governance.alarms.models import AlarmDevice
from governance.alarms.schemas import (
    DeviceCreate,
    DeviceIssued,
    DeviceOut,
    DeviceSelfOut,
    HeartbeatIn,
    HeartbeatOut,
    HouseholdBrief,
    PairIn,
    PairingCodeCreate,
    PairingCodeOut,
)
from governance.alarms.service import PairingCodeError
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.schemas import PushCreate, PushDeviceOut, PushRemove

router = APIRouter(tags=["alarm devices"])


@router.get("/alarm-devices")
async def list_alarm_devices(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("device.list")]
) -> Page[DeviceOut]:
    """List the alarm devices of the own areas in the order they were let in."""
    after = page.after(UUID)
    async with hub.database.read() as session:
        rows = await repository.page(
            session,
            areas=hub.policy.areas(actor, "device.list"),
            after=after[0] if after else None,
            limit=page.fetch,
        )
        items = await hub.alarm_devices.describe(session, rows[: page.limit])
    return page.page(rows, lambda row: (row.id,), items)


@router.post("/alarm-devices/pair", status_code=201)
async def pair_alarm_device(body: PairIn, request: Request, hub: HubDep) -> DeviceIssued:
    """Let in the device that shows a code. Its token is in this answer and nowhere else."""
    address = request.client.host if request.client else ""
    hub.alarm_devices.pairings.attempt(address)
    code = codes.normalise(body.code)
    code_hash = await asyncio.to_thread(codes.code_hash, code)
    async with hub.database.transaction() as session:
        issued = await hub.alarm_devices.pair(session, code, code_hash, body.name)
    if issued is None:
        raise PairingCodeError
    hub.alarm_devices.pairings.succeeded(address)
    return issued


@router.get("/alarm-devices/me")
async def read_own_alarm_device(
    hub: HubDep, actor: Annotated[Actor, permit("alarm.follow")]
) -> DeviceSelfOut:
    """Return what the device that asks may show of itself."""
    async with hub.database.read() as session:
        device = await _self(hub, session, actor)
        described = (await hub.alarm_devices.describe(session, [device]))[0]
    site = hub.settings.site
    return DeviceSelfOut(
        device=described,
        household=HouseholdBrief(name=described.household, area=described.area),
        alarm_number=site.alarm_number,
        sms_number=site.sms_number,
        push_key=await asyncio.to_thread(_push_key, hub),
        tested_at=device.tested_at,
        test_due=described.test_due,
    )


@router.post("/alarm-devices/me/heartbeat")
async def beat(
    body: HeartbeatIn, hub: HubDep, actor: Annotated[Actor, permit("alarm.follow")]
) -> HeartbeatOut:
    """Note a sign of life of the device that asks."""
    async with hub.database.read() as session:
        device = await _self(hub, session, actor)
    at = hub.alarm_devices.presence.heard(device.id, battery_pct=body.battery_pct)
    return HeartbeatOut(at=at, next_within_s=device.heartbeat_s)


@router.post("/alarm-devices/me/push", status_code=201)
async def add_alarm_device_push(
    body: PushCreate,
    request: Request,
    hub: HubDep,
    actor: Annotated[Actor, permit("alarm.follow")],
) -> PushDeviceOut:
    """Push to the device that asks what becomes of its household's alarms."""
    async with hub.database.transaction() as session:
        device = await _self(hub, session, actor)
        row = await hub.own_ways.subscribe(
            session,
            body,
            device_id=device.id,
            user_agent=request.headers.get("User-Agent", ""),
            actor=actor,
        )
        return PushDeviceOut.model_validate(row)


@router.delete("/alarm-devices/me/push", status_code=204)
async def remove_alarm_device_push(
    body: PushRemove, hub: HubDep, actor: Annotated[Actor, permit("alarm.follow")]
) -> None:
    """Push to the device that asks no more."""
    async with hub.database.transaction() as session:
        device = await _self(hub, session, actor)
        await hub.own_ways.unsubscribe(session, body.endpoint, device_id=device.id, actor=actor)


def _push_key(hub: Hub) -> str:
    return DeliveryKeys(hub.settings.deliveries_dir).push_key


async def _self(hub: Hub, session: AsyncSession, actor: Actor) -> AlarmDevice:
    device = await hub.alarm_devices.by_token(session, actor.id)
    if device is None:
        raise NotFoundError(
            "Who asks is no alarm device.", remedy="Ask with the token of a device."
        )
    return device


@router.delete("/alarm-devices/{device_id}", status_code=204)
async def withdraw_alarm_device(
    device_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("device.write")]
) -> None:
    """Take a lost or broken device out of its household, which can let it in again."""
    async with hub.database.transaction() as session:
        found = await hub.alarm_devices.known(session, device_id)
        area = found.household.area if found is not None else ""
        if (
            found is None
            or not hub.policy.authorize(
                actor, "device.write", Resource("device", id=str(device_id), area=area)
            ).allowed
        ):
            raise NotFoundError(
                "There is no such alarm device.", remedy="It may lie outside of your areas."
            )
        household = await hub.households.locked(session, found.household.id)
        await hub.alarm_devices.remove(session, actor, household, device_id)


@router.get("/households/{household_id}/alarm-devices")
async def list_household_alarm_devices(
    household_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("household.alarm")]
) -> list[DeviceOut]:
    """List the alarm devices of the own household, oldest first."""
    async with hub.database.read() as session:
        household = await hub.households.get(session, household_id)
        require(hub, actor, "household.alarm", resource_of(household))
        rows = await repository.of_household(session, household_id)
        return await hub.alarm_devices.describe(session, rows)


@router.post("/households/{household_id}/alarm-devices", status_code=201)
async def create_alarm_device(
    household_id: UUID,
    body: DeviceCreate,
    hub: HubDep,
    actor: Annotated[Actor, permit("household.alarm")],
) -> DeviceIssued:
    """Let a device into the own household. Its secrets are in this answer and nowhere else."""
    async with hub.database.transaction() as session:
        household = await _locked(hub, session, actor, household_id)
        return await hub.alarm_devices.create(session, actor, household, body)


@router.delete("/households/{household_id}/alarm-devices/{device_id}", status_code=204)
async def remove_alarm_device(
    household_id: UUID,
    device_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("household.alarm")],
) -> None:
    """Take a device out of the own household; its token opens nothing from now on."""
    async with hub.database.transaction() as session:
        household = await _locked(hub, session, actor, household_id)
        await hub.alarm_devices.remove(session, actor, household, device_id)


@router.post("/households/{household_id}/pairing-codes", status_code=201)
async def create_pairing_code(
    household_id: UUID,
    body: PairingCodeCreate,
    request: Request,
    hub: HubDep,
    actor: Annotated[Actor, permit("household.alarm")],
) -> PairingCodeOut:
    """Make a code for a device of the own household: ten minutes, one device."""
    async with hub.database.transaction() as session:
        household = await _locked(hub, session, actor, household_id)
        made = await hub.alarm_devices.make_code(session, actor, household, body.kind)
    link = _page_link(hub, request, made)
    return made.model_copy(update={"link": link, "qr_svg": qr_svg(link)}) if link else made


def _page_link(hub: Hub, request: Request, made: PairingCodeOut) -> str:
    """Return where the device's own page takes the code; "" without such a page or address."""
    page = {"phone": "alarm", "tv": "tv"}.get(made.kind)
    if page is None:
        return ""
    try:
        # After the #: browsers keep it to themselves, so it stands in no log.
        return f"{base_url(hub, request)}/{page}#pair={made.code}"
    except ConflictError:
        return ""


async def _locked(hub: Hub, session: AsyncSession, actor: Actor, household_id: UUID) -> Household:
    household = await hub.households.locked(session, household_id)
    require(hub, actor, "household.alarm", resource_of(household))
    return household
