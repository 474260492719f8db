"""Plans: drawings of floors and grounds, on which cameras stand.

Whoever may list the cameras of an area because they work there sees its plans; what stands on them
is told by the cameras themselves, to whom may know of each.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from access.policy.types import Actor, Resource
from access.scope import EVERYTHING, CameraScope, camera_scope
from api.cameras import tell
from api.door import permit, require
from api.hub import Hub, HubDep
from camera_hub.devices.schemas import CameraCreate
from camera_hub.devices.spots import NamedSpot
from camera_hub.plans import repository
from camera_hub.plans.drawing import MAX_BYTES, too_large
from camera_hub.plans.models import SitePlan
from camera_hub.plans.schemas import PlanFields, PlanOut, PlansOut, PlanUpdate
from camera_hub.plans.service import meant, resource_of
from core.errors import HubError, InvalidInputError
from governance.areas.service import check as check_area

router = APIRouter(tags=["plans"])

Reads = Annotated[Actor, permit("plan.read")]
Writes = Annotated[Actor, permit("plan.write")]
_TYPES = {"png": "image/png", "jpg": "image/jpeg"}


def _form(**fields: dict[str, Any]) -> dict[str, Any]:
    """Return how a form with a file is described."""
    properties = {"file": {"type": "string", "format": "binary"}, **fields}
    needed = ["file", *(name for name, said in fields.items() if "default" not in said)]
    schema = {"type": "object", "required": needed, "properties": properties}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


@router.get("/plans")
async def list_plans(hub: HubDep, actor: Reads) -> PlansOut:
    """List the plans of the own areas, by area and name."""
    async with hub.database.read() as session:
        plans = await repository.in_those(session, hub.policy.areas(actor, "plan.read"))
        return PlansOut(items=await _described(hub, session, actor, plans))


@router.post(
    "/plans",
    status_code=201,
    openapi_extra=_form(
        name={"type": "string"}, area={"type": "string"}, north={"type": "number", "default": 0}
    ),
)
async def create_plan(request: Request, hub: HubDep, actor: Writes) -> PlanOut:
    """Add a plan: a form with `file` (PNG, JPEG, WebP; at most 20 MB), `name` and `area`."""
    content, form = await _sent(request)
    try:
        body = PlanFields.model_validate(form)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidInputError(
            f"{str(first['loc'][0])[:40]}: {first['msg']}.",
            remedy="Name the plan (at most 120 characters) and the area that it shows.",
            code="plan-fields",
        ) from None
    return await add_plan(hub, actor, body, content)


async def add_plan(hub: Hub, actor: Actor | None, body: PlanFields, content: bytes) -> PlanOut:
    """Add a plan as `actor` (None: the command line) wishes, in a transaction of its own.

    Raises:
        HubError: not there, no picture, the name is taken, or the disk refuses.
    """
    if actor is not None:
        require(hub, actor, "plan.write", Resource("plan", area=body.area))
    drawing = await hub.plans.draw(content)
    try:
        async with hub.plans.files.keeping(drawing), hub.database.transaction() as session:
            await check_area(session, body.area)
            by = None if actor is None else actor.id
            plan = await hub.plans.add(session, body, drawing, by)
            return (await _described(hub, session, actor, [plan]))[0]
    except HubError:
        # Another plan may have the same drawing: then it stays.
        await hub.plans.forget_drawings(hub.database, [drawing.sha256])
        raise


@router.get("/plans/{plan_id}")
async def read_plan(plan_id: UUID, hub: HubDep, actor: Reads) -> PlanOut:
    """Return one plan."""
    async with hub.database.read() as session:
        plan = await _readable(hub, session, actor, plan_id)
        return (await _described(hub, session, actor, [plan]))[0]


@router.get(
    "/plans/{plan_id}/image",
    response_class=Response,
    responses={
        200: {"content": {kind: {} for kind in _TYPES.values()}},
        304: {"description": "Nothing has changed since the ETag of If-None-Match"},
    },
)
async def read_plan_image(
    plan_id: UUID,
    hub: HubDep,
    actor: Reads,
    if_none_match: Annotated[str, Header(alias="If-None-Match", include_in_schema=False)] = "",
) -> Response:
    """Return the drawing. It may be kept by the browser, which asks each time whether it holds."""
    async with hub.database.read() as session:
        plan = await _readable(hub, session, actor, plan_id)
    tag = f'"{plan.sha256}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
    if tag in {part.strip().removeprefix("W/") for part in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    content = await hub.plans.drawing_of(plan)
    return Response(content, media_type=_TYPES[plan.suffix], headers=headers)


@router.put(
    "/plans/{plan_id}/image",
    openapi_extra=_form(version={"type": "integer", "minimum": 1}),
)
async def replace_plan_image(
    plan_id: UUID, request: Request, hub: HubDep, actor: Writes
) -> PlanOut:
    """Replace the drawing: a form with `file` and `version`. Cameras keep their places on it."""
    async with hub.database.read() as session:
        require(
            hub, actor, "plan.write", resource_of(await _readable(hub, session, actor, plan_id))
        )
    content, form = await _sent(request)
    version = form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInputError(
            "The form does not say which version of the plan it replaces.",
            remedy="Send the plan's `version` in a part of that name.",
            code="plan-fields",
        )
    return await replace_drawing(hub, actor, plan_id, int(version), content)


async def replace_drawing(
    hub: Hub, actor: Actor | None, plan_id: UUID, version: int, content: bytes
) -> PlanOut:
    """Replace a drawing as `actor` (None: the command line) wishes.

    Raises:
        HubError: not there, no picture, somebody was first, or the disk refuses.
    """
    drawing = await hub.plans.draw(content)
    unnamed = drawing.sha256
    try:
        async with hub.plans.files.keeping(drawing), hub.database.transaction() as session:
            plan = await _changeable(hub, session, actor, plan_id)
            before = plan.sha256
            await hub.plans.redraw(session, plan, version, drawing)
            replaced = (await _described(hub, session, actor, [plan]))[0]
        unnamed = before
    finally:
        await hub.plans.forget_drawings(hub.database, [unnamed])
    return replaced


@router.patch("/plans/{plan_id}")
async def update_plan(plan_id: UUID, body: PlanUpdate, hub: HubDep, actor: Writes) -> PlanOut:
    """Rename a plan, turn its north, or file it under another area."""
    return await change_plan(hub, actor, plan_id, body)


async def change_plan(hub: Hub, actor: Actor | None, plan_id: UUID, body: PlanUpdate) -> PlanOut:
    """Change a plan as `actor` (None: the command line) wishes.

    Raises:
        HubError: not there, the name is taken, the area is none, or somebody was first.
    """
    async with hub.database.transaction() as session:
        plan = await _changeable(hub, session, actor, plan_id)
        if body.area is not None and body.area != plan.area:
            if actor is not None:
                require(hub, actor, "plan.write", Resource("plan", area=body.area))
            await check_area(session, body.area)
        await hub.plans.change(session, plan, body)
        return (await _described(hub, session, actor, [plan]))[0]


@router.delete("/plans/{plan_id}", status_code=204)
async def delete_plan(plan_id: UUID, hub: HubDep, actor: Writes) -> Response:
    """Remove a plan; the cameras on it stand on none then."""
    await remove_plan(hub, actor, plan_id)
    return Response(status_code=204)


async def remove_plan(hub: Hub, actor: Actor | None, plan_id: UUID) -> int:
    """Remove a plan as `actor` (None: the command line) wishes; return how many stood on it.

    Raises:
        NotFoundError, ForbiddenError: there is none, or it is not the actor's to remove.
    """
    async with hub.database.transaction() as session:
        plan = await _changeable(hub, session, actor, plan_id)
        sha256 = plan.sha256
        cameras = await hub.plans.remove(session, plan)
        for camera in cameras:
            await tell(hub, session, camera)
    await hub.plans.forget_drawings(hub.database, [sha256])
    return len(cameras)


async def plans_of(hub: Hub, session: AsyncSession, actor: Actor | None) -> list[SitePlan]:
    """Return the plans that `actor` (None: the command line) may see."""
    areas = [""] if actor is None else hub.policy.areas(actor, "plan.read")
    return await repository.in_those(session, areas)


def stand(body: CameraCreate, spot: NamedSpot, plans: list[SitePlan]) -> CameraCreate:
    """Return the camera as it stands on that one of `plans` that `spot` names.

    Raises:
        InvalidInputError: code `unknown-plan`.
    """
    plan = meant(plans, spot.plan, body.area)
    return body.model_copy(update={"plan_id": plan.id, "plan_x": spot.x, "plan_y": spot.y})


async def _readable(hub: Hub, session: AsyncSession, actor: Actor, plan_id: UUID) -> SitePlan:
    plan = await hub.plans.get(session, plan_id)
    require(hub, actor, "plan.read", resource_of(plan))
    return plan


async def _changeable(
    hub: Hub, session: AsyncSession, actor: Actor | None, plan_id: UUID
) -> SitePlan:
    plan = await hub.plans.get(session, plan_id)
    if actor is not None:
        require(hub, actor, "plan.write", resource_of(plan))
    return plan


async def _described(
    hub: Hub, session: AsyncSession, actor: Actor | None, plans: list[SitePlan]
) -> list[PlanOut]:
    """Return plans for the wire, with the number of those cameras that `actor` may know of."""
    scope: CameraScope = EVERYTHING
    if actor is not None:
        granted = {grant.camera_id for grant in await hub.consent.live_grants(session, actor)}
        scope = camera_scope(hub.policy, actor, "camera.list", granted)
    found = await hub.plans.describe(session, plans, scope)
    return [
        one.model_copy(update={"may_change": actor is None or _may(hub, actor, plan)})
        for one, plan in zip(found, plans, strict=True)
    ]


def _may(hub: Hub, actor: Actor, plan: SitePlan) -> bool:
    return hub.policy.authorize(actor, "plan.write", resource_of(plan)).allowed


async def _sent(request: Request) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of the part `file` and the texts of the others.

    Raises:
        InvalidInputError: code `plan-fields`: this is no such form.
        DrawingTooLargeError: more than 20 MB.
    """
    try:
        async with request.form(max_files=1, max_fields=4) as form:
            content = await _file(form)
            texts = {key: value for key, value in form.items() if isinstance(value, str)}
    except HTTPException as error:
        raise _no_file() from error
    if len(content) > MAX_BYTES:
        raise too_large()
    return content, texts


async def _file(form: FormData) -> bytes:
    part = form.get("file")
    if not isinstance(part, UploadFile):
        raise _no_file()
    return await part.read(MAX_BYTES + 1)


def _no_file() -> InvalidInputError:
    return InvalidInputError(
        "The request holds no drawing.",
        remedy="Send a form (multipart/form-data) with one picture in the part 'file'.",
        code="plan-fields",
    )
