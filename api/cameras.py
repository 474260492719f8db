"""Cameras and their zones."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.service import LiveGrant
from access.policy.types import ORDINARY, Actor, Circumstances, Resource
from access.scope import camera_scope
from analytics.zones.schemas import ZonesOut, ZonesUpdate
from analytics.zones.service import read_zones, replace_zones
from api.door import permit, require
from api.hub import Hub, HubDep
from api.looking import possible_look
from api.pages import Page, Paging
from camera_hub.devices import repository
from camera_hub.devices.facts import hears_more, home_place, recorded, records_more
from camera_hub.devices.models import Camera
from camera_hub.devices.schemas import (
    CameraCreate,
    CameraOut,
    CameraUpdate,
    DeviceOut,
    GrantBrief,
    ProbeOut,
    ProbeRequest,
    ProfileOut,
    WarningOut,
)
from camera_hub.devices.service import resource_of
from camera_hub.devices.types import ProbeResult
from camera_hub.plans import repository as plan_rows
from core.errors import ForbiddenError, InvalidInputError, NotFoundError
from governance.areas.service import check as check_area
from governance.outbox import service as outbox

router = APIRouter(tags=["cameras"])

VIEW_ACTIONS = ("camera.live", "camera.snapshot", "recording.play")
SWITCHES = {"version", "enabled", "recording", "sound", "sound_reason"}
"""What a household may change of its own camera."""


def describe(hub: Hub, actor: Actor, camera: Camera, grants: Iterable[LiveGrant] = ()) -> CameraOut:
    """Return `camera` for the wire, with what `actor` may see of it.

    Where it stands in the network is for those who work with it, not for residents and guests.
    """
    looks = {a: possible_look(hub, actor, camera, grants, a) for a in VIEW_ACTIONS}
    found = next((look for look in looks.values() if look is not None), None)
    grant = None if found is None else found.grant
    permitted = [action for action, look in looks.items() if look is not None]
    if camera.source_kind == "onvif" and possible_look(hub, actor, camera, grants, "camera.ptz"):
        permitted.append("camera.ptz")
    heard = possible_look(hub, actor, camera, grants, "camera.listen") if camera.sound else None
    live = looks["camera.live"]
    if heard is not None and live is not None and live.rendition == heard.rendition == "raw":
        permitted.append("camera.listen")
    described = hub.devices.describe(
        camera,
        permitted,
        grant=None
        if grant is None
        else GrantBrief(id=grant.id, kind=grant.kind, ends_at=grant.ends_at),
        rendition="raw" if found is None else found.rendition,
    )
    # Whether a home records just now says whether somebody is there.
    listed = possible_look(hub, actor, camera, grants, "recording.list") is not None
    if camera.place_kind == "home" and not listed:
        status = described.status.model_copy(update={"recording": None})
        described = described.model_copy(update={"status": status})
    if hub.policy.authorize(actor, "camera.read", _by_role(camera)).allowed:
        return described
    unsaid = {"address": "", "username": "", "device": None}
    unsaid |= {"plan_id": None, "plan_x": None, "plan_y": None}
    return described.model_copy(update=unsaid)


def _by_role(camera: Camera) -> Resource:
    """Return the camera as it is to those whom only a role brings there."""
    return replace(resource_of(camera), residents_may_watch=False)


async def visible(
    hub: Hub, session: AsyncSession, actor: Actor, camera_id: UUID, action: str = "camera.read"
) -> Camera:
    """Return the camera if `actor` may do `action` with it.

    Raises:
        NotFoundError: there is none, or the actor may not know of it.
        ForbiddenError: the actor may know of it, but not do this.
    """
    return (await _visible(hub, session, actor, camera_id, action))[0]


async def _visible(
    hub: Hub, session: AsyncSession, actor: Actor, camera_id: UUID, action: str
) -> tuple[Camera, list[LiveGrant]]:
    """Return the camera and what of it is granted to the actor now; raises as `visible` does."""
    camera = await hub.devices.get(session, camera_id)
    resource, grants = resource_of(camera), []
    if camera.place_kind == "home" and camera.household_id is not None:
        live = await hub.consent.live_grant(session, actor, camera.id, camera.household_id)
        grants = [] if live is None else [live]
    circumstances = Circumstances(grant=grants[0].kind) if grants else ORDINARY
    if not hub.policy.authorize(actor, "camera.read", resource, circumstances).allowed:
        raise NotFoundError("There is no such camera.", remedy="Reload the list of cameras.")
    require(hub, actor, action, resource, circumstances)
    return camera, grants


async def tell(hub: Hub, session: AsyncSession, camera: Camera, *left: str) -> None:
    """Tell those who may see the camera, and those of an area that it has left."""
    for area in dict.fromkeys((camera.area, *left)):
        await outbox.append(
            session,
            type="camera.changed",
            area=area,
            payload={"camera_id": str(camera.id)},
            at=hub.clock.now(),
            camera_id=camera.id,
        )


@router.get("/cameras")
async def list_cameras(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("camera.list")]
) -> Page[CameraOut]:
    """List the cameras that one may know of, in the order they were added.

    Homes are among them for those who live there, to whom consent opens them now, and for those
    who look after the camera without seeing its picture.
    """
    after = page.after(UUID)
    async with hub.database.read() as session:
        grants = await hub.consent.live_grants(session, actor)
        granted = {grant.camera_id for grant in grants}
        scope = camera_scope(hub.policy, actor, "camera.list", granted)
        rows = await repository.page(
            session, scope=scope, after=after[0] if after else None, limit=page.fetch
        )
    items = [describe(hub, actor, row, grants) for row in rows[: page.limit]]
    return page.page(rows, lambda row: (row.id,), items)


@router.post("/cameras/probe")
async def probe_camera(
    body: ProbeRequest, hub: HubDep, _actor: Annotated[Actor, permit("camera.probe")]
) -> ProbeOut:
    """Ask a device what it is and which streams it offers; nothing is stored."""
    found = await hub.devices.prober.probe(
        body.source_kind, body.address, body.username, body.password.get_secret_value()
    )
    return probe_out(found)


def probe_out(found: ProbeResult) -> ProbeOut:
    """Return a probe's result as it goes over the wire."""
    device = found.device
    return ProbeOut(
        device=DeviceOut(**asdict(device), clock_offset_s=found.clock_offset_s) if device else None,
        clock_offset_s=found.clock_offset_s,
        profiles=[ProfileOut.model_validate(p, from_attributes=True) for p in found.profiles],
        main=found.main,
        sub=found.sub,
        warnings=[WarningOut(code=w.code, message=w.message) for w in found.warnings],
    )


@router.post("/cameras", status_code=201)
async def create_camera(
    body: CameraCreate, hub: HubDep, actor: Annotated[Actor, permit("camera.create")]
) -> CameraOut:
    """Add a camera; it is looked at first, and read within a second or two."""
    allow_create(hub, actor, body)
    found = await hub.devices.find(body)
    async with hub.database.transaction() as session:
        camera = await create(hub, session, actor, body, found)
    return _changed(hub, actor, camera)


def allow_create(hub: Hub, actor: Actor | None, body: CameraCreate) -> None:
    """Let `actor` (None: the command line) add the camera, or raise.

    Raises:
        ForbiddenError: not there; or it is a home's, which is recorded and heard because its
            household says so.
    """
    if actor is not None:
        require(hub, actor, "camera.create", _place(body.area, body.place_kind))
    records = body.recording is not None and body.recording.mode != "off"
    if body.place_kind == "home" and (records or body.sound):
        home = replace(_place(body.area, "home"), household=str(body.household_id or ""))
        _require_switch_on(hub, actor, home)


def _require_switch_on(hub: Hub, actor: Actor | None, resource: Resource) -> None:
    if actor is not None:
        require(hub, actor, "camera.switch_on", resource)
    elif resource.place_kind == "home":
        raise ForbiddenError(
            "A home is switched on, recorded and heard by its household only.",
            remedy="Leave it out: the household does it in its own app.",
            code="no-consent",
        )


async def create(
    hub: Hub, session: AsyncSession, actor: Actor | None, body: CameraCreate, found: ProbeResult
) -> Camera:
    """Add the camera that was found, in the caller's transaction; appends to the ledger last.

    Raises:
        ConflictError, InvalidInputError: as `Devices.add`, the law and the areas say.
    """
    await check_area(session, body.area)
    await check_plan(hub, session, actor, body.plan_id)
    camera = await hub.devices.add(session, body, found)
    await hub.places.check(session, camera, body)
    await tell(hub, session, camera)
    await hub.places.note(session, "camera.created", actor, camera)
    return camera


async def check_plan(
    hub: Hub, session: AsyncSession, actor: Actor | None, plan_id: UUID | None
) -> None:
    """Refuse a plan that is not there, or that `actor` (None: the command line) may not see.

    Raises:
        InvalidInputError: code `unknown-plan`.
    """
    if plan_id is None:
        return
    plan = await plan_rows.by_id(session, plan_id)
    if plan is not None:
        thing = Resource("plan", id=str(plan.id), area=plan.area)
        if actor is None or hub.policy.authorize(actor, "plan.read", thing).allowed:
            return
    raise InvalidInputError(
        "There is no such plan.",
        remedy="Load the plans again and choose one of them.",
        code="unknown-plan",
    )


def _changed(hub: Hub, actor: Actor, camera: Camera) -> CameraOut:
    """Return what became of the camera, and what its name makes one ask."""
    return describe(hub, actor, camera).model_copy(update={"warnings": hub.places.warnings(camera)})


def _place(area: str, place_kind: str) -> Resource:
    return Resource("camera", area=area, place_kind=place_kind)


@router.get("/cameras/{camera_id}")
async def read_camera(
    camera_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("camera.read")]
) -> CameraOut:
    """Return one camera."""
    async with hub.database.read() as session:
        camera, grants = await _visible(hub, session, actor, camera_id, "camera.read")
    return describe(hub, actor, camera, grants)


@router.patch("/cameras/{camera_id}")
async def update_camera(
    camera_id: UUID,
    body: CameraUpdate,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.switch")],
) -> CameraOut:
    """Change a camera. A new address or account is tried first, and used at once.

    Members of a household may switch their own home camera, its recording and its sound off and on,
    and change nothing else. An administrator may switch them off; on again only they.
    """
    return _changed(hub, actor, await change(hub, actor, camera_id, body))


async def change(hub: Hub, actor: Actor | None, camera_id: UUID, body: CameraUpdate) -> Camera:
    """Change a camera as `actor` (None: the command line) wishes, in a transaction of its own.

    Raises:
        HubError: it may not be, the camera does not answer, or somebody else was first.
    """
    action = "camera.switch" if body.model_fields_set <= SWITCHES else "camera.update"
    async with hub.database.read() as session:
        camera = await _to_change(hub, session, actor, camera_id, action)
    # The place it moves to must be one's own as well.
    if actor is not None and (body.area is not None or body.place_kind is not None):
        area = camera.area if body.area is None else body.area
        require(hub, actor, action, _place(area, body.place_kind or camera.place_kind))
    found = await hub.devices.refind(camera, body)
    async with hub.database.transaction() as session:
        camera = await _to_change(hub, session, actor, camera_id, action)
        if body.enabled and not camera.enabled:
            _require_switch_on(hub, actor, resource_of(camera))
        if records_more(camera, body) or hears_more(camera, body):
            _require_switch_on(hub, actor, _home_to_be(camera, body))
        place, facts = home_place(camera), recorded(camera)
        left, address = camera.area, camera.address
        if body.area is not None and body.area != left:
            await check_area(session, body.area)
        await check_plan(hub, session, actor, body.plan_id)
        await hub.devices.change(session, camera, body, found)
        await hub.places.check(session, camera, body, place)
        await tell(hub, session, camera, left)
        await hub.places.note(session, "camera.changed", actor, camera, facts)
        if camera.address != address:
            # That it looks elsewhere now, not where: an address may say whose flat it is in.
            await hub.ledger.append(
                session,
                "camera.address_changed",
                actor=actor,
                area=camera.area,
                subject=str(camera.id),
                data={},
            )
    return camera


async def _to_change(
    hub: Hub, session: AsyncSession, actor: Actor | None, camera_id: UUID, action: str
) -> Camera:
    if actor is None:
        return await hub.devices.get(session, camera_id)
    return await visible(hub, session, actor, camera_id, action)


def _home_to_be(camera: Camera, body: CameraUpdate) -> Resource:
    """Return the camera as belonging to the household that `body` gives it."""
    household = body.household_id or camera.household_id
    return replace(
        resource_of(camera),
        place_kind=body.place_kind or camera.place_kind,
        household="" if household is None else str(household),
    )


@router.delete("/cameras/{camera_id}", status_code=204)
async def delete_camera(
    camera_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("camera.delete")]
) -> Response:
    """Take a camera out of use; its incidents and view records stay.

    The device of a home camera is a home's until its household has deleted it, or moved out.
    """
    async with hub.database.transaction() as session:
        camera = await visible(hub, session, actor, camera_id, "camera.delete")
        lives_there = camera.place_kind == "home" and camera.household_id in actor.households
        await hub.devices.delete(session, camera, given_up=lives_there)
        await tell(hub, session, camera)
        await hub.consent.end_of_camera(session, actor, camera_id)
        await hub.places.note(session, "camera.deleted", actor, camera)
    return Response(status_code=204)


@router.get("/cameras/{camera_id}/zones")
async def read_camera_zones(
    camera_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("zone.read")]
) -> ZonesOut:
    """Return the zones of a camera and their version."""
    async with hub.database.read() as session:
        camera = await visible(hub, session, actor, camera_id)
        require(hub, actor, "zone.read", _zone_of(camera))
        return await read_zones(session, camera_id)


@router.put("/cameras/{camera_id}/zones")
async def replace_camera_zones(
    camera_id: UUID,
    body: ZonesUpdate,
    hub: HubDep,
    actor: Annotated[Actor, permit("zone.write")],
) -> ZonesOut:
    """Replace all zones of a camera; they count within a second or two."""
    async with hub.database.transaction() as session:
        camera = await visible(hub, session, actor, camera_id)
        require(hub, actor, "zone.write", _zone_of(camera))
        zones = await replace_zones(session, hub.clock, camera_id, body)
        await tell(hub, session, camera)
        await hub.ledger.append(
            session,
            "camera.zones_changed",
            actor=actor,
            area=camera.area,
            subject=str(camera.id),
            data={"version": zones.version, "zones": len(zones.zones)},
        )
    return zones


def _zone_of(camera: Camera) -> Resource:
    return replace(resource_of(camera), kind="zone")
